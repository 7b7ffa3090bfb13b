// Package projection keeps read models up to date with a log.
//
// A [Projection] follows a log, and writes what you make of the events into a [Target]: a
// store with transactions, such as *sqlite.Store or *postgres.Store, or one of your own.
//
//	balances := projection.New(st, st, "balances", moves,
//		func(ctx context.Context, tx *sqlite.Tx, e projection.Event[Move]) error {
//			_, err := tx.Exec(upsert, e.Event.Account, e.Event.Cents)
//			return err
//		})
//	err := balances.Run(ctx) // blocks
//
// [New] takes a handler that runs your own SQL. [Documents] and [Keyed] fold a view for
// each key, [NewImage] folds one into memory, and [Deliver] calls other systems.
//
// # What it promises
//
// Each event of the source is in the read model exactly once, in the order of the log,
// whatever crashes, restarts or runs twice. A transaction first moves the checkpoint from
// its last position, and then calls the handler. If another owner has moved the
// checkpoint, the whole transaction is rolled back. If the answer to a commit is lost,
// the checkpoint tells whether it happened.
//
// Nothing is skipped. An event that fails is retried until it succeeds, or parked with
// all later events of its key ([Projection.WithParking]) until you call
// [Projection.Unpark].
//
// [Projection.WaitFor] lets a writer read its own writes, and [Inline] applies a
// projection in the transaction of the append.
//
// # Versions
//
// A read model is not changed in place. Another version ([Projection.WithVersion]) is
// another read model, which is built beside the old one. When it has caught up,
// [Projection.WithReady] switches readers to it. Readers never see an older state than
// before.
//
// # Several instances
//
// Any number of programs may run the same projection. One at a time does the work, if the
// target has leases. Correctness does not depend on leases.
package projection
