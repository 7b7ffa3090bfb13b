// Package accounts is the bounded context accounts. It exports what the rest of the
// program may use.
package accounts

import (
	"log/slog"
	"net/http"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store/memory"

	"github.com/evolvego/evolve/examples/slices/contexts/accounts/internal/account"
	"github.com/evolvego/evolve/examples/slices/contexts/accounts/internal/getbalance"
)

// Store is the type of the program's store. To keep events after the program ends, change
// it to *sqlite.Store or *postgres.Store here, in the other contexts and in main.
type Store = *memory.Store

// Accounts is the running context. It is safe for concurrent use.
type Accounts struct {
	store    Store
	log      *slog.Logger
	accounts *runner.Runner[account.Command, account.State, account.Event]
}

// New returns the context, which keeps its events in st.
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
