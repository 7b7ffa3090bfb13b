package store

import (
	"errors"
	"fmt"
)

// The errors that stores return match these with errors.Is.
var (
	// ErrConflict means that the stream is not at the expected version. The error is a
	// *ConflictError.
	ErrConflict = errors.New("store: conflict")
	// ErrDuplicate means that another event already has this event id. The error is a
	// *DuplicateError.
	ErrDuplicate = errors.New("store: duplicate event id")
	// ErrInvalid means that an argument is not valid. The error is an *InvalidError.
	ErrInvalid = errors.New("store: invalid argument")
	// ErrClosed means that the store is closed.
	ErrClosed = errors.New("store: closed")
	// ErrClaimed means that another stream holds a key. The error is a *ClaimedError.
	ErrClaimed = errors.New("store: key is held by another stream")
	// ErrLeaseHeld means that another owner holds the lease. The error is a
	// *LeaseHeldError.
	ErrLeaseHeld = errors.New("store: lease is held")
	// ErrRefused means that the store could not do this write and wrote nothing, for
	// example because it is read-only, its disk is full, or it did not get a lock in time.
	// The store's error says why. The same write may succeed later.
	ErrRefused = errors.New("store: refused")
	// ErrLogDiverged means that this is not the log that the consumer read before. The
	// error is a *DivergedError.
	ErrLogDiverged = errors.New("store: log diverged")
)

// Definite reports whether err, which Append or AppendClaiming returned, guarantees
// that nothing was recorded and nothing will be: that is, whether it matches
// ErrConflict, ErrDuplicate, ErrClaimed, ErrInvalid, ErrRefused or ErrClosed. After any
// other error the outcome is unknown.
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

// Error returns a message with the stream, its version and the expected version.
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

// DuplicateError reports an append that was refused because one of its event ids is
// already recorded, and the append is not a repetition of a recorded one: the recorded
// event differs, is in another stream, or only a part of the batch is recorded.
type DuplicateError struct {
	Stream  Stream // the stream of the append
	EventID string // the first id of the batch that is already recorded
	In      Stream // the stream of the recorded event
	Version uint64 // the version of the recorded event
}

// Error returns a message with the id and the event that already has it.
func (e *DuplicateError) Error() string {
	return fmt.Sprintf("store: duplicate event id: append to %s: id %q is version %d of %s",
		e.Stream, e.EventID, e.Version, e.In)
}

// Is reports whether target is ErrDuplicate.
func (e *DuplicateError) Is(target error) bool { return target == ErrDuplicate }

// InvalidError reports an argument that no store accepts, or that this store does not
// accept.
type InvalidError struct {
	Field  string // what is wrong, such as "stream.id" or "events[2].type"
	Reason string // why, such as "is empty"
}

// Error returns a message with the field and the reason.
func (e *InvalidError) Error() string {
	return "store: invalid argument: " + e.Field + " " + e.Reason
}

// Is reports whether target is ErrInvalid.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }
