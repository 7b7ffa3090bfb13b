// Package postgres is the durable store in PostgreSQL, using pgx. It has every
// capability of package store: [store.Log], [store.Tenants], [store.Snapshots],
// [store.Checkpoints], [store.Claims], [store.Leases], [store.Documents] and
// [store.Finder], and transactions in which you can also write your own tables,
// [Store.Update].
//
// # Order
//
// The store assigns positions under a lock on one row, the head of the log, which it
// holds until the commit. So positions are in commit order, they have no gaps except
// for the positions of other tenants, and a reader that has read up to a position has
// missed nothing. Open transactions in this or another database, a dump that is
// restored elsewhere, and physical replicas do not change that. The lock is cheap,
// because it is never held while the server waits for a client. An append that finds no
// other append in progress is one statement. Appends that arrive in the meantime are
// made as a group, also in one statement, so that many callers share one commit.
//
// If several processes append to a stream at the same moment, the constraints
// event_version and event_id refuse all but one of them, and the store checks again.
// The server logs this as an error, but it is harmless.
//
// All tenants share one order, in which each sees its own positions. With
// [WithLogPerTenant] each tenant has an order of its own.
//
// # Durability
//
// An append that has returned is committed. Whether it survives a crash of the server
// depends on the server's settings fsync and synchronous_commit, whose defaults are
// safe. Whether it survives the loss of the server depends on
// synchronous_standby_names. If a standby without the last events is promoted, or a
// backup is restored, [store.Resume] and Subscribe return [store.ErrLogDiverged], and
// skip nothing. The page docs/cluster.md of the repository describes how to run more
// than one server.
//
// A checkpoint cannot tell a replica that merely lags behind it from a diverged log,
// because both lack the checkpoint's event. If you read from a replica and get
// [store.ErrLogDiverged], try again before you raise an alarm.
//
// # Errors
//
// An error from the server, or the lack of an answer, is an *[Error]. If the server has
// refused a statement, nothing was written, and the error matches [store.ErrRefused].
// If the connection is lost during a write, or no standby has confirmed the commit
// ([ErrUnconfirmed]), the outcome is unknown; append the same events again to settle
// it. The store still accepts an answer that arrives within 100 ms after the context of
// its call has ended, so that short deadlines do not cost a connection each. A call can
// return that much later than its deadline.
//
// If a server answers that it cannot serve (it is read-only, it shuts down, its disk is
// full), the store closes the connection, so that the next attempt can reach another
// server under the same name.
//
// # Subscriptions
//
// A subscription reads pages. Between them it waits for a notification or for a second,
// whichever comes first. Each group of appends sends one notification. One connection
// listens for all subscriptions, and is replaced if it is lost. If a notification is
// lost, events arrive later, but none is missed. If a page does not arrive within 15
// seconds, or the server refuses it, the subscription retries for about a minute.
// Behind a pooler that assigns a connection for each transaction, and on replicas, use
// [WithPollOnly].
//
// # The schema
//
// The tables are in the schema "evolve", or in another one: see [WithSchema],
// [Migrations] and [WithoutMigrate]. You may read them with SQL:
//
//	SELECT position, stream_id, version, type, time, actor, convert_from(data, 'UTF8')
//	FROM evolve.event WHERE tenant = 'default' ORDER BY position DESC LIMIT 20;
//
// Never write to them except through the store. The encoding of the database must be
// UTF8. The page docs/production.md of the repository lists the privileges that a role
// needs.
package postgres
