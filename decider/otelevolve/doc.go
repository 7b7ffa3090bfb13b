// Package otelevolve makes traces and metrics of OpenTelemetry for runners, stores,
// projections and processes, and carries the trace of a command into its events.
//
//	tel := otelevolve.New(otelevolve.Config{}) // the global providers
//	accounts := runner.New("Account", bank.Decider, tel.Store(st), bank.Codec).
//		WithObserver(tel.Runner()).
//		WithMetadata(tel.Metadata(nil))
//	balances = balances.WithObserver(tel.Projection())
//	defer tel.WatchProjection(balances)()
//	transfers = transfers.WithObserver(tel.Process())
//	defer tel.WatchProcess(transfers)()
//
// # Traces
//
// Who waits is the parent of what it waits for: the span of a request is that of "handle
// Account", which is that of "load Account" and "append Account", which is that of what the
// driver of the store does. Events carry the context of the command's span in the headers
// traceparent and tracestate, so what happens later because of them is linked to it: the
// span "process balances@1" of a batch has a link to each command whose events are in it,
// up to 128, and the span "react Transfers@1" has one to the command that made the event.
// Nobody waits for these, so they begin traces of their own; see [Config].NestWithin. A
// batch of a build that has never caught up, or is more than 10,000 events behind, has no
// links.
//
// Spans have neither the data of events, nor states, commands, or texts of errors; ids of
// streams and instances only if [Config].StreamIDs says so. A rejection and a conflict that
// was tried again are no errors.
//
// # Metrics
//
// Durations are in seconds. The buckets begin at 0.1 ms, because those of the SDK begin at
// 5 ms and a durable append can take less than one.
//
//	evolve.command.duration            by stream type, command type, outcome (and error.type if that is failed)
//	evolve.command.attempts            by stream type
//	evolve.conflicts                   by stream type
//	evolve.load.duration, .events      by stream type
//	evolve.append.duration, .events    by stream type, outcome
//	evolve.snapshots                   by stream type, result: saved, failed, missed
//	evolve.projection.events           by projection, result: applied, parked
//	evolve.projection.batch.duration   by projection
//	evolve.projection.failures         by projection, reason: event, diverged, other
//	evolve.projection.takeovers        by projection: how often this program became its owner
//	evolve.projection.lag              by projection: positions of the log ahead of it
//	evolve.projection.lag.time         by projection: the age of the oldest event that waits
//	evolve.projection.parked           by projection: keys
//	evolve.projection.state            by projection and state: 1 for the current one
//	evolve.process.reactions           by process, outcome: reacted, failed
//	evolve.process.commands            by process
//	evolve.process.failures            by process, reason: diverged, other
//	evolve.process.lag                 by process: positions of the log ahead of it
//	evolve.process.timers.pending      by process
//	evolve.process.waiting             by process: instances that are tried again
//	evolve.process.quarantined         by process: instances
//	evolve.process.state               by process and state: 1 for the current one
//
// An outcome is appended, unchanged, replayed, rejected, conflict, claimed, exhausted,
// unknown, invalid, cancelled or failed. Attributes have the prefix "evolve.". All their
// values come from your program, so there are few: no id of a stream or an event, no
// position and no text of an error is one. A tenant is one only if [Config].Tenants has it.
//
// This module requires the API of OpenTelemetry only. What collects and exports is yours to
// choose, and so are otelgrpc and otelpgx, whose spans take their places between these.
package otelevolve
