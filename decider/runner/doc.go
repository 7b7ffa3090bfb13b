// Package runner runs a decider on a store: [Runner.Handle] loads the stream,
// folds it, decides the command and appends the events, expecting the version
// that the decision was made on; and decides again if another one was faster.
//
//	accounts := runner.New("Account", bank.Decider, st, bank.Codec)
//	out, err := accounts.Handle(ctx, "acc-1", bank.Deposit{Cents: 500})
//
// # What comes back
//
//   - Decide said no: a *[RejectedError] around its error. Nothing is written and
//     nothing is tried again.
//   - Decide gave no events: nothing is appended, the version stays.
//   - The stream has moved on: only the events after the known version are read
//     and folded, and the command is decided again, see [Retry]. Not under
//     [ExpectVersion]: there the *store.ConflictError is returned at once.
//   - Attempts are used up: an *[ExhaustedError] around the last error.
//   - The events are in the stream already, from an earlier call with the same
//     [CommandID] or from an append whose answer was lost: [Outcome].Replayed,
//     with the current state.
//   - The answer of an append is lost: the stream is read for the command's own
//     event ids, and the same events are appended again if they are not there.
//     What stays in doubt is an *[UnknownOutcomeError].
//   - Another stream holds a key that an event claims, see [Runner.WithClaims]: a
//     *store.ClaimedError. Nothing is written and nothing is tried again.
//   - An event cannot be encoded: the codec's error. Nothing is written.
//   - The context ends: its error and cause, joined with the last error of the
//     store, inside an *[UnknownOutcomeError] if the events may be recorded.
//
// # At most once
//
// The ids of a command's events are a function of the stream, the command id and
// their index, never of the version. The store keeps ids unique, so a command
// lands at most once whatever is tried again: after conflicts and lost answers,
// in another process, after a restart, with a snapshot or without. A call without
// [CommandID] gets a random id, the same for all its attempts.
//
// # Streams that are hot, and long ones
//
// Callers who meet on a stream cost each other attempts. That is fine for a few,
// but when dozens write to one stream at once, some use up the attempts of the
// default [Retry]. A [Group] queues the callers of one process behind one load and
// one append, so that they cost each other nothing. [Runner.WithCache] spares the
// loading of streams that were in use just now, and [Runner.WithSnapshots] most of
// it for long ones, after a restart too.
package runner
