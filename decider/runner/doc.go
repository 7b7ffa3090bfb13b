// Package runner runs a decider on a store: [Runner.Handle] loads the stream, folds
// it, decides the command and appends the events, expecting the version that the
// decision was made on. If somebody else was faster, it decides again.
//
//	accounts := runner.New("Account", bank.Decider, st, bank.Codec)
//	out, err := accounts.Handle(ctx, "acc-1", bank.Deposit{Cents: 500})
//
// # What comes back
//
//   - Decide said no: a *[RejectedError] around its error. Nothing is written and
//     nothing is tried again.
//   - Decide gave no events: nothing is appended, and the version stays the same.
//   - The stream has moved on: only the events after the known version are read
//     and folded, and the command is decided again, see [Retry]. With [ExpectVersion]
//     the *store.ConflictError is returned at once.
//   - No attempt is left: an *[ExhaustedError] around the last error.
//   - The events are in the stream already, from an earlier call with the same
//     [CommandID] or from an append whose answer was lost: [Outcome].Replayed is set,
//     and the state is the current one. If the [Fingerprint] is another one, it is a
//     *[ReusedError].
//   - The answer to an append is lost: the stream is read for the command's own
//     event ids, and the same events are appended again if they are not there.
//     What stays in doubt is an *[UnknownOutcomeError].
//   - Another stream holds a key that an event claims, see [Runner.WithClaims]: a
//     *store.ClaimedError. Nothing is written and nothing is tried again.
//   - An event cannot be encoded, or not be read back: the codec's error. Nothing is
//     written.
//   - The context ends: its error and its cause, joined with the last error of the
//     store, inside an *[UnknownOutcomeError] if the events may be recorded.
//
// # Your functions run before the append
//
// Everything that is yours runs before the events are sent to the store: the codec
// encodes them, and reads them back unless it vouches that it can (see
// codec.Named.Vouches); Evolve folds them; claims, Clone and the encoding of a snapshot follow. If one
// of them panics, the panic reaches the caller of the command, nothing is recorded, the
// stream can still be loaded, and other callers do not notice. So Evolve must be pure:
// it sees events that are not recorded yet, and never will be if the append fails.
//
// What runs afterwards cannot change the outcome. The observer is told once of a snapshot
// that cannot be saved, and of an observer that panics. A panic at a moment when the events
// may be recorded is an *[UnknownOutcomeError] around a *[PanicError].
//
// # At most once
//
// The ids of a command's events are a function of the stream, the command id and
// their index, never of the version. The store keeps ids unique, so a command
// lands at most once whatever is tried again: after conflicts and lost answers,
// in another process, after a restart, with a snapshot or without. A call without
// [CommandID] gets a random id, the same for all its attempts.
//
// # Hot streams, and long ones
//
// Callers who meet on a stream cost each other attempts. That is fine for a few, but
// when dozens write to one stream at once, some use up the attempts of the default
// [Retry]. A [Group] queues the callers of one process behind one load and one append,
// so that they cost each other nothing. [Runner.WithCache] spares the loading of streams
// that were in use just now. [Runner.WithSnapshots] spares most of it for long streams,
// after a restart too.
package runner
