package store

import (
	"errors"
	"fmt"
)

// The errors of a store match these with errors.Is.
var (
	// ErrConflict: the stream is not at the version that was expected. The
	// error is a *ConflictError.
	ErrConflict = errors.New("store: conflict")
	// ErrDuplicate: another event has an event id. The error is a *DuplicateError.
	ErrDuplicate = errors.New("store: duplicate event id")
	// ErrInvalid: an argument is not valid. The error is an *InvalidError.
	ErrInvalid = errors.New("store: invalid argument")
	// ErrClosed: the store is closed.
	ErrClosed = errors.New("store: closed")
	// ErrClaimed: another stream holds a key. The error is a *ClaimedError.
	ErrClaimed = errors.New("store: key is held by another stream")
	// ErrLeaseHeld: another owner has the lease. The error is a
	// *LeaseHeldError.
	ErrLeaseHeld = errors.New("store: lease is held")
	// ErrRefused: the store cannot make this write now and has made nothing of
	// it, for example because it is read-only, its disk is full, or a lock was
	// not free in time. The error of the store says why. Writing again later
	// may succeed.
	ErrRefused = errors.New("store: refused")
	// ErrLogDiverged: this is not the log that the consumer read before. The
	// error is a *DivergedError.
	ErrLogDiverged = errors.New("store: log diverged")
)

// Definite reports whether an error of Append, or AppendClaiming, says for
// certain that nothing was recorded and nothing will be: whether it matches
// ErrConflict, ErrDuplicate, ErrClaimed, ErrInvalid, ErrRefused or ErrClosed. After
// any other error the outcome is unknown.
func Definite(err error) bool {
	return errors.Is(err, ErrConflict) || errors.Is(err, ErrDuplicate) || errors.Is(err, ErrClaimed) ||
		errors.Is(err, ErrInvalid) || errors.Is(err, ErrRefused) || errors.Is(err, ErrClosed)
}

// ConflictError reports an append that was refused because its stream was not at the
// expected version.
type ConflictError struct {
	Stream   Stream
	Expected Expected
	Actual   uint64 // the stream's version at the time; 0: no events
}

// Error says which stream, at which version it is, and what was expected.
func (e *ConflictError) Error() string {
	switch version, one := e.Expected.Version(); {
	case one && version > 0:
		return fmt.Sprintf("store: conflict: %s is at version %d, not %d", e.Stream, e.Actual, version)
	case e.Expected == NoStream:
		return fmt.Sprintf("store: conflict: %s exists, at version %d", e.Stream, e.Actual)
	case e.Expected == Exists:
		return fmt.Sprintf("store: conflict: %s does not exist", e.Stream)
	}
	return fmt.Sprintf("store: conflict: %s is at version %d, expected %s", e.Stream, e.Actual, e.Expected)
}

// Is reports whether target is ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// DuplicateError reports an append that was refused because one of its event ids belongs
// to a recorded event, and the batch as a whole is not recorded: the event differs, is in
// another stream, or only a part of the batch is recorded.
type DuplicateError struct {
	Stream  Stream // that was appended to
	EventID string // the first id of the batch that is taken
	In      Stream // the stream of the event that has it
	Version uint64 // the version of that event
}

// Error says which id, and which event has it.
func (e *DuplicateError) Error() string {
	return fmt.Sprintf("store: duplicate event id: append to %s: id %q is version %d of %s",
		e.Stream, e.EventID, e.Version, e.In)
}

// Is reports whether target is ErrDuplicate.
func (e *DuplicateError) Is(target error) bool { return target == ErrDuplicate }

// InvalidError reports an argument that no store accepts, or that this store does not.
type InvalidError struct {
	Field  string // what is wrong, such as "stream.id" or "events[2].type"
	Reason string // why, such as "is empty"
}

// Error says which field, and why.
func (e *InvalidError) Error() string {
	return "store: invalid argument: " + e.Field + " " + e.Reason
}

// Is reports whether target is ErrInvalid.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }
