package main

import (
	"context"
	"net/http"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/cqrs"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/runner/runnerhttp"
	"github.com/evolvego/evolve/examples/bank/account"
	"github.com/evolvego/evolve/store"
)

// total is the read model: the money in all open accounts.
type total struct {
	Accounts int   `json:"accounts"`
	Cents    int64 `json:"cents"`
}

// totals keeps the total up to date with a log.
type totals = projection.Image[total, account.Event]

func newTotals(log store.Log) *totals {
	source := codec.Events(codec.From("Account", account.Codec(), func(_ *store.Recorded, e account.Event) account.Event { return e }))
	return projection.NewImage(log, source, decider.View[total, account.Event]{Evolve: evolveTotal})
}

func evolveTotal(t total, e account.Event) total {
	switch e := e.(type) {
	case account.Opened:
		t.Accounts++
	case account.Closed:
		t.Accounts--
	case account.Deposited:
		t.Cents += e.Cents
	case account.Withdrawn:
		t.Cents -= e.Cents
	case account.Sent:
		t.Cents -= e.Cents
	case account.Received:
		t.Cents += e.Cents
	case account.Refunded:
		t.Cents += e.Cents
	case account.Declined, account.Delivered: // the money stays where it was
	}
	return t
}

// patience is how long a query waits for its client's own writes.
const patience = 5 * time.Second

// showTotal returns a handler that answers with the total. If a client sends the Position
// of its last command as At-Least, the total includes that command.
func (s *service) showTotal(t *totals) http.HandlerFunc {
	query := cqrs.Handler[struct{}, total](func(context.Context, struct{}) (total, error) {
		now, _ := t.State()
		return now, nil
	}).With("total", cqrs.ReadYourWrites(cqrs.WaiterFunc(t.WaitFor)))
	return func(w http.ResponseWriter, r *http.Request) {
		position, err := runnerhttp.AtLeast(r)
		if err != nil {
			s.problem(w, r, err)
			return
		}
		ctx, cancel := context.WithTimeout(cqrs.AtLeast(r.Context(), position), patience)
		defer cancel()
		now, err := query(ctx, struct{}{})
		if err != nil {
			s.problem(w, r, err)
			return
		}
		s.write(w, now)
	}
}
