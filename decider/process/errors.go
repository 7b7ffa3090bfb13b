package process

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/evolvego/evolve/decider/projection"
)

// What an error of a process matches by errors.Is.
var (
	// ErrSuperseded: a later version of the process reacts now. Run ends with it.
	ErrSuperseded = errors.New("process: a later version has taken over")
	// ErrWaiting: an instance waits, because one of its inputs failed. The error is
	// an *InstanceError.
	ErrWaiting = errors.New("process: instance waits")
	// ErrNotWaiting: the instance does not wait, so there is nothing to release or
	// to skip.
	ErrNotWaiting = errors.New("process: instance does not wait")
	// ErrNoInstance: there is no such instance, or it is over.
	ErrNoInstance = errors.New("process: no such instance")
	// ErrRunning: Run was called on a Runtime that runs already.
	ErrRunning = errors.New("process: is running already")
	// ErrAhead: a position is beyond the head of the log, so there is nothing to
	// wait for. Its method HTTPStatus returns 400, because the position comes from a
	// client.
	ErrAhead error = aheadError{}
)

type aheadError struct{}

func (aheadError) Error() string   { return "process: position is beyond the head of the log" }
func (aheadError) HTTPStatus() int { return http.StatusBadRequest }

// errFenced: another owner has moved what this one works on.
var errFenced = errors.New("process: another owner has it")

// InstanceError is an instance that waits.
type InstanceError struct {
	Process     string // name and version, such as "Shipping@1"
	Instance    string
	Position    uint64 // of the input that failed
	Cause       string // why
	Since       time.Time
	Attempts    int
	Quarantined bool // it is not tried again until it is released
}

// Error says which instance, since which input, and why.
func (e *InstanceError) Error() string {
	state := "is tried again"
	if e.Quarantined {
		state = "is quarantined"
	}
	return fmt.Sprintf("process %s: instance %q waits at position %d and %s: %s", e.Process, e.Instance, e.Position, state, e.Cause)
}

// Is reports whether target is ErrWaiting.
func (e *InstanceError) Is(target error) bool { return target == ErrWaiting }

// PanicError is a panic of a function that a process was given, such as Send. It is the
// same type for projections.
type PanicError = projection.PanicError

// guard calls do, which runs code of the user, and returns a panic as an error.
func guard(in string, do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{In: in, Value: v, Stack: debug.Stack()}
		}
	}()
	return do()
}

// Permanent returns err marked as one that sending again does not mend, so that it matches
// [projection.ErrPermanent]: the instance is quarantined at once. Permanent of nil is nil.
func Permanent(err error) error { return projection.Permanent(err) }
