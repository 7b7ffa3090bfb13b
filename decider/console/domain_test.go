package console_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/console"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// Command is a request to an account.
//
//sumtype:decl
type Command interface{ isCommand() }

type (
	Open     struct{ Owner string }
	Deposit  struct{ Cents int64 }
	Withdraw struct{ Cents int64 }
	Hang     struct{}
	Break    struct{}
)

func (Open) isCommand()     {}
func (Deposit) isCommand()  {}
func (Withdraw) isCommand() {}
func (Hang) isCommand()     {}
func (Break) isCommand()    {}

// Event is what happened to an account.
//
//sumtype:decl
type Event interface{ isEvent() }

type (
	Opened    struct{ Owner string }
	Deposited struct{ Cents int64 }
	Withdrawn struct{ Cents int64 }
	Broken    struct{}
)

func (Opened) isEvent()    {}
func (Deposited) isEvent() {}
func (Withdrawn) isEvent() {}
func (Broken) isEvent()    {}

// State is an account.
type State struct {
	Open    bool
	Owner   string
	Balance int64
	Limits  map[string]int64
}

var (
	errNotOpen = errors.New("account: not open")
	errFunds   = errors.New("account: insufficient funds")
)

func decide(cmd Command, s State) ([]Event, error) {
	if _, opens := cmd.(Open); !opens && !s.Open {
		return nil, errNotOpen
	}
	switch c := cmd.(type) {
	case Open:
		if s.Open {
			return nil, nil
		}
		return []Event{Opened(c)}, nil
	case Deposit:
		return []Event{Deposited(c)}, nil
	case Withdraw:
		if c.Cents > s.Balance {
			return nil, fmt.Errorf("%w: %d available, %d wanted", errFunds, s.Balance, c.Cents)
		}
		return []Event{Withdrawn(c)}, nil
	case Hang:
		select {}
	case Break:
		panic("decide is broken")
	}
	return nil, decider.ErrUnhandled
}

func evolve(s State, e Event) State {
	switch e := e.(type) {
	case Opened:
		s.Open, s.Owner, s.Limits = true, e.Owner, map[string]int64{"day": 1000}
	case Deposited:
		s.Balance += e.Cents
	case Withdrawn:
		s.Balance -= e.Cents
	case Broken:
		panic("evolve is broken")
	}
	return s
}

func events() *codec.Named[Event] {
	return codec.JSON(map[string]Event{"Opened": Opened{}, "Deposited": Deposited{}, "Withdrawn": Withdrawn{}, "Broken": Broken{}})
}

func commands() *codec.Named[Command] {
	return codec.JSON(map[string]Command{"Open": Open{}, "Deposit": Deposit{}, "Withdraw": Withdraw{}, "Hang": Hang{}, "Break": Break{}})
}

// caused returns the command that led to an event.
func caused(batch []store.Recorded) (Command, bool) {
	all, err := events().Decode(nil, batch)
	if err != nil || len(all) != 1 {
		return nil, false
	}
	switch e := all[0].(type) {
	case Opened:
		return Open(e), e.Owner != "unknown"
	case Deposited:
		return Deposit(e), true
	case Withdrawn:
		return Withdraw(e), true
	case Broken:
	}
	return nil, false
}

// account is the model of the accounts, with a candidate that rejects withdrawals of more
// than 100, and doubles deposits of 7.
func account() console.Type {
	stricter := decider.New(func(cmd Command, s State) ([]Event, error) {
		switch c := cmd.(type) {
		case Withdraw:
			if c.Cents > 100 {
				return nil, errors.New("account: too much at once")
			}
		case Deposit:
			if c.Cents == 7 {
				return []Event{Deposited{14}}, nil
			}
		case Open, Hang, Break:
		}
		return decide(cmd, s)
	}, func(s State, e Event) State {
		if e, ok := e.(Opened); ok && e.Owner == "Bob" {
			s.Limits = map[string]int64{"day": 2000}
		}
		return evolve(s, e)
	})
	forgetful := stricter
	forgetful.Evolve = func(s State, e Event) State {
		if s = evolve(s, e); s.Owner == "Bob" {
			s.Owner = ""
		}
		return s
	}
	return console.Aggregate(console.Model[Command, State, Event]{
		Type: "Account", Decider: decider.New(decide, evolve), Codec: events(), Commands: commands(), Caused: caused,
		Candidates: map[string]decider.Decider[Command, State, Event]{"stricter": stricter, "forgetful": forgetful},
	})
}

// add appends events to a stream.
func add(tb testing.TB, st store.Store, s store.Stream, all ...Event) {
	tb.Helper()
	var encoded []store.Event
	for _, e := range all {
		r, err := events().Encode(e)
		if err != nil {
			tb.Fatal(err)
		}
		r.ID = store.NewID()
		encoded = append(encoded, r)
	}
	appendTo(tb, st, s, encoded...)
}

func appendTo(tb testing.TB, st store.Store, s store.Stream, all ...store.Event) store.Appended {
	tb.Helper()
	got, err := st.Append(context.Background(), s, store.Any, all)
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

var ann = store.Stream{Type: "Account", ID: "ann"}

// bank is a store with an account of three events, and a stream without a model.
func bank(tb testing.TB) *memory.Store {
	tb.Helper()
	st := memory.New()
	add(tb, st, ann, Opened{"Ann"}, Deposited{30}, Withdrawn{10})
	appendTo(tb, st, store.Stream{Type: "Note", ID: "n/1"}, store.Event{
		ID: "note-1", Type: "Noted", ContentType: "application/json", Data: []byte(`{"text":"hello","n":1}`),
		Meta: store.Metadata{ActorID: "bob", CorrelationID: "req-1"},
	})
	appendTo(tb, st, store.Stream{Type: "Note", ID: "n/1"}, store.Event{
		ID: "note-2", Type: "Noted", ContentType: "application/json", Data: []byte(`{"text":"hello","n":2}`),
		Meta: store.Metadata{ActorID: "bob", CorrelationID: "req-1", CausationID: "note-1"},
	})
	return st
}

// site is a console as a client sees it.
type site struct {
	tb      testing.TB
	console *console.Console
	change  func(*http.Request)
}

func open(tb testing.TB, config console.Config) *site {
	tb.Helper()
	c := console.New(config)
	tb.Cleanup(func() { c.Close() })
	return &site{tb: tb, console: c}
}

// answer is the response that a client gets.
type answer struct {
	code   int
	header http.Header
	body   string
}

func (s *site) do(method, path string, body io.Reader, headers ...string) answer {
	s.tb.Helper()
	r := httptest.NewRequestWithContext(s.tb.Context(), method, "/"+path, body)
	r.RemoteAddr, r.Host = "127.0.0.1:999", "localhost:8089"
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if s.change != nil {
		s.change(r)
	}
	w := httptest.NewRecorder()
	s.console.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

func (s *site) get(path string, headers ...string) answer {
	s.tb.Helper()
	return s.do(http.MethodGet, path, nil, headers...)
}

// json returns a page as JSON.
func (s *site) json(path string) string {
	s.tb.Helper()
	got := s.get(path, "Accept", "application/json")
	if got.header.Get("Content-Type") != "application/json" {
		s.tb.Errorf("GET %s as JSON is %s, status %d", path, got.header.Get("Content-Type"), got.code)
	}
	return got.body
}

func (s *site) post(path string, form url.Values, headers ...string) answer {
	s.tb.Helper()
	return s.do(http.MethodPost, path, strings.NewReader(form.Encode()), append(headers, "Content-Type", "application/x-www-form-urlencoded")...)
}

// want fails unless the page has all the texts.
func (s *site) want(got answer, code int, texts ...string) {
	s.tb.Helper()
	if got.code != code {
		s.tb.Errorf("status %d, want %d:\n%s", got.code, code, got.body)
	}
	for _, text := range texts {
		if !strings.Contains(got.body, text) {
			s.tb.Errorf("the page does not contain %q:\n%s", text, got.body)
		}
	}
}
