// Package accounts is the context of accounts: what the rest of the program may use
// of it.
package accounts

import (
	"log/slog"
	"net/http"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store/memory"

	"github.com/evolvego/evolve/examples/slices/contexts/accounts/internal/account"
	"github.com/evolvego/evolve/examples/slices/contexts/accounts/internal/getbalance"
)

// Store is the store of the program. To keep events, make it *sqlite.Store or
// *postgres.Store here, in the other contexts and in main.
type Store = *memory.Store

// Accounts is the context at work. It is safe for concurrent use.
type Accounts struct {
	store    Store
	log      *slog.Logger
	accounts *runner.Runner[account.Command, account.State, account.Event]
}

// New returns the context. Its events are in st.
func New(st Store, log *slog.Logger) *Accounts {
	return &Accounts{
		store:    st,
		log:      log,
		accounts: runner.New(account.StreamType, account.Decider(), st, account.Codec()),
	}
}

// Routes adds the routes of the context to mux.
func (a *Accounts) Routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /accounts/{id}/open", command(a.log, a.accounts, func(c account.Open) account.Command { return c }))
	mux.HandleFunc("POST /accounts/{id}/credit", command(a.log, a.accounts, func(c account.Credit) account.Command { return c }))
	mux.HandleFunc("GET /accounts/{id}/balance", query(a.log, a.store, getbalance.Load))
}
