package runner

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/evolvego/evolve/store"
)

// expectation is what a call expects of the version of its stream.
type expectation struct {
	versions []uint64
	not      bool // none of versions, in place of one of them
}

// holds reports whether a stream at version is as expected. Nil expects nothing.
func (e *expectation) holds(version uint64) bool {
	return e == nil || slices.Contains(e.versions, version) != e.not
}

// once reports whether no other version than one will do.
func (e *expectation) once() bool { return e != nil && !e.not && len(e.versions) < 2 }

// conflict returns the error of s, which is at version actual and is not as expected.
func (e *expectation) conflict(s store.Stream, actual uint64) error {
	c := &store.ConflictError{Stream: s, Actual: actual}
	switch {
	case len(e.versions) != 1 || e.not && e.versions[0] > 0:
		return &expectationError{c, *e}
	case e.not:
		c.Expected = store.Exists
	default:
		c.Expected = store.Exactly(e.versions[0])
	}
	return c
}

// expectationError is a conflict with what a store.Expected cannot say.
type expectationError struct {
	*store.ConflictError

	expected expectation
}

// Error says at which version the stream is, and at which not, or not only.
func (e *expectationError) Error() string {
	var versions []string
	for _, v := range e.expected.versions {
		versions = append(versions, strconv.FormatUint(v, 10))
	}
	switch list := strings.Join(versions, ", "); {
	case e.expected.not:
		return fmt.Sprintf("runner: conflict: %s is at version %d, which is not to be one of %s", e.Stream, e.Actual, list)
	case list == "":
		return fmt.Sprintf("runner: conflict: %s is at version %d, and no version is expected", e.Stream, e.Actual)
	default:
		return fmt.Sprintf("runner: conflict: %s is at version %d, not at one of %s", e.Stream, e.Actual, list)
	}
}

// Unwrap returns the conflict.
func (e *expectationError) Unwrap() error { return e.ConflictError }
