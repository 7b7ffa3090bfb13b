package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/store/memory"
)

// away is a store that returns err while it is set.
type away struct {
	*memory.Store

	err  error
	hang bool
}

func (a *away) Head(ctx context.Context) (uint64, error) {
	if a.hang {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return 3, a.err
}

// TestAdmin sends requests to the handler of a server in each of its states.
func TestAdmin(t *testing.T) {
	t.Parallel()
	st := &away{Store: memory.New()}
	s := &settings{url: "postgres://u:secret@db:5432/events?password=secret"}
	a := &admin{settings: s, keeper: &keeper{settings: s}, metrics: newMetrics(st), backend: st, logger: slog.New(slog.DiscardHandler)}
	ask := func(path string) (int, string) {
		t.Helper()
		w := httptest.NewRecorder()
		a.handler("127.0.0.1:1", http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
		return w.Code, w.Body.String()
	}
	want := func(path string, code int, text string) {
		t.Helper()
		if got, body := ask(path); got != code || !strings.Contains(body, text) || strings.Contains(body, "secret") {
			t.Errorf("GET %s = %d %s; want %d and %q", path, got, body, code, text)
		}
	}
	want("/livez", 200, "ok")
	want("/readyz", 200, "ok")
	want("/healthz", 200, `"status":"ok"`)
	want("/healthz", 200, `"store":"postgres://db:5432/events","head":3`)
	want("/metrics", 200, "eventstored_backend_up 1")
	st.err = errors.New("password=secret")
	want("/livez", 200, "ok")
	want("/readyz", 503, "the store does not answer")
	want("/healthz", 503, `"status":"the store does not answer"`)
	want("/metrics", 200, "eventstored_backend_up 0")
	st.err, st.hang = nil, true
	began := time.Now()
	want("/readyz", 503, "the store does not answer")
	if took := time.Since(began); took < answerWithin {
		t.Errorf("it was given up after %s", took)
	}
	st.hang = false
	a.draining.Store(true)
	want("/livez", 200, "ok")
	want("/readyz", 503, "draining")
	if _, body := ask("/healthz"); !json.Valid([]byte(body)) {
		t.Errorf("GET /healthz = %s, which is not JSON", body)
	}
}

// TestProfiles checks where profiles are served: on a loopback address, or if a flag
// says so.
func TestProfiles(t *testing.T) {
	t.Parallel()
	st := memory.New()
	for _, tt := range []struct {
		address string
		asked   bool
		want    int
	}{
		{"127.0.0.1:9090", false, 200},
		{"[::1]:9090", false, 200},
		{"0.0.0.0:9090", false, 404},
		{"[::]:9090", false, 404},
		{"10.0.0.7:9090", false, 404},
		{"0.0.0.0:9090", true, 200},
	} {
		s := &settings{pprof: tt.asked}
		a := &admin{settings: s, keeper: &keeper{settings: s}, metrics: newMetrics(st), backend: st, logger: slog.New(slog.DiscardHandler)}
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/heap"} {
			w := httptest.NewRecorder()
			a.handler(tt.address, http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
			if w.Code != tt.want {
				t.Errorf("GET %s on %s (-pprof=%t) = %d, want %d", path, tt.address, tt.asked, w.Code, tt.want)
			}
		}
	}
}

// outside returns an address of this machine that is not a loopback address.
func outside(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLoopback() && ip.IP.To4() != nil {
			return ip.IP.String()
		}
	}
	return ""
}

// TestAdminBeyondLoopback checks who may see what on a server that others can reach:
// anybody sees probes, clients with credentials see metrics, and only clients of every
// tenant see the rest.
func TestAdminBeyondLoopback(t *testing.T) {
	t.Parallel()
	host := outside(t)
	if host == "" {
		t.Skip("NOT TESTED: the address of -admin beyond loopback: this machine has only loopback addresses")
	}
	dir := t.TempDir()
	ca := newAuthority(t, dir)
	ca.issue(t, "server", pkix.Name{CommonName: "server"})
	ca.issue(t, "ann", pkix.Name{CommonName: "ann", Organization: []string{"acme"}})
	write(t, dir, "tokens", fmt.Sprintf("ops * %x\nbob acme %x\n", sha256.Sum256([]byte("all")), sha256.Sum256([]byte("one"))))
	p := start(t, dir, nil, "-listen", "127.0.0.1:0", "-admin", host+":0", "-pprof", "-store", "memory:",
		"-tls-cert", "server.pem", "-tls-key", "server.key", "-client-ca", "ca.pem", "-tokens", "tokens")
	pool, err := certificates(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "ann.pem"), filepath.Join(dir, "ann.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path, token string
		certs       []tls.Certificate
		want        int
	}{
		{"/livez", "", nil, 200},
		{"/readyz", "", nil, 200},
		{"/metrics", "", nil, 401},
		{"/metrics", "guess", nil, 401},
		{"/metrics", "one", nil, 200},
		{"/metrics", "", []tls.Certificate{cert}, 200},
		{"/healthz", "", nil, 401},
		{"/healthz", "one", nil, 403},
		{"/healthz", "all", nil, 200},
		{"/debug/pprof/heap", "one", nil, 403},
		{"/debug/pprof/heap", "", []tls.Certificate{cert}, 403},
		{"/debug/pprof/cmdline", "all", nil, 200},
	} {
		if got := askOver(t, pool, tt.certs, "https://"+p.admin+tt.path, tt.token); got != tt.want {
			t.Errorf("GET %s with token %q and %d certificates = %d, want %d", tt.path, tt.token, len(tt.certs), got, tt.want)
		}
	}
	p.stop(t)
}

// askOver returns the status of a request over TLS. It does not check the names in
// certificates, because they are not issued for every address.
func askOver(t *testing.T, pool *x509.CertPool, certs []tls.Certificate, url, token string) int {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: certs, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}
