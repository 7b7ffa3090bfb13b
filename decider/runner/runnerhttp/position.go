package runnerhttp

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/evolvego/evolve/store"
)

// The headers that let a client read its own writes.
const (
	positionHeader = "Position"
	atLeastHeader  = "At-Least"
)

// SetPosition sets the header Position of a response to the position of a command's
// events in the log, such as [runner.Outcome].Position. A client that sends the number
// back in the header At-Least of a query reads its own writes, see [AtLeast]. Position 0
// sets nothing.
func SetPosition(h http.Header, position uint64) {
	if position > 0 {
		h.Set(positionHeader, strconv.FormatUint(position, 10))
	}
}

// AtLeast returns the position in the header At-Least of r, or 0 if there is none. Put it
// in the context with cqrs.AtLeast, or wait for it with the method WaitFor of a
// projection. A header that is repeated or is not a position is a *HeaderError.
func AtLeast(r *http.Request) (position uint64, err error) {
	text, ok, err := single(r.Header, atLeastHeader)
	if err != nil || !ok {
		return 0, err
	}
	position, err = strconv.ParseUint(text, 10, 64)
	if err != nil || position > store.MaxVersion {
		return 0, &HeaderError{atLeastHeader, fmt.Sprintf("is %.100q; it must be a number from a Position header", text)}
	}
	return position, nil
}
