// Package process runs a process on a log: events come in, commands go out, and timers
// fire. A decider.Process says, as pure functions, what to do about an event; a [Runtime]
// does it, whatever crashes, restarts or runs twice.
//
//	ship := process.New(st, st, "Shipping", shipping.Process(), orders).WithTimers(shipping.Codec())
//	err := ship.Run(ctx, process.To(parcels, func(c shipping.Command) (string, parcel.Command) { … }))
//
// # What it promises
//
// Each event of the source reaches its instance once, in the order of the log, and each
// command that a reaction asks for is sent at least once, under an id that stays the same.
// So a command happens once where the receiver knows its ids, as a runner does.
//
// Commands are sent first, and then the instance is saved, with the position up to which
// the log is handled, in one transaction of the target. A crash between the two sends
// them again.
//
// # Timers
//
// A timer fires by being recorded: its event is appended to the log, in a stream of the
// process itself. So all that a process reacts to is in the log, and its instances can be
// rebuilt from it. A timer does not overtake an event that was recorded before it was due.
//
// # What fails
//
// An instance whose reaction fails keeps its own later events waiting, and no others.
// What is wrong for good, a panic or a rejected command, quarantines it at once; a command
// that cannot be sent is tried again for 5 minutes before. [Runtime.Instances] tells who
// waits and why, and [Runtime.Release], [Runtime.Skip] and [Runtime.Abandon] go on.
//
// # Other programs
//
// Any number of programs may run the same process. One at a time works, if the target has
// leases; and if two do, because one was paused, the transaction of one of them fails, and
// what it sent has the ids of what the other one sends.
package process
