package otelevolve

import (
	"context"
	"errors"
	"fmt"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
)

// Outcomes of commands and appends.
const (
	appended  = "appended"
	unchanged = "unchanged"
	replayed  = "replayed"
	rejected  = "rejected"
	conflict  = "conflict"
	claimed   = "claimed"
	exhausted = "exhausted"
	unknown   = "unknown"
	invalid   = "invalid"
	cancelled = "cancelled"
	failed    = "failed"
)

// outcomeOf returns the outcome of a command.
func outcomeOf(err error, again bool, events int) string {
	switch {
	case err == nil && again:
		return replayed
	case err == nil && events == 0:
		return unchanged
	case err == nil:
		return appended
	case errors.Is(err, runner.ErrUnknownOutcome): // it may wrap any other error
		return unknown
	case errors.Is(err, runner.ErrRejected):
		return rejected
	case errors.Is(err, runner.ErrExhausted):
		return exhausted
	case errors.Is(err, store.ErrConflict):
		return conflict
	case errors.Is(err, store.ErrClaimed):
		return claimed
	case errors.Is(err, store.ErrInvalid), errors.Is(err, runner.ErrReused):
		return invalid
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return cancelled
	}
	return failed
}

// appendOutcome returns the outcome of an append.
func appendOutcome(err error, again bool) string {
	switch {
	case err == nil && again:
		return replayed
	case err == nil:
		return appended
	case errors.Is(err, store.ErrConflict):
		return conflict
	case errors.Is(err, store.ErrClaimed):
		return claimed
	case errors.Is(err, store.ErrInvalid):
		return invalid
	case !store.Definite(err):
		return unknown
	}
	return failed
}

// isFault reports whether a command with this outcome is an error for the operators of
// the program.
func isFault(outcome string) bool {
	switch outcome {
	case exhausted, unknown, invalid, failed:
		return true
	}
	return false
}

// errorType returns the Go type of the innermost error in err. The text of err is never
// used, because it may contain anything.
func errorType(err error) string {
	for {
		var inner error
		switch e := err.(type) { //nolint:errorlint // this looks for the innermost error
		case interface{ Unwrap() error }:
			inner = e.Unwrap()
		case interface{ Unwrap() []error }:
			if all := e.Unwrap(); len(all) > 0 {
				inner = all[len(all)-1]
			}
		}
		if inner == nil {
			return fmt.Sprintf("%T", err)
		}
		err = inner
	}
}
