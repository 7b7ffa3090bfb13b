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

// command returns a handler that runs a command. It reads a B from the JSON body, converts
// it to a command, and runs that on the stream {id}. The answer has the version in the
// header ETag, and the position in the log in the header Position.
func command[B, C, S, E any](log *slog.Logger, run *runner.Runner[C, S, E], convert func(body B) C) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		opts, err := runnerhttp.Options(r)
		if err != nil {
			problem(log, w, r, err)
			return
		}
		var body B
		err = json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&body)
		if err != nil && !errors.Is(err, io.EOF) { // no body counts as an empty one
			problem(log, w, r, &bodyError{err})
			return
		}
		out, err := run.Handle(r.Context(), r.PathValue("id"), convert(body), opts...)
		if err != nil {
			problem(log, w, r, err)
			return
		}
		runnerhttp.SetETag(w.Header(), out.Version)
		runnerhttp.SetPosition(w.Header(), out.Position)
		w.WriteHeader(http.StatusNoContent)
	}
}

// bodyError reports a request whose body the route cannot read.
type bodyError struct{ err error }

func (e *bodyError) Error() string   { return fmt.Sprintf("bad body: %v", e.err) }
func (e *bodyError) Unwrap() error   { return e.err }
func (e *bodyError) HTTPStatus() int { return http.StatusBadRequest }
