package accounts_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/evolvego/evolve/store/memory"

	"github.com/evolvego/evolve/examples/slices/contexts/accounts"
)

// send sends a request and returns the status and the body of the answer.
func send(t *testing.T, h http.Handler, method, path, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	accounts.New(memory.New(), slog.New(slog.DiscardHandler)).Routes(mux)
	for _, step := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "/accounts/a-1/open", `{"owner":"ann"}`, http.StatusNoContent, ""},
		{"POST", "/accounts/a-1/credit", `{"amount":500}`, http.StatusNoContent, ""},
		{"GET", "/accounts/a-1/balance", "", http.StatusOK, `{"owner":"ann","cents":500}`},
		{"GET", "/accounts/a-2/balance", "", http.StatusNotFound, "404 page not found"},
	} {
		status, got := send(t, mux, step.method, step.path, step.body)
		if status != step.status || got != step.want {
			t.Errorf("%s %s %s = %d %s, want %d %s", step.method, step.path, step.body, status, got, step.status, step.want)
		}
	}
}

func TestWelcomeBonus(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, mux := memory.New(), http.NewServeMux()
		accounts.New(st, slog.New(slog.DiscardHandler)).Routes(mux)
		send(t, mux, http.MethodPost, "/accounts/a-1/open", `{"owner":"ann"}`)
		for range 2 { // the second time is after a restart
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- accounts.New(st, slog.New(slog.DiscardHandler)).Run(ctx) }()
			synctest.Wait()
			want := `{"owner":"ann","cents":1000}`
			if _, got := send(t, mux, http.MethodGet, "/accounts/a-1/balance", ""); got != want {
				t.Errorf("balance = %s, want %s", got, want)
			}
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("Run = %v, want context.Canceled", err)
			}
		}
	})
}
