package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// TestService sends the requests of the tutorial, and restarts the service in between.
func TestService(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "orders.db")
	for _, run := range [][]struct{ method, path, header, body, want string }{
		{
			{"PUT", "/orders/o-1", "", `{"customer":"ann","cents":500}`, "204 1 1 "},
			{"POST", "/orders/o-1/payments", "", `{"cents":200}`, "204 2 2 "},
			{"POST", "/orders/o-1/payments", "", `{"cents":400}`, "422 - - "},
			{"GET", "/orders", "2", "", `200 - - [{"id":"o-1","customer":"ann","due":300}]`},
		},
		{
			{"PUT", "/orders/o-2", "", `{"customer":"bob","cents":100}`, "204 1 3 "},
			{"POST", "/orders/o-1/payments", "", `{"cents":300}`, "204 3 4 "},
			{"GET", "/orders", "4", "", `200 - - [{"id":"o-2","customer":"bob","due":100}]`},
			{"DELETE", "/orders/o-2", "", "", "204 2 5 "}, // without a reason
			{"DELETE", "/orders/o-2", "", "{", "400 - - "},
			{"GET", "/orders", "5", "", `200 - - []`},
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		handler, wait, err := start(ctx, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range run {
			r := httptest.NewRequestWithContext(ctx, step.method, step.path, strings.NewReader(step.body))
			if step.header != "" {
				r.Header.Set("At-Least", step.header)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if got := answer(w.Result()); !strings.HasPrefix(got, step.want) {
				t.Errorf("%s %s %s = %s, want %s", step.method, step.path, step.body, got, step.want)
			}
		}
		cancel()
		if err := wait(); err != nil {
			t.Fatal(err)
		}
	}
}

// answer returns the status, the version, the position and the body of an answer.
func answer(r *http.Response) string {
	body, _ := io.ReadAll(r.Body)
	of := func(name string) string {
		if v := strings.Trim(r.Header.Get(name), `"`); v != "" {
			return v
		}
		return "-"
	}
	return r.Status[:3] + " " + of("ETag") + " " + of("Position") + " " + strings.TrimSpace(string(body))
}
