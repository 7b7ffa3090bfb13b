package runnerhttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
)

// problem is a problem details object (RFC 9457 §3). Its type is always "about:blank", so
// its title is the title of the status (§4.2.1).
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`

	retryAfter int // seconds, for the header; 0: none
}

// WriteProblem answers request r with a problem details object (RFC 9457) for err, and
// returns the status that it wrote:
//
//	a rejection                         422, or the status of err's method HTTPStatus() int
//	an unhandled command                400
//	a bad header, an invalid id         400
//	a key that another request used     422
//	a conflict under a condition        412
//	a conflict on every attempt         409 with Retry-After
//	a claimed key                       409, without the stream that holds it
//	an unknown outcome                  503 with Retry-After: send it again with the same key
//	the context ended                   503 with Retry-After
//	anything else                       500
//
// The detail is the text of err, except for a 500, which belongs in your log.
// WriteProblem looks for the method HTTPStatus in the whole chain of err, rejection or
// not. err must not be nil.
func WriteProblem(w http.ResponseWriter, r *http.Request, err error) (status int) {
	p := problemOf(r, err)
	p.Title = http.StatusText(p.Status)
	body, _ := json.Marshal(p) // cannot fail: two strings and an int
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // a client that is gone needs no answer
	return p.Status
}

// problemOf returns the problem that err means as the answer to r.
func problemOf(r *http.Request, err error) problem {
	var claimed *store.ClaimedError
	var own interface {
		error
		HTTPStatus() int
	}
	switch {
	case errors.As(err, &own):
		return problem{Status: own.HTTPStatus(), Detail: err.Error()}
	case errors.Is(err, decider.ErrUnhandled), errors.Is(err, ErrHeader), errors.Is(err, store.ErrInvalid):
		return problem{Status: http.StatusBadRequest, Detail: err.Error()}
	case errors.Is(err, runner.ErrReused):
		return problem{
			Status: http.StatusUnprocessableEntity,
			Detail: "another request used this Idempotency-Key: send a new one",
		}
	case errors.Is(err, runner.ErrRejected):
		return problem{Status: http.StatusUnprocessableEntity, Detail: err.Error()}
	case errors.Is(err, runner.ErrUnknownOutcome):
		return problem{
			Status: http.StatusServiceUnavailable, retryAfter: 1,
			Detail: "it is not known whether this happened: send it again with the same Idempotency-Key",
		}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return problem{
			Status: http.StatusServiceUnavailable, retryAfter: 1,
			Detail: "this took too long and did not happen: send it again",
		}
	case errors.Is(err, store.ErrConflict) && conditional(r.Header):
		return problem{Status: http.StatusPreconditionFailed, Detail: conflict(err)}
	case errors.Is(err, store.ErrConflict):
		return problem{Status: http.StatusConflict, retryAfter: 1, Detail: "too many concurrent changes: send it again"}
	case errors.As(err, &claimed):
		return problem{Status: http.StatusConflict, Detail: fmt.Sprintf("%q is taken", claimed.Key)}
	}
	return problem{Status: http.StatusInternalServerError}
}

// conditional reports whether the client set a condition.
func conditional(h http.Header) bool {
	return len(h.Values("If-Match")) > 0 || len(h.Values("If-None-Match")) > 0
}

// conflict tells the client the current version.
func conflict(err error) string {
	c, ok := errors.AsType[*store.ConflictError](err)
	switch {
	case !ok:
		return err.Error()
	case c.Actual == 0:
		return "it does not exist"
	}
	return "it is at version " + strconv.FormatUint(c.Actual, 10)
}
