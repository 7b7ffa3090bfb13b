// Package runner runs a decider on a store: [Runner.Handle] loads the stream, folds it,
// decides the command and appends the events, expecting the version that the decision was
// made on. If another writer got there first, it retries the decision.
//
//	accounts := runner.New("Account", bank.Decider, st, bank.Codec)
//	out, err := accounts.Handle(ctx, "acc-1", bank.Deposit{Cents: 500})
//
// # What Handle returns
//
//   - Decide returned an error: a *[RejectedError] that wraps it. Nothing is written and
//     nothing is retried.
//   - Decide returned no events: nothing is appended, and the version stays the same.
//   - The stream has moved on: only the events after the known version are read and
//     folded, and the command is decided again, see [Retry]. With [ExpectVersion] the
//     *store.ConflictError is returned at once.
//   - No attempts are left: an *[ExhaustedError] that wraps the last error.
//   - The events are already in the stream, from an earlier call with the same
//     [CommandID] or from an append whose answer was lost: [Outcome].Replayed is set, and
//     the state is the current one. If the [Fingerprint] differs, a *[ReusedError].
//   - The answer to an append is lost: the runner reads the stream for the command's own
//     event IDs, and appends the same events again if they are not there. If the outcome
//     stays unknown, an *[UnknownOutcomeError].
//   - Another stream holds a key that an event claims, see [Runner.WithClaims]: a
//     *store.ClaimedError. Nothing is written and nothing is retried.
//   - An event cannot be encoded, or cannot be read back: the codec's error. Nothing is
//     written.
//   - The context ends: its error and its cause, joined with the last error of the store,
//     inside an *[UnknownOutcomeError] if the events may be recorded.
//
// # Your functions run before the append
//
// All your functions run before the events are sent to the store. The codec encodes the
// events, and decodes them again unless it promises that it can (see
// codec.Named.Vouches). Then Evolve, claims, Clone and the encoding of a snapshot run. If
// one of them panics, the panic reaches the caller of the command, nothing is recorded,
// the stream can still be loaded, and other callers do not notice. So Evolve must be
// pure: it sees events that are not recorded yet, and never will be if the append fails.
//
// What runs afterwards cannot change the outcome. If a snapshot cannot be saved or the
// observer panics, the observer receives one notice. A panic at a moment when the events
// may be recorded becomes an *[UnknownOutcomeError] that wraps a *[PanicError].
//
// # At most once
//
// The IDs of a command's events are a function of the stream, the command ID and their
// index, never of the version. The store keeps IDs unique, so a command is recorded at
// most once, however it is retried: after conflicts and lost answers, in another process,
// after a restart, with a snapshot or without. A call without [CommandID] gets a random
// ID, which is the same for all its attempts.
//
// # Hot streams and long streams
//
// Concurrent callers on one stream make each other retry. That is fine for a few callers.
// When dozens write to one stream at once, some use up the attempts of the default
// [Retry]. A [Group] queues the callers of one process behind one load and one append, so
// that they do not make each other retry. [Runner.WithCache] saves loading streams that
// were used recently. [Runner.WithSnapshots] saves most of the loading of long streams,
// also after a restart.
package runner
