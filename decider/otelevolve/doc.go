// Package otelevolve makes OpenTelemetry traces and metrics for runners, stores,
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
// A caller's span is the parent of the spans of its calls: the span of a request is the
// parent of "handle Account", which is the parent of "load Account" and "append Account",
// which are the parents of the spans of the store's driver. Events carry the context of
// the command's span in the headers traceparent and tracestate, so that later reactions
// are linked to it: the span "process balances@1" of a batch has a link to each command
// whose events are in it, up to 128, and the span "react Transfers@1" has a link to the
// command that made the event. The command does not wait for these spans, so they begin
// traces of their own; see [Config].NestWithin. A batch of a build that has never caught
// up, or that is more than 10,000 events behind, has no links.
//
// Spans contain no data of events, and no states, commands or error texts. They contain
// ids of streams and instances only if [Config].StreamIDs is set. A rejection is not an
// error, and neither is a conflict that was retried.
//
// # Metrics
//
// Durations are in seconds. The buckets begin at 0.1 ms, because those of the SDK begin
// at 5 ms and a durable append can take less than one.
//
//	evolve.command.duration            by stream type, command type, outcome (and error.type if it is failed)
//	evolve.command.attempts            by stream type
//	evolve.conflicts                   by stream type
//	evolve.load.duration, .events      by stream type
//	evolve.append.duration, .events    by stream type, outcome
//	evolve.snapshots                   by stream type, result: saved, failed, missed
//	evolve.projection.events           by projection, result: applied, parked
//	evolve.projection.batch.duration   by projection
//	evolve.projection.failures         by projection, reason: event, diverged, other
//	evolve.projection.takeovers        by projection: how often this program became its owner
//	evolve.projection.lag              by projection: positions of the log that are not handled
//	evolve.projection.lag.time         by projection: the age of the oldest event that waits
//	evolve.projection.parked           by projection: keys
//	evolve.projection.state            by projection and state: 1 for the current one
//	evolve.process.reactions           by process, outcome: reacted, failed
//	evolve.process.commands            by process
//	evolve.process.failures            by process, reason: diverged, other
//	evolve.process.lag                 by process: positions of the log that are not handled
//	evolve.process.timers.pending      by process
//	evolve.process.waiting             by process: instances that are retried
//	evolve.process.quarantined         by process: instances
//	evolve.process.state               by process and state: 1 for the current one
//
// An outcome is appended, unchanged, replayed, rejected, conflict, claimed, exhausted,
// unknown, invalid, cancelled or failed. Attributes have the prefix "evolve.". All their
// values come from your program, so there are few: they include no id of a stream or an
// event, no position and no error text. They include a tenant only if [Config].Tenants
// lists it.
//
// This module requires only the API of OpenTelemetry. Collect and export with what you
// like, and add otelgrpc and otelpgx, whose spans fit in between these.
package otelevolve
