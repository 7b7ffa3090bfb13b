// Package sqlite is the embedded durable store: one file, no server, no cgo. It has
// every capability of a store: [store.Log], [store.Tenants], [store.Snapshots],
// [store.Checkpoints], [store.Documents], [store.Claims], [store.Leases] and
// [store.Finder], and transactions that include your own SQL, [Store.Update].
//
// # Durability
//
// When an append returns without an error, it is on the disk: the file is in WAL mode
// with synchronous=FULL. Appends that wait at the same time share one commit, so many
// callers share one fsync, and none waits for a timer. [WithNormalSync] skips the
// fsync; its documentation says what that costs. A crash loses no acknowledged append
// and leaves no part of an append.
//
// An append whose error matches [store.ErrRefused] was not recorded: the disk is full,
// the file cannot be written, or another process has held the lock for 30 seconds.
// After a [*FileError] that does not match it, the outcome is unknown.
//
// # Your own tables
//
// The file can also hold tables of your application, such as those of a projection.
// [Store.Update] writes them together with appends, checkpoints and documents, in one
// transaction and with one fsync, so after a crash the file has all of it or none. Read
// them with [Tx.Query], or with your own connection, sql.Open("sqlite", path), which
// does not wait for the writer. Use this driver, modernc.org/sqlite, and no other
// SQLite library in the same process: if two of them have one file open, the one that
// closes it drops the locks of the other.
//
// # The file
//
// Keep the file on a local disk. Several processes can use it at once, and network file
// systems do not keep their locks. The files PATH-wal and PATH-shm next to it belong to
// it. The store notices if one of the three is renamed, deleted or replaced while it is
// open, and refuses to write ([ErrMoved]). To copy a file in use, run VACUUM INTO,
// never cp. docs/production.md in the repository has more on backups and restores.
//
// You can read the file with the sqlite3 shell at any time. Its application_id is
// 0x45764c67 ("EvLg"), and its user_version is the version of the schema, 3. The view
// log shows the events with all names spelled out:
//
//	SELECT * FROM log WHERE stream_type = 'Account' AND stream_id = 'acc-1' ORDER BY version;
//
// The tables are tenant, stream, kind, event, snapshot, checkpoint, document, claim,
// lease and file. Each tenant has its own positions, from 1 without a gap. Times are
// microseconds since 1970, metadata is JSON. [Open] upgrades a file with an older
// schema, refuses a file of another application or with a newer schema, and never
// repairs a damaged file.
//
// # The engine
//
// The engine is SQLite itself, as modernc.org/sqlite translates it to Go. The store
// calls it directly and not through database/sql, which took most of the time of a
// read. docs/decisions/sqlite-driver.md in the repository has the measurements.
package sqlite
