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
	not      bool // expect none of versions, instead of one of them
}

// holds reports whether a stream at version meets the expectation. A nil expectation
// always holds.
func (e *expectation) holds(version uint64) bool {
	return e == nil || slices.Contains(e.versions, version) != e.not
}

// once reports whether exactly one version meets the expectation.
func (e *expectation) once() bool { return e != nil && !e.not && len(e.versions) < 2 }

// conflict returns the error of s, which is at version actual and does not meet the
// expectation.
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

// expectationError is a conflict with an expectation that a store.Expected cannot
// express.
type expectationError struct {
	*store.ConflictError

	expected expectation
}

// Error says at which version the stream is, and which versions were or were not
// expected.
func (e *expectationError) Error() string {
	var versions []string
	for _, v := range e.expected.versions {
		versions = append(versions, strconv.FormatUint(v, 10))
	}
	switch list := strings.Join(versions, ", "); {
	case e.expected.not:
		return fmt.Sprintf("runner: conflict: %s is at version %d, but must not be at one of %s", e.Stream, e.Actual, list)
	case list == "":
		return fmt.Sprintf("runner: conflict: %s is at version %d, but no version is acceptable", e.Stream, e.Actual)
	default:
		return fmt.Sprintf("runner: conflict: %s is at version %d, want one of %s", e.Stream, e.Actual, list)
	}
}

// Unwrap returns the conflict.
func (e *expectationError) Unwrap() error { return e.ConflictError }
