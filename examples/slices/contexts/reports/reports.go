// Package reports is the bounded context reports. It exports what the rest of the
// program may use.
package reports

import (
	"log/slog"
	"net/http"

	"github.com/evolvego/evolve/store/memory"

	"github.com/evolvego/evolve/examples/slices/contexts/reports/internal/listowners"
)

// Store is the type of the program's store. To keep events after the program ends, change
// it to *sqlite.Store or *postgres.Store here, in the other contexts and in main.
type Store = *memory.Store

// Reports is the running context. It is safe for concurrent use.
type Reports struct {
	store Store
	log   *slog.Logger
}

// New returns the context, which keeps its events in st.
func New(st Store, log *slog.Logger) *Reports {
	return &Reports{store: st, log: log}
}

// Routes adds the routes of the context to mux.
func (r *Reports) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /reports/owners", list(r.log, listowners.Projection(r.store, r.store), listowners.Load))
}
