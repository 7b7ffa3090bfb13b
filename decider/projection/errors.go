package projection

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// Errors that the errors of a projection match by errors.Is.
var (
	// ErrFenced means that another instance owns the projection. Run, Unpark and Retire
	// handle it. You see it as a cause in [Progress].
	ErrFenced = errors.New("projection: owned by another instance")
	// ErrParked means that an event of the key is parked, so the read model of the key is
	// not up to date until Unpark has succeeded.
	ErrParked = errors.New("projection: key is parked")
	// ErrFilterGrew means that the source now reads events that it did not read before,
	// and that some of them are behind the checkpoint: the read model would lack them.
	// Run a new version.
	ErrFilterGrew = errors.New("projection: the source reads more events than before")
	// ErrPermanent means that a retry does not help. [Permanent] marks such an error.
	ErrPermanent = errors.New("projection: a retry does not help")
	// ErrRetired means that Retire has ended this version.
	ErrRetired = errors.New("projection: version is retired")
	// ErrActive means that readers use this version, so it cannot be retired.
	ErrActive = errors.New("projection: version is active")
	// ErrRunning means that Run was called on a projection that is already running.
	ErrRunning = errors.New("projection: already running")
	// ErrAhead means that a position is beyond the head of the log, so there is nothing
	// to wait for. Its method HTTPStatus returns 400, because the position comes from a
	// client.
	ErrAhead error = aheadError{}
)

type aheadError struct{}

func (aheadError) Error() string   { return "projection: position is beyond the head of the log" }
func (aheadError) HTTPStatus() int { return http.StatusBadRequest }

// EventError describes an event that a projection cannot handle.
type EventError struct {
	Build    string // the projection and its version, such as "balances@1"
	Position uint64 // in the log
	Stream   store.Stream
	Version  uint64 // in the stream
	Type     string
	Err      error
}

// Error names the projection, the event, and the reason.
func (e *EventError) Error() string {
	return fmt.Sprintf("projection %s: event at position %d (%s, version %d of %s): %v",
		e.Build, e.Position, e.Type, e.Version, e.Stream, e.Err)
}

// Unwrap returns why the event cannot be handled.
func (e *EventError) Unwrap() error { return e.Err }

func eventError(build string, r *store.Recorded, err error) error {
	return &EventError{Build: build, Position: r.Position, Stream: r.Stream, Version: r.Version, Type: r.Type, Err: err}
}

// PanicError is a panic of a user function.
type PanicError struct {
	In    string // the function, such as "apply"
	Value any    // of the panic
	Stack []byte
}

// Error names the function that panicked, and the value of the panic.
func (e *PanicError) Error() string { return fmt.Sprintf("%s panicked: %v", e.In, e.Value) }

// Unwrap returns the value of the panic if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// guard calls do, which runs user code, and returns its panic as an error.
func guard(in string, do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{In: in, Value: v, Stack: debug.Stack()}
		}
	}()
	return do()
}

// userError is an error of setup or ready, as applyError is an error of an event.
type userError struct {
	in  string
	err error
}

const inSetup, inReady = "setup", "ready"

func (e *userError) Error() string { return e.in + ": " + e.err.Error() }

func (e *userError) Unwrap() error { return e.err }

type permanentError struct{ err error }

func (e *permanentError) Error() string        { return e.err.Error() }
func (e *permanentError) Unwrap() error        { return e.err }
func (e *permanentError) Is(target error) bool { return target == ErrPermanent }

// Permanent marks err as an error that a retry does not fix: the result matches
// [ErrPermanent], and a projection with [Projection.WithParking] parks the event at once.
// Permanent of nil is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// isPermanent reports whether a retry is useless, because err comes from pure code.
func isPermanent(err error) bool {
	return errors.Is(err, ErrPermanent) || errors.As(err, new(*PanicError)) ||
		errors.Is(err, codec.ErrDecode) || errors.Is(err, codec.ErrUnknown)
}
