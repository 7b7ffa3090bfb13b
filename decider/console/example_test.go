package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/console"
	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// show returns the part of a page about something, as a browser on this machine sees it.
func show(h http.Handler, path, about string) string {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, nil)
	r.RemoteAddr, r.Host = "127.0.0.1:1234", "localhost"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return regexp.MustCompile(about).FindString(w.Body.String())
}

// A program mounts a console in its own mux, and passes it the decider of its accounts.
func Example() {
	st := memory.New()
	recent := console.NewRecent(1000)
	accounts := runner.New("Account", decider.New(decide, evolve), st, events()).WithObserver(recent)

	c := console.New(console.Config{
		Store:  st,
		Recent: recent,
		Types: []console.Type{console.Aggregate(console.Model[Command, State, Event]{
			Type: "Account", Decider: decider.New(decide, evolve), Codec: events(), Commands: commands(),
		})},
	})
	defer c.Close()
	mux := http.NewServeMux()
	mux.Handle("/console/", http.StripPrefix("/console", c))

	ctx := context.Background()
	for _, cmd := range []Command{Open{"Ann"}, Deposit{500}, Withdraw{900}} {
		if _, err := accounts.Handle(ctx, "ann", cmd); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(show(mux, "/console/stream?type=Account&id=ann&v=2", "<del>.*</ins>"))
	fmt.Println(show(mux, "/console/recent", "rejected 1"))
	// Output:
	// account: insufficient funds: 500 available, 900 wanted
	// <del>0</del> <span aria-hidden="true">→</span><span class="hear"> becomes </span> <ins>500</ins>
	// rejected 1
}

// Redact hides what the console must not show, and Access says who may see it.
func ExampleConfig() {
	config := console.Config{
		Store: memory.New(),
		Access: func(r *http.Request) (console.Access, error) {
			if name, _, ok := r.BasicAuth(); ok { // check it as in the rest of your program
				return console.Access{Name: name, AnyTenant: true, Data: true}, nil
			}
			return console.Access{}, console.ErrUnauthenticated
		},
	}
	c := console.New(config)
	defer c.Close()
	fmt.Println(show(c, "/", "Not logged in"))
	// Output: Not logged in
}

// A candidate holds other rules for the same events. The console replays the recorded
// events with it.
func ExampleAggregate() {
	next := decider.New(decide, evolve)
	t := console.Aggregate(console.Model[Command, State, Event]{
		Type: "Account", Decider: decider.New(decide, evolve), Codec: events(), Commands: commands(),
		Caused:     caused,
		Candidates: map[string]decider.Decider[Command, State, Event]{"next": next},
	})
	c := console.New(console.Config{Store: memory.New(), Types: []console.Type{t}})
	defer c.Close()
	fmt.Println(show(c, "/replay?type=Account", `<option value="next">`))
	// Output: <option value="next">
}

// A Recent observes runners, and the console shows their latest commands.
func ExampleRecent() {
	st, recent := memory.New(), console.NewRecent(100)
	accounts := runner.New("Account", decider.New(decide, evolve), st, events()).WithObserver(recent)
	_, err := accounts.Handle(context.Background(), "ann", Deposit{5})
	c := console.New(console.Config{Store: st, Recent: recent})
	defer c.Close()
	fmt.Println(err, show(c, "/recent", "rejected 1"))
	// Output: account: not open rejected 1
}

// The console shows the projections and processes of a program, how far they are, and
// what waits.
func ExampleProjection() {
	var (
		_ console.Projection = (*projection.Projection[*memory.Tx, Event])(nil)
		_ console.Process    = (*process.Runtime[*memory.Tx, Event, State, Command])(nil)
	)
	c := console.New(console.Config{
		Store: memory.New(),
		ReadSide: func(context.Context, string) ([]console.Projection, []console.Process, error) {
			return []console.Projection{parked{"balances@1", "unknown currency"}}, nil, nil
		},
	})
	defer c.Close()
	fmt.Println(show(c, "/projections", "balances@1<"))
	// Output: balances@1<
}

// Audit keeps a record of what people do in the console.
func ExampleAction() {
	st := memory.New()
	c := console.New(console.Config{
		Store: st,
		Audit: "audit", // a tenant
		ReadSide: func(context.Context, string) ([]console.Projection, []console.Process, error) {
			return []console.Projection{parked{"balances@1", "unknown currency"}}, nil, nil
		},
		Access: func(*http.Request) (console.Access, error) {
			return console.Access{Name: "ann", AnyTenant: true, Act: true}, nil
		},
	})
	defer c.Close()

	form := url.Values{ // what a browser sends
		"what": {"retry"}, "name": {"balances@1"}, "of": {"key unknown currency"}, "expect": {"1"}, "reason": {"fixed in 1.4"},
	}
	ctx := context.Background()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/act", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	c.ServeHTTP(httptest.NewRecorder(), r)

	audits, err := st.Tenant("audit")
	if err != nil {
		panic(err)
	}
	for e, err := range store.Events(ctx, audits, store.Stream{Type: "Console", ID: "actions"}, 0) {
		var action console.Action
		if err != nil || json.Unmarshal(e.Data, &action) != nil {
			panic("the record cannot be read")
		}
		fmt.Println(e.Type, action.Who, action.What, action.Name, action.Reason)
	}
	// Output: ActionTaken ann retry balances@1 fixed in 1.4
}
