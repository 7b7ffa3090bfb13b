package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/console"
	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// accountCommand is a command for an account.
//
//sumtype:decl
type accountCommand interface{ isAccountCommand() }

// accountEvent is an event of an account.
//
//sumtype:decl
type accountEvent interface{ isAccountEvent() }

type (
	openAccount   struct{ Owner string }
	depositMoney  struct{ Cents int64 }
	withdrawMoney struct{ Cents int64 }

	accountOpened  struct{ Owner string }
	moneyDeposited struct{ Cents int64 }
	moneyWithdrawn struct{ Cents int64 }
)

func (openAccount) isAccountCommand()   {}
func (depositMoney) isAccountCommand()  {}
func (withdrawMoney) isAccountCommand() {}
func (accountOpened) isAccountEvent()   {}
func (moneyDeposited) isAccountEvent()  {}
func (moneyWithdrawn) isAccountEvent()  {}

// accountState is the state that decisions need.
type accountState struct {
	Open    bool
	Owner   string
	Balance int64
	Limits  map[string]int64
}

func decideAccount(cmd accountCommand, s accountState) ([]accountEvent, error) {
	switch c := cmd.(type) {
	case openAccount:
		if s.Open {
			return nil, errors.New("account: already open")
		}
		return []accountEvent{accountOpened(c)}, nil
	case depositMoney:
		if !s.Open {
			return nil, errors.New("account: not open")
		}
		return []accountEvent{moneyDeposited(c)}, nil
	case withdrawMoney:
		if c.Cents > s.Balance {
			return nil, fmt.Errorf("account: insufficient funds: %d available, %d wanted", s.Balance, c.Cents)
		}
		return []accountEvent{moneyWithdrawn(c)}, nil
	}
	return nil, decider.ErrUnhandled
}

func evolveAccount(s accountState, e accountEvent) accountState {
	switch e := e.(type) {
	case accountOpened:
		s.Open, s.Owner, s.Limits = true, e.Owner, map[string]int64{"day": 100_000, "transfer": 50_000}
	case moneyDeposited:
		s.Balance += e.Cents
	case moneyWithdrawn:
		s.Balance -= e.Cents
	}
	return s
}

func accountCodec() *codec.Named[accountEvent] {
	return codec.JSON(map[string]accountEvent{"AccountOpened": accountOpened{}, "Deposited": moneyDeposited{}, "Withdrawn": moneyWithdrawn{}})
}

// accountsOf returns the accounts for a console, with stricter rules as a candidate.
func accountsOf() console.Type {
	rules := decider.New(decideAccount, evolveAccount)
	stricter := rules
	stricter.Decide = func(cmd accountCommand, s accountState) ([]accountEvent, error) {
		if w, ok := cmd.(withdrawMoney); ok && w.Cents > 1_000 {
			return nil, errors.New("account: at most 10.00 at once")
		}
		return decideAccount(cmd, s)
	}
	return console.Aggregate(console.Model[accountCommand, accountState, accountEvent]{
		Type: "Account", Decider: rules, Codec: accountCodec(),
		Commands: codec.JSON(map[string]accountCommand{"Open": openAccount{}, "Deposit": depositMoney{}, "Withdraw": withdrawMoney{}}),
		Caused: func(batch []store.Recorded) (accountCommand, bool) {
			events, err := accountCodec().Decode(nil, batch)
			if err != nil || len(events) != 1 {
				return nil, false
			}
			switch e := events[0].(type) {
			case accountOpened:
				return openAccount(e), true
			case moneyDeposited:
				return depositMoney(e), true
			case moneyWithdrawn:
				return withdrawMoney(e), true
			}
			return nil, false
		},
		Candidates: map[string]decider.Decider[accountCommand, accountState, accountEvent]{"stricter": stricter},
	})
}

// bankConsole returns a console for a bank that has data for every page.
func bankConsole(t *testing.T) console.Config {
	t.Helper()
	at := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	st := memory.New(memory.WithClock(func() time.Time { at = at.Add(7 * time.Second); return at }))
	recent := console.NewRecent(1000)
	accounts := runner.New("Account", decider.New(decideAccount, evolveAccount), st, accountCodec()).WithObserver(recent)
	owners, who := []string{"Ada", "Grace", "Edsger", "Barbara", "Tony", "Leslie"}, []string{"ada", "courier", "grace"}
	for i := range 60 {
		id := fmt.Sprintf("acc-%d", i%6+1)
		as := runner.Metadata(store.Metadata{ActorID: who[i%3], CorrelationID: fmt.Sprintf("request-%d", i/3)})
		for _, cmd := range []accountCommand{openAccount{owners[i%6]}, depositMoney{int64(2_500 + 1_700*i%9_000)}, withdrawMoney{int64(370 * (i % 20))}} {
			_, _ = accounts.Handle(t.Context(), id, cmd, as) // some are rejected
		}
	}
	transfer := []store.Event{
		{ID: "started", Type: "TransferStarted", Data: []byte(`{"From":"acc-1","To":"acc-2","Cents":700,"Note":"rent, November","Tags":["rent","home"]}`)},
		{ID: "taken", Type: "Withdrawn", Data: []byte(`{"Cents":700}`)},
		{ID: "given", Type: "Deposited", Data: []byte(`{"Cents":700}`)},
		{ID: "done", Type: "TransferBooked", Data: []byte(`{}`)},
	}
	of := []store.Stream{{Type: "Transfer", ID: "t-9"}, {Type: "Account", ID: "acc-1"}, {Type: "Account", ID: "acc-2"}, {Type: "Transfer", ID: "t-9"}}
	cause := "POST /transfers"
	for i, e := range transfer {
		e.ContentType = "application/json"
		e.Meta = store.Metadata{
			CorrelationID: "transfer 5c1", CausationID: cause, ActorID: "courier",
			Headers: map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
		}
		if _, err := st.Append(t.Context(), of[i], store.Any, []store.Event{e}); err != nil {
			t.Fatal(err)
		}
		cause = e.ID
	}
	return console.Config{
		Store: st, Recent: recent, Types: []console.Type{accountsOf()}, TraceURL: "https://traces.example/{trace}", Audit: "audit",
		ReadSide: func(context.Context, string) ([]console.Projection, []console.Process, error) {
			return []console.Projection{someBalances{"balances@3", 0}, someBalances{"statements@1", 2}}, []console.Process{someCourier{}}, nil
		},
		Access: func(*http.Request) (console.Access, error) {
			return console.Access{Name: "ada", AnyTenant: true, Data: true, Act: true}, nil
		},
	}
}

type someBalances struct {
	build  string
	parked int
}

func (s someBalances) Progress() projection.Progress {
	p := projection.Progress{Build: s.build, State: projection.Live, Position: 140, Head: 140, Ready: true}
	if s.parked > 0 {
		p.Position, p.Parked, p.Lag, p.Cause = 119, s.parked, 40*time.Second, errors.New(`unknown currency "XTS"`)
	}
	return p
}

func (s someBalances) Parked(context.Context) (all []projection.Parked, err error) {
	for i := range s.parked {
		all = append(all, projection.Parked{
			Key: fmt.Sprintf("Account/acc-%d", i+1), Position: uint64(20 + i), Cause: `unknown currency "XTS"`, Since: time.Date(2026, 11, 20, 9, 8, 0, 0, time.UTC), Attempts: 4,
		})
	}
	return all, nil
}

func (someBalances) Unpark(context.Context, string) error { return nil }

type someCourier struct{}

func (someCourier) Progress() process.Progress {
	return process.Progress{Process: "Courier@1", State: process.Live, Position: 140, Head: 140, Timers: 2, Quarantined: 1}
}

func (someCourier) Instances(context.Context, func(process.Instance) bool) ([]process.Instance, error) {
	return []process.Instance{
		{ID: "t-9", Position: 140, Timers: 1},
		{ID: "t-7", Position: 98, Waiting: &process.InstanceError{
			Process: "Courier@1", Instance: "t-7", Position: 98, Cause: "account: not open", Since: time.Date(2026, 11, 20, 9, 9, 0, 0, time.UTC), Attempts: 3, Quarantined: true,
		}},
	}, nil
}

func (someCourier) Release(context.Context, string) error      { return nil }
func (someCourier) Skip(context.Context, string, uint64) error { return nil }
func (someCourier) Abandon(context.Context, string) error      { return nil }
