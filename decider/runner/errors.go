package runner

import (
	"context"
	"errors"
	"fmt"

	"github.com/evolvego/evolve/store"
)

// What an error of a runner matches with errors.Is.
var (
	// ErrRejected: Decide returned an error. It is a *RejectedError.
	ErrRejected = errors.New("runner: rejected")
	// ErrExhausted: no attempt is left. It is an *ExhaustedError.
	ErrExhausted = errors.New("runner: attempts exhausted")
	// ErrUnknownOutcome: the events may be recorded, now or later. It is an
	// *UnknownOutcomeError.
	ErrUnknownOutcome = errors.New("runner: unknown outcome")
	// ErrReused: the command id is that of another command. It is a *ReusedError.
	ErrReused = errors.New("runner: command id is reused")
	// ErrClosed: the group was closed.
	ErrClosed = errors.New("runner: group closed")
)

// errPanicked is what the observer is told of a call that ends in a panic.
var errPanicked = errors.New("runner: the call panicked")

// RejectedError is a command that Decide returned an error for. Nothing was
// written.
type RejectedError struct {
	Stream store.Stream
	Err    error // what Decide returned
}

// Error is the text of the error that Decide returned.
func (e *RejectedError) Error() string { return e.Err.Error() }

// Is reports whether target is ErrRejected.
func (e *RejectedError) Is(target error) bool { return target == ErrRejected }

// Unwrap returns the error that Decide returned.
func (e *RejectedError) Unwrap() error { return e.Err }

// ExhaustedError is a command that was tried as often as it may be. Nothing was
// written, unless it is inside an *UnknownOutcomeError.
type ExhaustedError struct {
	Attempts int
	Err      error // of the last attempt
}

// Error says how many attempts there were, and what the last one ended with.
func (e *ExhaustedError) Error() string {
	return fmt.Sprintf("runner: gave up after %d attempts: %v", e.Attempts, e.Err)
}

// Is reports whether target is ErrExhausted.
func (e *ExhaustedError) Is(target error) bool { return target == ErrExhausted }

// Unwrap returns the error of the last attempt.
func (e *ExhaustedError) Unwrap() error { return e.Err }

// ReusedError is a command whose id is that of another command, see [Fingerprint]. It
// did not happen, and will not under this id.
type ReusedError struct {
	Stream    store.Stream
	CommandID string
	Version   uint64 // of the first event of the command that has the id
}

// Error says which id, and where the command that has it is.
func (e *ReusedError) Error() string {
	return fmt.Sprintf("runner: command id %q is that of another command, at version %d of %s", e.CommandID, e.Version, e.Stream)
}

// Is reports whether target is ErrReused.
func (e *ReusedError) Is(target error) bool { return target == ErrReused }

// UnknownOutcomeError is a command whose events may be recorded, now or later: either the
// answer of the store was lost and the runner could not find out whether they were
// recorded, or they are recorded and could not be read. Call again with the same command
// id: that is safe, and tells.
type UnknownOutcomeError struct {
	Stream    store.Stream
	CommandID string // empty if the call had none: then only the stream tells
	Err       error  // why it is unknown
}

// Error says which stream may have the events, and why it is unknown.
func (e *UnknownOutcomeError) Error() string {
	return fmt.Sprintf("runner: unknown outcome of an append to %s: %v", e.Stream, e.Err)
}

// Is reports whether target is ErrUnknownOutcome.
func (e *UnknownOutcomeError) Is(target error) bool { return target == ErrUnknownOutcome }

// Unwrap returns why the outcome is unknown.
func (e *UnknownOutcomeError) Unwrap() error { return e.Err }

// ended returns the error of a call whose ctx has ended after the error last, which may
// be nil. The error of ctx and its cause are both in it.
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

// conflict returns the error of a stream that is not at the version it should be.
func conflict(s store.Stream, expected, actual uint64) error {
	return &store.ConflictError{Stream: s, Expected: store.Exactly(expected), Actual: actual}
}
