// Package contexts puts the bounded contexts of the program together.
package contexts

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/evolvego/evolve/store/memory"

	"github.com/evolvego/evolve/examples/slices/contexts/accounts"
	"github.com/evolvego/evolve/examples/slices/contexts/reports"
)

// Store is the store of the program.
type Store = *memory.Store

// Context is a bounded context at work.
type Context interface {
	// Routes adds the routes of the context to mux.
	Routes(mux *http.ServeMux)
	// Run runs what reacts to events until ctx ends. If nothing does, it returns at
	// once.
	Run(ctx context.Context) error
}

// All returns the contexts. Their events are in st.
func All(st Store, log *slog.Logger) []Context {
	return []Context{
		accounts.New(st, log),
		reports.New(st, log),
	}
}
