// Package cqrs dispatches commands and queries to typed handlers, with middleware around
// them, and lets a query wait until it reads what its client wrote.
//
// Most programs do not need it: call runners for commands, and SQL or a projection for
// queries, directly from your HTTP or gRPC handlers. The package adds two things to such
// calls.
//
// A [Bus] handles messages that arrive by name, from a queue or as POST /commands/{name}:
// [Handle] registers a handler for a name and a Go type, [Bus.DoJSON] finds it by the
// name and [Do] by the type.
//
//	bus := cqrs.NewBus(logged)
//	cqrs.Handle(bus, "deposit", func(ctx context.Context, c Deposit) (uint64, error) {
//		out, err := accounts.Handle(ctx, c.Account, account.Deposit{Cents: c.Cents})
//		return out.Position, err
//	})
//	result, err := bus.DoJSON(ctx, "deposit", []byte(`{"Account":"acc-1","Cents":500}`))
//
// Reading your writes: the outcome of a command has a position in the log. The client
// sends the position with its next query, the handler puts it into the context with
// [AtLeast], and [ReadYourWrites] makes the query wait until the read model has reached
// it. Over HTTP the headers are those of runnerhttp.SetPosition and runnerhttp.AtLeast.
// Over gRPC, package cqrsgrpc carries them as metadata.
package cqrs
