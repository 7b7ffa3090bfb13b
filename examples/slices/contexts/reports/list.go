package reports

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/runner/runnerhttp"
)

// patience is how long a query waits for its read model to catch up.
const patience = 5 * time.Second

// list returns a handler that answers a query with what load reads from p, as JSON. A
// client that sends the Position of its last command in the header At-Least sees its own
// changes.
func list[V any, T projection.Tx, E any](
	log *slog.Logger, p *projection.Projection[T, E], load func(context.Context, *projection.Projection[T, E]) (V, error),
) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		position, err := runnerhttp.AtLeast(r)
		if err == nil && position > 0 {
			err = p.WaitFor(ctx, position)
		}
		if err != nil {
			problem(log, w, r, err)
			return
		}
		answer, err := load(ctx, p)
		if err != nil {
			problem(log, w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			log.WarnContext(ctx, "answer not written", "path", r.URL.Path, "error", err)
		}
	}
}
