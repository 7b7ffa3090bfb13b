package process

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/evolvego/evolve/decider/projection"
)

// Errors that the errors of a process match by errors.Is.
var (
	// ErrSuperseded means that a later version of the process is active. Run ends with
	// it.
	ErrSuperseded = errors.New("process: a later version has taken over")
	// ErrWaiting means that an instance waits, because one of its inputs failed. The
	// error is an *InstanceError.
	ErrWaiting = errors.New("process: instance waits")
	// ErrNotWaiting means that the instance does not wait, so there is nothing to release
	// or to skip.
	ErrNotWaiting = errors.New("process: instance does not wait")
	// ErrNoInstance means that there is no such instance, or that it is over.
	ErrNoInstance = errors.New("process: no such instance")
	// ErrRunning means that Run was called on a Runtime that is already running.
	ErrRunning = errors.New("process: already running")
	// ErrAhead means that a position is beyond the head of the log, so there is nothing
	// to wait for. Its method HTTPStatus returns 400, because the position comes from a
	// client.
	ErrAhead error = aheadError{}
)

type aheadError struct{}

func (aheadError) Error() string   { return "process: position is beyond the head of the log" }
func (aheadError) HTTPStatus() int { return http.StatusBadRequest }

// errFenced means that another owner has changed the checkpoint or an instance.
var errFenced = errors.New("process: owned by another instance")

// InstanceError describes an instance that waits.
type InstanceError struct {
	Process     string // name and version, such as "Shipping@1"
	Instance    string
	Position    uint64 // of the input that failed
	Cause       string // why
	Since       time.Time
	Attempts    int
	Quarantined bool // it is not retried until it is released
}

// Error names the instance, the input that it waits at, and the cause.
func (e *InstanceError) Error() string {
	state := "is retried"
	if e.Quarantined {
		state = "is quarantined"
	}
	return fmt.Sprintf("process %s: instance %q waits at position %d and %s: %s", e.Process, e.Instance, e.Position, state, e.Cause)
}

// Is reports whether target is ErrWaiting.
func (e *InstanceError) Is(target error) bool { return target == ErrWaiting }

// PanicError is a panic of a user function, such as Send. Projections use the same type.
type PanicError = projection.PanicError

// guard calls do, which runs user code, and returns a panic as an error.
func guard(in string, do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{In: in, Value: v, Stack: debug.Stack()}
		}
	}()
	return do()
}

// Permanent marks err as an error that a retry does not fix: the result matches
// [projection.ErrPermanent], and the instance is quarantined at once. Permanent of nil is
// nil.
func Permanent(err error) error { return projection.Permanent(err) }
