// Package sqlite is the embedded durable store: one file, no server, no cgo. It
// has every capability there is: [store.Log], [store.Tenants],
// [store.Snapshots], [store.Checkpoints], [store.Claims] and [store.Leases].
//
// # Durability
//
// An append that has returned is on the disk: the file is in WAL mode with
// synchronous=FULL, and one writer commits what is pending together, so that
// many callers share one fsync and none waits for a timer. See [WithNormalSync]
// for what less than that costs. A crash loses nothing that was acknowledged
// and leaves no half of an append.
//
// Several processes on one machine can use the file at once; one that writes waits
// for another at most 30 seconds. The file must not be on a network file system.
// Next to it are the files PATH-wal and PATH-shm, which belong to it: copy a file
// in use with VACUUM INTO, never with cp.
//
// # Own tables
//
// The file can have tables of the application too, such as those of a projection,
// which [Store.Update] writes together with appends and checkpoints: all of it is
// one transaction of SQLite, committed with one fsync, so that after a crash there
// is all of it or nothing. They are read by [Tx.Query], or by a connection of one's
// own, sql.Open("sqlite", path), which need not wait for the writer.
//
// # The file
//
// It can be read with the sqlite3 shell at any time; its application_id is
// 0x45764c67 ("EvLg") and its user_version the version of the schema. The
// tables are tenant (with the head of its log), stream, event, snapshot,
// checkpoint, claim and lease; the view log has the events with all names spelled out:
//
//	SELECT * FROM log WHERE stream_type = 'Account' AND stream_id = 'acc-1' ORDER BY version;
//
// Each tenant has its own positions, from 1 without a gap. Times are
// microseconds since 1970, metadata is JSON. [Open] brings a file of an older
// schema up to date, refuses one of another application or of a newer schema, and
// never repairs one that is damaged.
//
// # Why this driver
//
// modernc.org/sqlite is well kept and has a recent engine, with the fix of the
// bug of SQLite before 3.51.3 that could damage a file when its WAL was reset.
// Package zombiezen.com/go/sqlite reads faster, since it does without
// database/sql, but its releases come late; here reads are the slower for it.
package sqlite
