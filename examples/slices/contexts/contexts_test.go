package contexts_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/evolvego/evolve/store/memory"

	"github.com/evolvego/evolve/examples/slices/contexts"
)

func TestAll(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	for _, c := range contexts.All(memory.New(), slog.New(slog.DiscardHandler)) {
		c.Routes(mux)
	}
	mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/accounts/a-1/open", strings.NewReader(`{"owner":"ann"}`)))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/reports/owners", http.NoBody))
	if got, want := strings.TrimSpace(w.Body.String()), `{"a-1":{"owner":"ann"}}`; got != want {
		t.Errorf("owners = %s, want %s", got, want)
	}
}
