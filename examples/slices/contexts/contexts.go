// Package contexts assembles the bounded contexts of the program.
package contexts

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/evolvego/evolve/store/memory"

	"github.com/evolvego/evolve/examples/slices/contexts/accounts"
	"github.com/evolvego/evolve/examples/slices/contexts/reports"
)

// Store is the type of the program's store.
type Store = *memory.Store

// Context is a running bounded context.
type Context interface {
	// Routes adds the routes of the context to mux.
	Routes(mux *http.ServeMux)
	// Run runs the projections and processes of the context until ctx ends. If there
	// are none, it returns at once.
	Run(ctx context.Context) error
}

// All returns the contexts, which keep their events in st.
func All(st Store, log *slog.Logger) []Context {
	return []Context{
		accounts.New(st, log),
		reports.New(st, log),
	}
}
