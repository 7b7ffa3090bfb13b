package accounts

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/evolvego/evolve/decider/runner/runnerhttp"
	"github.com/evolvego/evolve/store"
)

// query returns a handler that answers a query with what load returns for {id}, as JSON,
// and the version in the header ETag. If the version is 0, it answers 404.
func query[V any](log *slog.Logger, st store.Store, load func(context.Context, store.Store, string) (V, uint64, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer, version, err := load(r.Context(), st, r.PathValue("id"))
		if err != nil {
			problem(log, w, r, err)
			return
		}
		if version == 0 {
			http.NotFound(w, r)
			return
		}
		runnerhttp.SetETag(w.Header(), version)
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			log.WarnContext(r.Context(), "answer not written", "path", r.URL.Path, "error", err)
		}
	}
}
