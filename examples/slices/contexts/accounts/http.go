package accounts

import (
	"log/slog"
	"net/http"

	"github.com/evolvego/evolve/decider/runner/runnerhttp"
)

// problem answers with err, as a problem document, and logs it if the server is at fault.
func problem(log *slog.Logger, w http.ResponseWriter, r *http.Request, err error) {
	if status := runnerhttp.WriteProblem(w, r, err); status >= http.StatusInternalServerError {
		log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "status", status, "error", err)
	}
}
