package contexts_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/evolvego/evolve/store/memory"

	"github.com/evolvego/evolve/examples/slices/contexts"
)

func TestAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		mux := http.NewServeMux()
		for _, c := range contexts.All(memory.New(), slog.New(slog.DiscardHandler)) {
			c.Routes(mux)
			group.Go(func() { _ = c.Run(ctx) })
		}
		opened := httptest.NewRecorder()
		mux.ServeHTTP(opened, httptest.NewRequestWithContext(ctx, http.MethodPost, "/accounts/a-1/open", strings.NewReader(`{"owner":"ann"}`)))
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/reports/owners", http.NoBody)
		r.Header.Set("At-Least", opened.Header().Get("Position")) // reads what was just written
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if got, want := strings.TrimSpace(w.Body.String()), `{"a-1":{"owner":"ann"}}`; got != want {
			t.Errorf("owners = %s, want %s", got, want)
		}
		r.Header.Set("At-Least", "100")
		w = httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest {
			t.Errorf("owners at a position that the log does not have: %d %s", w.Code, w.Body)
		}
		cancel()
		group.Wait()
	})
}
