package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/open"
)

// consoleOf returns the handler of -admin on address, for a server with these tokens.
// Each line has a name, tenants and perhaps a right. The name is also the token.
func consoleOf(t *testing.T, st open.Backend, address string, tokens ...string) http.Handler {
	t.Helper()
	s := &settings{audit: "audit"}
	if len(tokens) > 0 {
		var lines strings.Builder
		for _, line := range tokens {
			name, rest, _ := strings.Cut(line, " ")
			tenants, right, _ := strings.Cut(rest, " ")
			sum := sha256.Sum256([]byte(name))
			fmt.Fprintln(&lines, name, tenants, hex.EncodeToString(sum[:]), right)
		}
		s.tokens = filepath.Join(t.TempDir(), "tokens")
		if err := os.WriteFile(s.tokens, []byte(lines.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k, err := newKeeper(s)
	if err != nil {
		t.Fatal(err)
	}
	a := &admin{settings: s, keeper: k, metrics: newMetrics(st), backend: st, logger: slog.New(slog.DiscardHandler)}
	page := a.console(isLoopback(address))
	t.Cleanup(func() { page.Close() })
	return a.handler(address, page)
}

// asking returns a request from another machine, or from this one.
func asking(t *testing.T, h http.Handler, from, method, path, token string, form url.Values) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(form.Encode()))
	r.RemoteAddr, r.Host = from+":1234", "localhost"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestConsoleOfServer requests the console of a server as clients with and without
// tokens.
func TestConsoleOfServer(t *testing.T) {
	t.Parallel()
	st := memory.New()
	for _, tenant := range []string{store.DefaultTenant, "acme"} {
		of := tenantOfStore(t, st, tenant)
		e := store.Event{ID: "e", Type: "Opened", ContentType: "application/json", Data: []byte(`{"secret":"payload of ` + tenant + `"}`)}
		if _, err := of.Append(t.Context(), store.Stream{Type: "Account", ID: "a"}, store.NoStream, []store.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	tokens := []string{"all *", "one acme", "reader * read", "actor * act"}
	const near, far = "127.0.0.1", "192.0.2.1"
	for _, tt := range []struct {
		name, address, from, token, path string
		tokens                           []string
		code                             int
		has, hasNot                      string
	}{
		{"this machine", "127.0.0.1:1", near, "", "/console/", tokens, 200, "Account/a", ""},
		{"this machine, from elsewhere", "127.0.0.1:1", far, "", "/console/", tokens, 303, "", "Account/a"},
		{"nobody", "0.0.0.0:1", far, "", "/console/", tokens, 303, "", "Account/a"},
		{"nobody, on this machine", "0.0.0.0:1", near, "", "/console/", tokens, 303, "", "Account/a"},
		{"an unknown token", "0.0.0.0:1", far, "none", "/console/", tokens, 303, "", "Account/a"},
		{"a token", "0.0.0.0:1", far, "all", "/console/stream?type=Account&id=a", tokens, 200, "payload of default", ""},
		{"a token, of a tenant", "0.0.0.0:1", far, "one", "/console/stream?type=Account&id=a", tokens, 200, "payload of acme", "payload of default"},
		{"a token, for another tenant", "0.0.0.0:1", far, "one", "/console/?tenant=default", tokens, 404, "", "Account/a"},
		{"a token that may not see payloads", "0.0.0.0:1", far, "reader", "/console/stream?type=Account&id=a", tokens, 200, "may not see payloads", "payload of"},
		{"everybody is trusted", "0.0.0.0:1", far, "", "/console/stream?type=Account&id=a", nil, 200, "payload of default", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := asking(t, consoleOf(t, st, tt.address, tt.tokens...), tt.from, http.MethodGet, tt.path, tt.token, nil)
			if got.Code != tt.code || !strings.Contains(got.Body.String(), tt.has) || tt.hasNot != "" && strings.Contains(got.Body.String(), tt.hasNot) {
				t.Errorf("status %d, want %d, with %q and without %q:\n%s", got.Code, tt.code, tt.has, tt.hasNot, got.Body)
			}
		})
	}
	h := consoleOf(t, st, "0.0.0.0:1", tokens...)
	for token, want := range map[string]int{"all": 403, "reader": 403, "actor": 404} { // an actor may act, but this process does not exist
		form := url.Values{"what": {"release"}, "name": {"none@1"}, "of": {"x"}, "expect": {"0"}}
		if got := asking(t, h, far, http.MethodPost, "/console/act", token, form); got.Code != want {
			t.Errorf("an action of %s has status %d, want %d", token, got.Code, want)
		}
	}
	if got := asking(t, h, far, http.MethodPost, "/console/login", "", url.Values{"token": {"actor"}}); got.Code != 303 || got.Header().Get("Set-Cookie") == "" {
		t.Errorf("a login has status %d", got.Code)
	}
	if got := asking(t, h, far, http.MethodPost, "/console/login", "", url.Values{"token": {"none"}}); got.Code != 401 {
		t.Errorf("a login without a token has status %d", got.Code)
	}
}

func tenantOfStore(t *testing.T, st store.Tenants, tenant string) store.Store {
	t.Helper()
	of, err := st.Tenant(tenant)
	if err != nil {
		t.Fatal(err)
	}
	return of
}

// TestConsoleCommand serves a file, and requests its page.
func TestConsoleCommand(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	must(t, `{"id":"e-1","type":"Opened","data":{"owner":"Ann"}}`, "append", "-store", file, "Account/a")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read, write := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"console", "-store", file, "-listen", "127.0.0.1:0"}, env{strings.NewReader(""), write, io.Discard, func(string) string { return "" }})
		write.Close()
	}()
	lines := bufio.NewScanner(read)
	if !lines.Scan() {
		t.Fatalf("it prints nothing: %v", <-done)
	}
	if page := get(t, lines.Text()+"stream?type=Account&id=a"); !strings.Contains(page, "Account</a>/a") || !strings.Contains(page, "Ann") {
		t.Errorf("the page is\n%s", page)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("it ends with %v", err)
	}
	var out bytes.Buffer
	for args, want := range map[string]string{"-listen=0.0.0.0:1": "is not a loopback address", "-store=sqlite:" + t.TempDir() + "/none.db": "none.db"} {
		err := run(t.Context(), []string{"console", args}, env{strings.NewReader(""), &out, io.Discard, func(string) string { return "" }})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("console %s = %v, want %q", args, err, want)
		}
	}
}

// inConsole checks the pages of the projections and processes of TestReadSideTools. It
// asks to try a parked event again, which only the program can do.
func inConsole(t *testing.T, file string) {
	t.Helper()
	st, err := open.Store(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	h := consoleOf(t, st, "0.0.0.0:1", "actor * act")
	for path, wants := range map[string][]string{
		"projections":            {"jobs@1", "jobs@2", "active"},
		"parked?name=jobs@2":     {"Job/bad", "it is broken", "2 keys"},
		"processes":              {"courier@1"},
		"waiting?name=courier@1": {"bad", "worse", "quarantined", "it is broken"},
	} {
		got := asking(t, h, "192.0.2.1", http.MethodGet, "/console/"+path, "actor", nil)
		for _, want := range wants {
			if got.Code != 200 || !strings.Contains(got.Body.String(), want) {
				t.Errorf("GET %s: status %d, without %q:\n%s", path, got.Code, want, got.Body)
			}
		}
	}
	got := asking(t, h, "192.0.2.1", http.MethodGet, "/healthz", "actor", nil)
	for _, want := range []string{`"projections":[{"build":"jobs@1"`, `"parked":2`, `"processes":[{"build":"courier@1"`, `"quarantined":2`} {
		if got.Code != 200 || !strings.Contains(got.Body.String(), want) {
			t.Errorf("GET /healthz: status %d, without %s: %s", got.Code, want, got.Body)
		}
	}
	form := url.Values{"what": {"retry"}, "name": {"jobs@2"}, "of": {"Job/bad"}, "expect": {"2"}}
	if got := asking(t, h, "192.0.2.1", http.MethodPost, "/console/act", "actor", form); got.Code != http.StatusConflict || !strings.Contains(got.Body.String(), "only a program with the handlers") {
		t.Errorf("a retry has status %d:\n%s", got.Code, got.Body)
	}
	entries, err := tenantOfStore(t, st, "audit").Read(t.Context(), store.Stream{Type: "Console", ID: "actions"}, store.ReadOptions{})
	if err != nil || len(entries.Events) != 2 || entries.Events[0].Type != "ActionTaken" || entries.Events[1].Type != "ActionFailed" {
		t.Errorf("the action is recorded as %+v, %v", entries.Events, err)
	}
}
