// Package cqrs dispatches commands and queries to typed handlers, with middleware
// around them, and lets a query wait until it reads what its client wrote.
//
// Most programs do not need it: call runners for commands, and SQL or a projection for
// queries, straight from your HTTP or gRPC handlers. It is for the two things that such
// calls do not give you.
//
// A [Bus] is for messages that arrive by name, from a queue or as POST
// /commands/{name}: [Handle] registers a handler for a name and a Go type, [Bus.DoJSON]
// finds it by the name and [Do] by the type.
//
//	bus := cqrs.NewBus(logged)
//	cqrs.Handle(bus, "deposit", func(ctx context.Context, c Deposit) (uint64, error) {
//		out, err := accounts.Handle(ctx, c.Account, account.Deposit{Cents: c.Cents})
//		return out.Position, err
//	})
//	result, err := bus.DoJSON(ctx, "deposit", []byte(`{"Account":"acc-1","Cents":500}`))
//
// Reading your writes: the outcome of a command has a position in the log. A client
// sends it along with its next query, the handler puts it in the context with
// [AtLeast], and [ReadYourWrites] lets the query wait until the read model is there.
// Over HTTP the headers are those of runnerhttp.SetPosition and runnerhttp.AtLeast; over
// gRPC, package cqrsgrpc carries them as metadata.
package cqrs
