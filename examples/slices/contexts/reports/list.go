package reports

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/evolvego/evolve/store"
)

// list returns the handler of a query about many streams. It answers with what load
// returns, as JSON.
func list[V any](log *slog.Logger, st store.Log, load func(context.Context, store.Log) (V, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer, err := load(r.Context(), st)
		if err != nil {
			problem(log, w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			log.WarnContext(r.Context(), "answer not written", "path", r.URL.Path, "error", err)
		}
	}
}
