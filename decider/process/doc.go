// Package process runs a process on a log: events come in, commands go out, and timers
// fire. A decider.Process says in pure functions how to react to an event. A [Runtime]
// carries the reaction out, whatever crashes, restarts or runs twice.
//
//	ship := process.New(st, st, "Shipping", shipping.Process(), orders).WithTimers(shipping.Codec())
//	err := ship.Run(ctx, process.To(parcels, func(c shipping.Command) (string, parcel.Command) { … }))
//
// # What it promises
//
// Each event of the source reaches its instance once, in the order of the log. Each
// command of a reaction is sent at least once, under an ID that stays the same. So a
// command takes effect once if the receiver recognizes its ID, as a runner does.
//
// The runtime sends commands first, and then saves the instance together with its
// position in the log, in one transaction of the target. After a crash between the two it
// sends the commands again.
//
// # Timers
//
// A timer fires by being recorded: its event is appended to the log, in a stream of the
// process itself. So everything that a process reacts to is in the log, and its instances
// can be rebuilt from it. A timer does not overtake an event that was recorded before the
// timer was due.
//
// # Failures
//
// An instance whose reaction fails makes its own later events wait, and no others. A
// permanent failure, such as a panic or a rejected command, quarantines the instance at
// once. A command that cannot be sent is retried for 5 minutes first. [Runtime.Instances]
// lists the instances that wait and why. Resolve them with [Runtime.Release],
// [Runtime.Skip] or [Runtime.Abandon].
//
// # Several instances of the program
//
// Any number of programs may run the same process. One at a time does the work, if the
// target has leases. If two work at once, because one was paused, the transaction of one
// of them fails, and its commands have the same IDs as those of the other.
package process
