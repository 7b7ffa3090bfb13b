package accounts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/decider/runner/runnerhttp"
)

// maxBody is the largest body that a request may have, in bytes.
const maxBody = 1 << 16

// command returns the handler of a command. It reads a B from the body, as JSON, and
// runs the command that of makes of it on the stream {id}. It answers with the version, as
// ETag, and with the position in the log, as Position.
func command[B, C, S, E any](log *slog.Logger, run *runner.Runner[C, S, E], of func(body B) C) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		opts, err := runnerhttp.Options(r)
		if err != nil {
			problem(log, w, r, err)
			return
		}
		var body B
		err = json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&body)
		if err != nil && !errors.Is(err, io.EOF) { // no body is an empty one
			problem(log, w, r, &bodyError{err})
			return
		}
		out, err := run.Handle(r.Context(), r.PathValue("id"), of(body), opts...)
		if err != nil {
			problem(log, w, r, err)
			return
		}
		runnerhttp.SetETag(w.Header(), out.Version)
		runnerhttp.SetPosition(w.Header(), out.Position)
		w.WriteHeader(http.StatusNoContent)
	}
}

// bodyError is a request with a body that the route does not take.
type bodyError struct{ err error }

func (e *bodyError) Error() string   { return fmt.Sprintf("bad body: %v", e.err) }
func (e *bodyError) Unwrap() error   { return e.err }
func (e *bodyError) HTTPStatus() int { return http.StatusBadRequest }
