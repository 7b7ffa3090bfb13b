package runner

import (
	"context"
	"errors"
	"fmt"

	"github.com/evolvego/evolve/store"
)

// Errors that the errors of a runner match by errors.Is.
var (
	// ErrRejected means that Decide returned an error. The error is a *RejectedError.
	ErrRejected = errors.New("runner: rejected")
	// ErrExhausted means that no attempts are left. The error is an *ExhaustedError.
	ErrExhausted = errors.New("runner: attempts exhausted")
	// ErrUnknownOutcome means that the events may be recorded, now or later. The error is
	// an *UnknownOutcomeError.
	ErrUnknownOutcome = errors.New("runner: unknown outcome")
	// ErrReused means that the command ID belongs to another command. The error is a
	// *ReusedError.
	ErrReused = errors.New("runner: command id reused")
	// ErrClosed means that the group was closed.
	ErrClosed = errors.New("runner: group closed")
)

// errPanicked is the error in the notice of a call that panicked.
var errPanicked = errors.New("runner: the call panicked")

// RejectedError is the error of a command that Decide rejected. Nothing was written.
type RejectedError struct {
	Stream store.Stream
	Err    error // the error that Decide returned
}

// Error returns the text of the error that Decide returned.
func (e *RejectedError) Error() string { return e.Err.Error() }

// Is reports whether target is ErrRejected.
func (e *RejectedError) Is(target error) bool { return target == ErrRejected }

// Unwrap returns the error that Decide returned.
func (e *RejectedError) Unwrap() error { return e.Err }

// ExhaustedError is the error of a command that used up its attempts. Nothing was
// written, unless it is inside an *UnknownOutcomeError.
type ExhaustedError struct {
	Attempts int
	Err      error // of the last attempt
}

// Error says how many attempts there were, and how the last one ended.
func (e *ExhaustedError) Error() string {
	return fmt.Sprintf("runner: gave up after %d attempts: %v", e.Attempts, e.Err)
}

// Is reports whether target is ErrExhausted.
func (e *ExhaustedError) Is(target error) bool { return target == ErrExhausted }

// Unwrap returns the error of the last attempt.
func (e *ExhaustedError) Unwrap() error { return e.Err }

// ReusedError is the error of a command whose ID belongs to another command, see
// [Fingerprint]. The command did not run, and will not run under this ID.
type ReusedError struct {
	Stream    store.Stream
	CommandID string
	Version   uint64 // of the first event of the other command
}

// Error names the ID, and where the other command is recorded.
func (e *ReusedError) Error() string {
	return fmt.Sprintf("runner: command id %q belongs to another command, recorded at version %d of %s", e.CommandID, e.Version, e.Stream)
}

// Is reports whether target is ErrReused.
func (e *ReusedError) Is(target error) bool { return target == ErrReused }

// UnknownOutcomeError is the error of a command whose events may be recorded, now or
// later. Either the answer of the store was lost and the runner could not find out
// whether the events were recorded, or they are recorded and could not be read. Call
// again with the same command ID to find out. That is safe.
type UnknownOutcomeError struct {
	Stream    store.Stream
	CommandID string // empty if the call had none: then only the stream tells
	Err       error  // why the outcome is unknown
}

// Error names the stream that may contain the events, and says why the outcome is
// unknown.
func (e *UnknownOutcomeError) Error() string {
	return fmt.Sprintf("runner: unknown outcome of an append to %s: %v", e.Stream, e.Err)
}

// Is reports whether target is ErrUnknownOutcome.
func (e *UnknownOutcomeError) Is(target error) bool { return target == ErrUnknownOutcome }

// Unwrap returns why the outcome is unknown.
func (e *UnknownOutcomeError) Unwrap() error { return e.Err }

// refused reports whether a store refused events for what they are, which depends on the
// state that they were decided on. Nothing was written.
func refused(err error) bool {
	return !errors.Is(err, ErrUnknownOutcome) && (errors.Is(err, store.ErrInvalid) || errors.Is(err, store.ErrClaimed))
}

// ended returns the error of a call whose ctx has ended after the error last, which may
// be nil. It contains the error of ctx and its cause.
func ended(ctx context.Context, last error) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if !errors.Is(cause, err) {
		cause = fmt.Errorf("%w: %w", err, cause)
	}
	switch {
	case last == nil:
		return cause
	case errors.Is(last, err) && errors.Is(last, context.Cause(ctx)):
		return last
	}
	return fmt.Errorf("%w, after: %w", cause, last)
}

// conflict returns the error of a stream that is not at the expected version.
func conflict(s store.Stream, expected, actual uint64) error {
	return &store.ConflictError{Stream: s, Expected: store.Exactly(expected), Actual: actual}
}
