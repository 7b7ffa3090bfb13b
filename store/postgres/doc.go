// Package postgres is the durable store in PostgreSQL, by pgx. It has every capability
// of package store: [store.Log], [store.Tenants], [store.Snapshots],
// [store.Checkpoints], [store.Claims], [store.Leases], [store.Documents] and [store.Finder], and with
// [Store.Update] transactions in which you write your own tables too.
//
// # Order
//
// Positions are given out under a lock on one row, the head of the log, which is held
// until they are committed. So their order is the order of commits, they have no gaps
// except for the positions of other tenants, and a reader that has read up to a position
// has missed nothing. No open transaction of this or another database, no dump that is
// restored elsewhere, and no physical replica changes that. The lock is cheap, because
// it is never held while the server waits for a client. An append that finds no other
// one under way is one statement. The appends that arrive meanwhile are made as a group,
// also by one statement, so that many callers share one commit.
//
// When several processes append to a stream at the same moment, the constraints
// event_version and event_id refuse one of them, and the store looks again. The server
// logs that as an error, but it is none.
//
// All tenants share one order, in which each sees its own positions. With
// [WithLogPerTenant] each tenant has an order of its own.
//
// # Durability
//
// An append that has returned is committed. Whether it survives a crash of the server
// depends on the server's settings fsync and synchronous_commit, whose defaults are
// right; whether it survives the loss of the server, on synchronous_standby_names. If a
// standby without the last events is promoted, or a backup is restored, [store.Resume]
// and Subscribe return [store.ErrLogDiverged], and skip nothing. The page
// docs/cluster.md of the repository says how to run more than one server.
//
// A replica that only lags looks the same to a checkpoint that is ahead of it, because
// both lack its event. If you read from a replica and get [store.ErrLogDiverged], try
// again before you call for help.
//
// # Errors
//
// What the server answers, or that it does not answer, is an *[Error]. If the server has
// refused a statement, nothing was written, and the error matches [store.ErrRefused].
// If the connection is lost during a write, or no standby has confirmed the commit
// ([ErrUnconfirmed]), the outcome is unknown; append the same events again to settle
// it. An answer that comes within 100 ms after the context of its call has ended is
// taken, so that short deadlines do not cost a connection each. A call can return that
// much late.
//
// When a server answers that it cannot serve (it is read-only, it shuts down, its disk
// is full), its connection is given up, so that the next attempt can reach another
// server under the same name.
//
// # Subscriptions
//
// A subscription reads pages, and between them waits for a notification or for a second,
// whichever comes first. Each group of appends notifies once. One connection listens for
// all subscriptions, and is replaced when it is lost. A lost notification makes news
// late, no more. A page that does not come within 15 seconds, or that the server
// refuses, is asked for again, for about a minute. Behind a pooler that lends connections
// for single transactions, and on replicas, use [WithPollOnly].
//
// # The schema
//
// The tables are in the schema "evolve", or in another one: see [WithSchema],
// [Migrations] and [WithoutMigrate]. You may read them with SQL:
//
//	SELECT position, stream_id, version, type, time, actor, convert_from(data, 'UTF8')
//	FROM evolve.event WHERE tenant = 'default' ORDER BY position DESC LIMIT 20;
//
// Never write to them by other means. The encoding of the database must be UTF8. The
// page docs/production.md of the repository lists the rights that a role needs.
package postgres
