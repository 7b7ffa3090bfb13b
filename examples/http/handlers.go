package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/decider/runner/runnerhttp"
	"github.com/evolvego/evolve/examples/bank/account"
	"github.com/evolvego/evolve/store"
)

// accounts runs commands on accounts.
type accounts = runner.Runner[account.Command, account.State, account.Event]

func newAccounts(st store.Store) *accounts {
	return runner.New("Account", account.Decider(), st, account.Codec())
}

// service holds what all handlers use.
type service struct {
	accounts *accounts
	log      *slog.Logger
}

// newMux returns the routes of the service.
func newMux(a *accounts, t *totals, log *slog.Logger) http.Handler {
	s := &service{a, log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /total", s.showTotal(t))
	mux.HandleFunc("GET /accounts/{id}", s.show)
	mux.HandleFunc("PUT /accounts/{id}", command(s, func(b struct{ Owner string }) account.Command { return account.Open{Owner: b.Owner} }))
	mux.HandleFunc("POST /accounts/{id}/deposits", command(s, func(b amount) account.Command { return account.Deposit(b) }))
	mux.HandleFunc("POST /accounts/{id}/withdrawals", command(s, func(b amount) account.Command { return account.Withdraw(b) }))
	mux.HandleFunc("DELETE /accounts/{id}", command(s, func(struct{}) account.Command { return account.Close{} }))
	return limit(mux)
}

// limit is a middleware of the service: it limits bodies to a kilobyte.
func limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<10)
		next.ServeHTTP(w, r)
	})
}

// amount is the body of requests that move money.
type amount struct{ Cents int64 }

// badBodyError is the error of a request whose body the route does not accept.
type badBodyError struct{ err error }

func (e *badBodyError) Error() string   { return fmt.Sprintf("http: bad body: %v", e.err) }
func (e *badBodyError) Unwrap() error   { return e.err }
func (e *badBodyError) HTTPStatus() int { return http.StatusBadRequest }

// command returns a handler that converts the body to a command with read, and runs it.
func command[B any](s *service, read func(body B) account.Command) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body B
		opts, err := runnerhttp.Options(r)
		if err == nil && r.Method != http.MethodDelete {
			if bad := json.NewDecoder(r.Body).Decode(&body); bad != nil {
				err = &badBodyError{bad}
			}
		}
		if err != nil {
			s.problem(w, r, err)
			return
		}
		out, err := s.accounts.Handle(r.Context(), r.PathValue("id"), read(body), opts...)
		if err != nil {
			s.problem(w, r, err)
			return
		}
		runnerhttp.SetPosition(w.Header(), out.Position)
		s.answer(w, out.Loaded)
	}
}

// show answers with the state of an account.
func (s *service) show(w http.ResponseWriter, r *http.Request) {
	loaded, err := s.accounts.Load(r.Context(), r.PathValue("id"))
	switch {
	case err != nil:
		s.problem(w, r, err)
	case loaded.Version == 0:
		http.NotFound(w, r)
	default:
		s.answer(w, loaded)
	}
}

// answer writes an account, with its version as ETag.
func (s *service) answer(w http.ResponseWriter, loaded runner.Loaded[account.State]) {
	runnerhttp.SetETag(w.Header(), loaded.Version)
	s.write(w, map[string]any{
		"owner": loaded.State.Owner, "cents": loaded.State.Balance, "closed": loaded.State.Status == account.Ended,
	})
}

// write writes body as JSON.
func (s *service) write(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.log.Warn("write an answer", "error", err)
	}
}

// problem tells the client what err means, and logs err if it is a fault of the server.
func (s *service) problem(w http.ResponseWriter, r *http.Request, err error) {
	if status := runnerhttp.WriteProblem(w, r, err); status >= http.StatusInternalServerError {
		s.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "status", status, "error", err)
	}
}
