package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/open"
)

// answerWithin is how long the store may take to report the head of its log.
const answerWithin = time.Second

// admin answers the HTTP requests of people and machines that monitor the server.
type admin struct {
	*settings

	keeper   *keeper
	metrics  *metrics
	backend  open.Backend
	logger   *slog.Logger
	draining atomic.Bool
}

// serve serves lis. The server drains when ctx ends, so that probes see it, and stops
// when ended is closed.
func (a *admin) serve(ctx context.Context, lis net.Listener, ended <-chan struct{}) {
	address := lis.Addr().String()
	page := a.console(isLoopback(address))
	defer page.Close()
	s := &http.Server{Handler: a.handler(address, page), ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if a.cert != "" && !isLoopback(address) {
			s.TLSConfig = a.keeper.serverTLS("h2", "http/1.1")
			_ = s.ServeTLS(lis, "", "") // Close ends it
			return
		}
		_ = s.Serve(lis)
	}()
	<-ctx.Done()
	a.draining.Store(true)
	<-ended
	_ = s.Close()
	<-done
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && loopback(host)
}

// handler returns the handler for address. The console has its own rules about who may
// see it.
func (a *admin) handler(address string, page http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.Handle("/console/", http.StripPrefix("/console", page))
	mux.Handle("GET /{$}", http.RedirectHandler("console/", http.StatusSeeOther))
	local := isLoopback(address)
	guarded := func(pattern string, all bool, h http.Handler) {
		if !local && !a.open() {
			h = a.authenticated(all, h)
		}
		mux.Handle(pattern, h)
	}
	guarded("GET /metrics", false, a.metrics.handler())
	guarded("GET /healthz", true, http.HandlerFunc(a.healthz))
	if local || a.pprof {
		guarded("GET /debug/pprof/", true, http.HandlerFunc(pprof.Index))
		guarded("GET /debug/pprof/cmdline", true, http.HandlerFunc(cmdline))
		guarded("GET /debug/pprof/profile", true, http.HandlerFunc(pprof.Profile))
		guarded("GET /debug/pprof/symbol", true, http.HandlerFunc(pprof.Symbol))
		guarded("GET /debug/pprof/trace", true, http.HandlerFunc(pprof.Trace))
	}
	return mux
}

// cmdline is the page of the profiles without the arguments, which may contain a
// password.
func cmdline(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "eventstored") }

func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text + "\n"))
}

// authenticated lets requests through to h if the server accepts their credentials. If
// all is set, the client must also be allowed to use every tenant.
func (a *admin) authenticated(all bool, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		identity, err := a.keeper.Authenticate(withCredentials(r.Context(), r))
		switch {
		case err != nil:
			w.Header().Set("WWW-Authenticate", "Bearer")
			say(w, http.StatusUnauthorized, "the credentials are missing or not valid")
		case all && !identity.AnyTenant:
			say(w, http.StatusForbidden, "only clients that may use every tenant have access")
		default:
			h.ServeHTTP(w, r)
		}
	})
}

var errDraining = errors.New("draining")

// ready returns the head of the default tenant's log, or the reason why the server is
// not ready.
func (a *admin) ready(ctx context.Context) (head uint64, err error) {
	if a.draining.Load() {
		return 0, errDraining
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if head, err = a.backend.Head(ctx); err != nil {
		a.logger.WarnContext(ctx, "the store does not answer", "error", err)
		return 0, errors.New("the store does not answer")
	}
	return head, nil
}

func (a *admin) readyz(w http.ResponseWriter, r *http.Request) {
	if _, err := a.ready(r.Context()); err != nil {
		say(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	say(w, http.StatusOK, "ok")
}

// health is the content of /healthz.
type health struct {
	Status  string `json:"status"` // "ok", or the reason why not
	Version string `json:"version"`
	Go      string `json:"go"`
	Store   string `json:"store"`
	Head    uint64 `json:"head"` // the head of the default tenant's log

	// Projections and Processes are those that keep their checkpoints in the default
	// tenant of the store.
	Projections []buildRow `json:"projections,omitempty"`
	Processes   []buildRow `json:"processes,omitempty"`
}

func (a *admin) healthz(w http.ResponseWriter, r *http.Request) {
	h := health{Status: "ok", Version: buildVersion(), Go: runtime.Version(), Store: a.shownStore()}
	code := http.StatusOK
	var err error
	if h.Head, err = a.ready(r.Context()); err != nil {
		h.Status, code = err.Error(), http.StatusServiceUnavailable
	} else if h.Projections, h.Processes, err = a.readSide(r.Context()); err != nil {
		a.logger.WarnContext(r.Context(), "the progress of read models cannot be read", "error", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(h) //nolint:errchkjson // it has only plain fields
}

// readSide returns the progress of the projections and processes of the default tenant.
func (a *admin) readSide(ctx context.Context) (projections, processes []buildRow, err error) {
	t, err := targetOf(a.backend)
	if err != nil {
		return nil, nil, nil // such a store has none
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if projections, err = projectionBuilds(ctx, t); err == nil {
		processes, err = processBuilds(ctx, t)
	}
	return projections, processes, err
}

var _ server.Authenticator = (*keeper)(nil)
