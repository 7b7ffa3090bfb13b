package props_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/props"
)

// recorder is a test that records its messages.
type recorder struct {
	rapid.TB

	text     strings.Builder
	cleanups []func()
}

func (r *recorder) Helper()                      {}
func (r *recorder) Cleanup(f func())             { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(f string, args ...any) { fmt.Fprintf(&r.text, f, args...) }

// end runs the cleanups and returns the messages.
func (r *recorder) end() string {
	for _, f := range r.cleanups {
		f()
	}
	return r.text.String()
}

// TestSpec checks that a correct scenario reports nothing.
func TestSpec(t *testing.T) {
	t.Parallel()
	d := account()
	props.Spec(t, d).When(Open{"ann"}).Then(Opened{"ann"}).ThenState(State{Owner: "ann", Open: true})
	props.Spec(t, d).Given(Opened{"ann"}, Deposited{Amount: 5}).When(Withdraw{3}).Then(Withdrawn{3})
	props.Spec(t, d).Given(Opened{"ann"}).When(Withdraw{3}).ThenError(errFunds)
	props.Spec(t, d).Given(Opened{}, Closed{}).When(Deposit{Amount: 3}).ThenError(errNotOpen)
	props.Spec(t, d).Given(Opened{"ann"}).When(Close{}).ThenState(State{Owner: "ann", Open: true, Closed: true, Movements: []int{}})

	opened := props.Spec(t, d).Given(Opened{"ann"})
	opened.Given(Deposited{Amount: 5}).When(Withdraw{5}).Then(Withdrawn{5})
	opened.When(Withdraw{5}).ThenError(errFunds)

	d.Decide = func(Command, State) ([]Event, error) { return nil, nil }
	props.Spec(t, d).When(Close{}).Then()
	rapid.Check(t, func(t *rapid.T) {
		owner := rapid.String().Draw(t, "owner")
		props.Spec(t, account()).When(Open{owner}).Then(Opened{owner})
	})
}

// TestSpecFails checks what a wrong scenario reports.
func TestSpecFails(t *testing.T) {
	t.Parallel()
	d := account()
	d.Decide = func(c Command, s State) ([]Event, error) {
		switch c.(type) {
		case Open:
			return []Event{Opened{"bob"}, Deposited{Amount: 3}, Closed{}}, nil
		case Close:
			return nil, nil
		}
		events, err := decide(c, s)
		if errors.Is(err, errAmount) {
			events = []Event{Closed{}}
		}
		return events, err
	}
	type spec = props.Scenario[Command, State, Event]
	for name, scenario := range map[string]func(s spec){
		"another value": func(s spec) {
			s.Given(Opened{"ann"}, Deposited{Amount: 5}).When(Withdraw{3}).Then(Withdrawn{4}, Closed{})
		},
		"another order":               func(s spec) { s.When(Open{"bob"}).Then(Deposited{Amount: 3}, Opened{"bob"}, Closed{}) },
		"an event too many":           func(s spec) { s.When(Open{"bob"}).Then(Opened{"bob"}, Closed{}) },
		"events instead of none":      func(s spec) { s.When(Open{"bob"}).Then() },
		"an event too few":            func(s spec) { s.Given(Opened{}).When(Close{}).Then(Closed{}) },
		"rejected":                    func(s spec) { s.Given(Opened{}).When(Withdraw{1}).Then(Withdrawn{1}) },
		"rejected, want nothing":      func(s spec) { s.Given(Opened{}).When(Withdraw{1}).Then() },
		"not rejected":                func(s spec) { s.Given(Opened{}).When(Deposit{Amount: 1}).ThenError(errFunds) },
		"nothing to reject":           func(s spec) { s.Given(Opened{}).When(Close{}).ThenError(errFunds) },
		"rejected with another error": func(s spec) { s.When(Withdraw{1}).ThenError(errFunds) },
		"rejected and events":         func(s spec) { s.Given(Opened{}).When(Withdraw{-1}).ThenError(errAmount) },
		"no error expected":           func(s spec) { s.Given(Opened{}).When(Withdraw{1}).ThenError(nil) },
		"another state": func(s spec) {
			s.Given(Opened{"ann"}).When(Deposit{Amount: 3}).ThenState(State{Owner: "ann", Open: true, Balance: 4})
		},
		"state of a rejected command": func(s spec) { s.Given(Opened{"ann"}).When(Withdraw{3}).ThenState(State{}) },
		"nothing is checked":          func(s spec) { s.When(Close{}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{TB: t}
			scenario(props.Spec(r, d))
			golden(t, "spec_"+strings.NewReplacer(" ", "_", ",", "").Replace(name), normal(r.end())+"\n")
		})
	}
}
