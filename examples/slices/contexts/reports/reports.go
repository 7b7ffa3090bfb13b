// Package reports is the context of reports: what the rest of the program may use
// of it.
package reports

import (
	"log/slog"
	"net/http"

	"github.com/evolvego/evolve/store/memory"

	"github.com/evolvego/evolve/examples/slices/contexts/reports/internal/listowners"
)

// Store is the store of the program. To keep events, make it *sqlite.Store or
// *postgres.Store here, in the other contexts and in main.
type Store = *memory.Store

// Reports is the context at work. It is safe for concurrent use.
type Reports struct {
	store Store
	log   *slog.Logger
}

// New returns the context. Its events are in st.
func New(st Store, log *slog.Logger) *Reports {
	return &Reports{store: st, log: log}
}

// Routes adds the routes of the context to mux.
func (r *Reports) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /reports/owners", list(r.log, listowners.Projection(r.store, r.store), listowners.Load))
}
