// Package postgres is the durable store in PostgreSQL, by pgx. It has every capability
// there is: [store.Log], [store.Tenants], [store.Snapshots], [store.Checkpoints],
// [store.Claims] and [store.Leases], and appends in a transaction of one's own, with
// [Store.WithTx].
//
// # Order
//
// Positions are given under a lock on one row, the head of the log, that is held until
// they are committed. So their order is the order of commits, they have no gaps
// but those of other tenants, and whoever has read up to a position has missed
// nothing: no open transaction of this or another database, no dump that is
// restored elsewhere, no physical replica changes that. The lock costs little, since
// it is never held while a client is waited for. An append that finds no other under way
// is one statement. What comes meanwhile is appended as a group by one call of a
// function in the database, on two connections that take turns, so that many callers
// share one commit.
//
// When several processes append to a stream at the same moment, the constraints
// event_version and event_id refuse one of them and the function has another look: the
// server logs that as an error, and it is none.
//
// All tenants are in one order, with positions of other tenants left out; with
// [WithLogPerTenant] each has its own.
//
// # Durability
//
// An append that has returned is committed. That it outlives a crash of the server is
// up to its settings fsync and synchronous_commit, whose defaults are right; that
// it outlives the loss of the server, to synchronous_standby_names. Where a replica
// without the last events is promoted, or a backup restored, [store.Resume] and
// Subscribe say so in place of skipping what took their positions.
//
// A replica that only lags looks the same to a checkpoint that is ahead of it, as both
// lack its event: what reads from a replica and gets [store.ErrLogDiverged] tries again
// before it calls for help.
//
// When a connection is lost during an append, the outcome is unknown: the
// error is an *[Error], and appending the same events again settles it. An answer
// that comes within 100 ms after the context of its call has ended is taken, so that
// short deadlines do not cost a connection each; a call can return that much late.
//
// # Subscriptions
//
// A subscription reads pages, and between them waits for a notification or for a
// second, whichever comes first. Each group of appends notifies once. One connection
// for all subscriptions listens, and is made anew when it is lost; a notification
// that is lost with it is late news, no more. Behind a pooler for transactions, and on
// replicas, use [WithPollOnly].
//
// # The schema
//
// The tables are in the schema "evolve", or another: see [WithSchema], [Migrations] and
// [WithoutMigrate]. They are for reading with SQL too:
//
//	SELECT position, stream_id, version, type, time, actor, convert_from(data, 'UTF8')
//	FROM evolve.event WHERE tenant = 'default' ORDER BY position DESC LIMIT 20;
//
// Never write to them by other means. The encoding of the database must be UTF8.
package postgres
