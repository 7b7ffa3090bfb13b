package runnerhttp

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/evolvego/evolve/store"
)

// The headers that let a client read what it wrote.
const (
	positionHeader = "Position"
	atLeastHeader  = "At-Least"
)

// SetPosition sets the header Position of a response to that of a command's events in
// the log, such as [runner.Outcome].Position. A client that sends the number back in the
// header At-Least of a query reads what it wrote, see [AtLeast]. 0 sets nothing.
func SetPosition(h http.Header, position uint64) {
	if position > 0 {
		h.Set(positionHeader, strconv.FormatUint(position, 10))
	}
}

// AtLeast returns the position that the header At-Least of r asks for, 0 if there is
// none. Put it in the context with cqrs.AtLeast, or wait for it with the method WaitFor
// of a projection. A header that comes twice or is no position is a *HeaderError.
func AtLeast(r *http.Request) (position uint64, err error) {
	text, ok, err := single(r.Header, atLeastHeader)
	if err != nil || !ok {
		return 0, err
	}
	position, err = strconv.ParseUint(text, 10, 64)
	if err != nil || position > store.MaxVersion {
		return 0, &HeaderError{atLeastHeader, fmt.Sprintf("is %.100q; it must be a number as the header Position has it", text)}
	}
	return position, nil
}
