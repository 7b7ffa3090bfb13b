package props_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/props"
	"github.com/evolvego/evolve/store"
)

type (
	Account = decider.Decider[Command, State, Event]
	Suite   = props.Suite[Command, State, Event]
)

// plant returns the suite of an account that change has broken.
func plant(change func(d *Account)) func() Suite {
	return func() Suite {
		d := account()
		change(&d)
		return samples(d)
	}
}

// on returns an Evolve that calls f for events of type T, and is correct otherwise.
func on[T Event](f func(s State, e T) State) func(State, Event) State {
	return func(s State, e Event) State {
		if e, ok := e.(T); ok {
			return f(s, e)
		}
		return evolve(s, e)
	}
}

// bug is a planted bug, with the laws that must report it and the longest history that
// may show it.
type bug struct {
	suite func() Suite
	laws  []string
	steps int
}

// planted holds all planted bugs.
var planted = together(plantedDeciders, plantedCodecs, plantedDomains)

func together(maps ...map[string]bug) map[string]bug {
	all := map[string]bug{}
	for _, m := range maps {
		for name, b := range m {
			if _, ok := all[name]; ok {
				panic("two bugs of one name: " + name)
			}
			all[name] = b
		}
	}
	return all
}

var plantedDeciders = map[string]bug{
	"a division by zero in decide": {plant(func(d *Account) {
		d.Decide = func(c Command, s State) ([]Event, error) {
			if w, ok := c.(Withdraw); ok && s.Open && w.Amount%s.Balance == 0 {
				return nil, errFunds
			}
			return decide(c, s)
		}
	}), []string{"decide is total"}, 2},
	"closed on Sundays": {plant(func(d *Account) {
		d.Decide = func(c Command, s State) ([]Event, error) {
			if time.Now().Weekday() == time.Sunday {
				return nil, errNotOpen
			}
			return decide(c, s)
		}
	}), []string{"decide is deterministic"}, 1},
	"a panic on Sundays": {plant(func(d *Account) {
		d.Decide = func(c Command, s State) ([]Event, error) {
			if now := time.Now(); now.Year() == 2000 && now.Weekday() == time.Sunday { // not today, even on a Sunday
				panic("closed")
			}
			return decide(c, s)
		}
	}), []string{"decide is deterministic"}, 1},
	"a panic of evolve on Sundays": {plant(func(d *Account) {
		d.Evolve = on(func(s State, e Deposited) State {
			if now := time.Now(); now.Year() == 2000 && now.Weekday() == time.Sunday {
				panic("closed")
			}
			return evolve(s, e)
		})
	}), []string{"evolve is deterministic"}, 2},
	"a fee by chance": {plant(func(d *Account) {
		d.Decide = func(c Command, s State) ([]Event, error) {
			events, err := decide(c, s)
			if w, ok := c.(Withdraw); ok && err == nil {
				return append(events, Withdrawn{w.Amount * rand.IntN(1000)}), nil
			}
			return events, err
		}
	}), []string{"decide is deterministic"}, 3},
	"an expiry by the clock, years ahead": {plant(func(d *Account) {
		d.Decide = func(c Command, s State) ([]Event, error) {
			if s.Open && time.Now().Year() > 2030 {
				return nil, errNotOpen
			}
			return decide(c, s)
		}
	}), []string{"decide is deterministic"}, 2},
	"events in the order of a map": {plant(func(d *Account) {
		d.Decide = func(c Command, s State) ([]Event, error) {
			events, err := decide(c, s)
			if _, ok := c.(Deposit); ok && err == nil {
				for name := range s.Totals {
					events = append(events, Deposited{Tags: []string{name}})
				}
			}
			return events, err
		}
	}), []string{"decide is deterministic"}, 40}, // by chance: shrinking can miss an order that happens to be right
	"an error that tells the time": {plant(func(d *Account) {
		d.Decide = func(c Command, s State) ([]Event, error) {
			events, err := decide(c, s)
			if err != nil {
				err = fmt.Errorf("%w at %s", err, time.Now())
			}
			return events, err
		}
	}), []string{"decide is deterministic"}, 1},
	"tags sorted in the command": {plant(func(d *Account) {
		d.Decide = func(c Command, s State) ([]Event, error) {
			if c, ok := c.(Deposit); ok {
				slices.Sort(c.Tags)
			}
			return decide(c, s)
		}
	}), []string{"decide changes nothing"}, 1},
	"decide writes the totals": {plant(func(d *Account) {
		d.Decide = func(c Command, s State) ([]Event, error) {
			if s.Totals != nil {
				s.Totals["asked"]++
			}
			return decide(c, s)
		}
	}), []string{"decide changes nothing", "the past does not change"}, 3},
	"events beside an error": {plant(func(d *Account) {
		d.Decide = func(c Command, s State) ([]Event, error) {
			events, err := decide(c, s)
			if err != nil && s.Open {
				events = append(events, Closed{})
			}
			return events, err
		}
	}), []string{"a rejection has no events"}, 3},
	"a nil event": {plant(func(d *Account) {
		d.Decide = func(c Command, s State) ([]Event, error) {
			events, err := decide(c, s)
			if _, ok := c.(Close); ok && err == nil {
				events = append(events, nil)
			}
			return events, err
		}
	}), []string{"events are real"}, 2},
	"a map that is made when opened": {plant(func(d *Account) {
		d.Evolve = on(func(s State, e Deposited) State {
			next := moved(s, e.Amount, "in")
			if !s.Open {
				var totals map[string]int
				totals["in"] += e.Amount //nolint:staticcheck // the bug
			}
			return next
		})
	}), []string{"evolve is total"}, 2},
	"a panic in evolve": {plant(func(d *Account) {
		d.Evolve = on(func(s State, e Withdrawn) State { panic("unreachable: " + s.Owner) })
	}), []string{"evolve is total"}, 3},
	"the time in the state": {plant(func(d *Account) {
		d.Evolve = on(func(s State, e Opened) State {
			s.Open, s.Balance = true, time.Now().Day()
			return s
		})
	}), []string{"evolve is deterministic"}, 1},
	"a counter beside evolve": {plant(func(d *Account) {
		n := 0
		d.Evolve = on(func(s State, e Deposited) State {
			n++
			return moved(s, n, "in")
		})
	}), []string{"evolve is deterministic", "replay gives the same state"}, 2},
	"totals written in place": {plant(func(d *Account) {
		d.Evolve = on(func(s State, e Withdrawn) State {
			s = moved(s, -e.Amount, "out")
			return s
		})
		inner := d.Evolve
		d.Evolve = func(s State, e Event) State {
			if s.Totals != nil {
				s.Totals["events"]++
			}
			return inner(s, e)
		}
	}), []string{"evolve changes nothing", "the past does not change"}, 4},
	"tags of an event sorted": {plant(func(d *Account) {
		d.Evolve = on(func(s State, e Deposited) State {
			slices.Sort(e.Tags)
			return moved(s, e.Amount, "in")
		})
	}), []string{"evolve changes nothing"}, 2},
	"append to a shared slice": {plant(func(d *Account) {
		d.Evolve = func(s State, e Event) State {
			switch e := e.(type) {
			case Deposited:
				s.Balance += e.Amount
				s.Movements = append(s.Movements, e.Amount)
				return s
			case Withdrawn:
				s.Balance -= e.Amount
				s.Movements = append(s.Movements, -e.Amount)
				return s
			}
			return evolve(s, e)
		}
	}), []string{"evolve shares no memory"}, 5},
	"one buffer for all decisions": {plant(func(d *Account) {
		buffer := make([]Event, 0, 8)
		d.Decide = func(c Command, s State) ([]Event, error) {
			events, err := decide(c, s)
			if err != nil {
				return nil, err
			}
			buffer = append(buffer[:0], events...)
			return buffer, nil
		}
	}), []string{"the past does not change"}, 2},
	"a start in a package variable": {plant(func(d *Account) {
		shared := map[string]int{}
		d.Initial = func() State { return State{Totals: shared} }
		d.Evolve = on(func(s State, e Opened) State {
			s.Totals["opened"]++
			s.Open = true
			return s
		})
	}), []string{"start is fresh", "evolve changes nothing"}, 1},
	"a start that counts": {plant(func(d *Account) {
		n := 0
		d.Initial = func() State { n++; return State{Owner: strconv.Itoa(n)} }
	}), []string{"start is fresh"}, 1},
	"another balance in place": {plant(func(d *Account) {
		d.EvolveInPlace = func(s *State, e Event) {
			*s = evolve(*s, e)
			if _, ok := e.(Withdrawn); ok {
				s.Balance++
			}
		}
	}), []string{"evolve in place is evolve"}, 3},
	"a map that is changed in place": {plant(func(d *Account) {
		d.EvolveInPlace = func(s *State, e Event) {
			totals := s.Totals
			*s = evolve(*s, e)
			if totals != nil {
				maps.Copy(totals, s.Totals)
				s.Totals = totals
			}
		}
	}), []string{"evolve in place is evolve"}, 3},
	"an event that evolve in place forgets": {plant(func(d *Account) {
		d.EvolveInPlace = func(s *State, e Event) {
			if _, ok := e.(Closed); !ok {
				*s = evolve(*s, e)
			}
		}
	}), []string{"evolve in place is evolve"}, 2},
	"a panic in place": {plant(func(d *Account) {
		d.EvolveInPlace = func(s *State, e Event) {
			if w, ok := e.(Withdrawn); ok && w.Amount > s.Balance/2 {
				panic("half of it")
			}
			*s = evolve(*s, e)
		}
	}), []string{"evolve in place is evolve"}, 3},
	"a deposit to a closed account": {plant(func(d *Account) {
		d.Decide = func(c Command, s State) ([]Event, error) {
			if c, ok := c.(Deposit); ok && s.Closed {
				return []Event{Deposited(c)}, nil
			}
			return decide(c, s)
		}
	}), []string{"a terminal state stays"}, 3},
	"a way out of a terminal state": {plant(func(d *Account) {
		d.Evolve = on(func(s State, e Opened) State {
			s = evolve(s, e)
			s.Closed = false
			return s
		})
	}), []string{"a terminal state stays"}, 2},
	"a buffer that decisions share": {plant(func(d *Account) {
		var buffer atomic.Pointer[Command]
		d.Decide = func(c Command, s State) ([]Event, error) {
			buffer.Store(&c)
			runtime.Gosched()
			return decide(*buffer.Load(), s)
		}
	}), []string{"sharing is safe"}, 4}, // by chance: two commands must overlap
	"a panic of decisions that meet": {plant(func(d *Account) {
		var inside atomic.Int32
		d.Decide = func(c Command, s State) ([]Event, error) {
			defer inside.Add(-1)
			if inside.Add(1) > 1 {
				panic("somebody is here already")
			}
			runtime.Gosched()
			return decide(c, s)
		}
	}), []string{"sharing is safe"}, 4},
	"an overdraft from the fourth movement on": {func() Suite {
		d := account()
		d.Decide = func(c Command, s State) ([]Event, error) {
			if w, ok := c.(Withdraw); ok && s.Open && !s.Closed && len(s.Movements) > 3 && w.Amount > 0 && w.Amount <= limit {
				return []Event{Withdrawn(w)}, nil
			}
			return decide(c, s)
		}
		return samples(d).Invariant("balance is never negative", solvent)
	}, []string{"balance is never negative"}, 6},
	"a draw that fails on a broken account": {func() Suite {
		d := account()
		d.Decide = func(c Command, s State) ([]Event, error) {
			if w, ok := c.(Withdraw); ok && s.Open && !s.Closed && w.Amount == s.Balance+1 {
				return []Event{Withdrawn(w)}, nil
			}
			return decide(c, s)
		}
		return samples(d).Invariant("balance is never negative", solvent).Commands(func(t *rapid.T, s State) Command {
			return Withdraw{rapid.IntRange(1, s.Balance+1).Draw(t, "amount")}
		})
	}, []string{"balance is never negative"}, 2},
	"a start that breaks the invariant": {func() Suite {
		d := account()
		d.Initial = func() State { return State{Balance: -1} }
		return samples(d).Invariant("balance is never negative", solvent)
	}, []string{"balance is never negative"}, 0},
	"a rule that panics": {func() Suite {
		return samples(account()).Rule("no rule", func(s Step) error { return fmt.Errorf("%d", 1/len(s.After.Owner)) })
	}, []string{"no rule"}, 1},
	"a deposit after the end": {func() Suite {
		d := account()
		d.Terminal = nil
		d.Decide = func(c Command, s State) ([]Event, error) {
			if c, ok := c.(Deposit); ok && s.Closed {
				return []Event{Deposited(c)}, nil
			}
			return decide(c, s)
		}
		return samples(d).Rule("a closed account decides nothing", frozen)
	}, []string{"a closed account decides nothing"}, 3},
	"a command that is never accepted": {plant(func(d *Account) {
		d.Decide = func(c Command, s State) ([]Event, error) {
			if _, ok := c.(Withdraw); ok {
				return nil, errFunds
			}
			return decide(c, s)
		}
	}), []string{"every command leads to events sometimes"}, 0},
	"an account that rejects everything": {plant(func(d *Account) {
		d.Decide = func(Command, State) ([]Event, error) { return nil, errNotOpen }
	}), []string{"every command leads to events sometimes"}, 0},
	"an event that is never decided": {func() Suite {
		return samples(account()).Codec(codec.JSON(map[string]Event{
			"opened": Opened{}, "deposited": Deposited{}, "withdrawn": Withdrawn{}, "closed": Closed{}, "audited": Audited{},
		}))
	}, []string{"every event is decided sometimes"}, 0},
	"a case that never comes": {func() Suite {
		return samples(account()).Reaches("an overdraft is paid", func(s Step) bool { return s.After.Balance < 0 })
	}, []string{"an overdraft is paid"}, 0},
}

// Audited is an event that no command decides.
type Audited struct{}

func (Audited) event() {}

// few is how many histories find the planted bugs for certain, so that not every test
// needs a thousand. With RAPID_CHECKS=1000 it is ten times as many.
func few() int {
	const enough = 120
	if f := flag.Lookup("rapid.checks"); f != nil && len(f.Value.String()) > len("999") {
		return 10 * enough
	}
	return enough
}

// TestPlanted checks that every planted bug is found under the names of the laws that are
// about it, and shown in a short history.
func TestPlanted(t *testing.T) {
	t.Parallel()
	for name, tt := range planted {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failures, _, err := props.Failures(t, props.Hasty(tt.suite().Checks(few())))
			if err != "" {
				t.Fatal(err)
			}
			found := map[string]props.Failure{}
			for _, f := range failures {
				found[f.Law] = f
			}
			for _, law := range tt.laws {
				f, ok := found[law]
				if !ok {
					t.Errorf("%q did not fail; these did: %v", law, lawsOf(failures))
					continue
				}
				if f.Steps > tt.steps+1 { // shrinking may end one command above the minimum
					t.Errorf("%q takes %d steps to show, want %d or one more:\n%s", law, f.Steps, tt.steps, f.Text)
				}
				t.Log(f.Text)
			}
			if len(failures) > 1 {
				t.Log("also:", lawsOf(failures))
			}
		})
	}
}

// TestExplained checks that what never comes is not reported beside the reason for it.
func TestExplained(t *testing.T) {
	t.Parallel()
	for law, s := range map[string]Suite{
		"decide is total": plant(func(d *Account) {
			d.Decide = func(c Command, s State) ([]Event, error) {
				if _, ok := c.(Close); ok {
					panic("closed for good")
				}
				return decide(c, s)
			}
		})(),
		"every event encodes": samples(account()).Codec(codec.JSON(map[string]Event{
			"Opened": Opened{}, "Deposited": Deposited{}, "Closed": Closed{}, "Audited": Audited{},
		})),
	} {
		failures, _, err := props.Failures(t, props.Hasty(s.Checks(1200)))
		if err != "" || len(failures) != 1 || failures[0].Law != law {
			t.Errorf("%v failed (%s), want %q alone", lawsOf(failures), err, law)
		}
	}
}

// TestOnlyOnce checks the report of a failure that does not come again.
func TestOnlyOnce(t *testing.T) {
	t.Parallel()
	var failed atomic.Bool
	failures, _, err := props.Failures(t, samples(account()).Checks(few()).Invariant("nothing is deposited", func(s State) error {
		if len(s.Movements) > 0 && !failed.Swap(true) {
			return errors.New("it is")
		}
		return nil
	}))
	if err != "" || len(failures) != 1 || !strings.Contains(failures[0].Text, "but not when the history was run again") ||
		!strings.Contains(failures[0].Text, "Deposited{") {
		t.Errorf("%v (%s)", failures, err)
	}
}

// TestEveryLawIsPlanted checks that there is a planted bug for each law.
func TestEveryLawIsPlanted(t *testing.T) {
	t.Parallel()
	named := map[string]bool{}
	for _, tt := range planted {
		for _, law := range tt.laws {
			named[law] = true
		}
	}
	for _, tt := range mistaken {
		named[tt.law] = true
	}
	for _, law := range props.Laws(suite()) {
		if !named[law] {
			t.Errorf("no planted bug breaks the law %q", law)
		}
	}
}

// TestImpure checks that a function which changes its arguments is not also reported as
// random, or as appending to shared memory.
func TestImpure(t *testing.T) {
	t.Parallel()
	count := func(s State) State { // so that the next answer differs
		if s.Totals != nil {
			s.Totals["asked"]++
			s.Balance += s.Totals["asked"]
		}
		return s
	}
	impure := map[string]func(d *Account){
		"decide changes nothing": func(d *Account) {
			d.Decide = func(c Command, s State) ([]Event, error) { return decide(c, count(s)) }
		},
		"evolve changes nothing": func(d *Account) {
			d.Evolve = func(s State, e Event) State { return evolve(count(s), e) }
		},
	}
	for want, change := range impure {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			failures, _, err := props.Failures(t, plant(change)().Checks(few()))
			if err != "" {
				t.Fatal(err)
			}
			found := map[string]bool{}
			for _, f := range failures {
				found[f.Law] = true
			}
			if !found[want] {
				t.Errorf("%q did not fail", want)
			}
			for _, law := range []string{"decide is deterministic", "evolve is deterministic", "evolve shares no memory"} {
				if found[law] {
					t.Errorf("%q failed too", law)
				}
			}
		})
	}
}

// TestLossyCodec checks that nothing else is reported about an event that does not survive
// encoding, though each encoding of it differs too.
func TestLossyCodec(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	s := samples(account()).Codec(wrong{
		stored: func(e Event, s store.Event) store.Event {
			if _, ok := e.(Deposited); ok {
				s.Data = append(slices.Clone(s.Data), strings.Repeat(" ", int(n.Add(1)%2))...)
			}
			return s
		},
		decode: func(e Event) Event {
			if d, ok := e.(Deposited); ok {
				d.Amount++
				return d
			}
			return e
		},
	})
	failures, _, err := props.Failures(t, s.Checks(few()))
	for _, law := range []string{"encoding is stable", "damaged data is an error", "decoded events own their memory", "large numbers survive encoding"} {
		if slices.ContainsFunc(failures, func(f props.Failure) bool { return f.Law == law }) {
			t.Errorf("%q failed too", law)
		}
	}
	if len(failures) == 0 || failures[0].Law != "events survive encoding" || err != "" {
		t.Errorf("%s: %s, want events that do not survive first", err, lawsOf(failures))
	}
}

// TestNoEvents checks that the codec is not blamed for an event that is nil, or that comes
// with a rejection.
func TestNoEvents(t *testing.T) {
	t.Parallel()
	void := func(e Event) bool {
		d, ok := e.(Deposited)
		return ok && d.Amount < 0
	}
	beside := plant(func(d *Account) {
		d.Decide = func(c Command, s State) ([]Event, error) {
			events, err := decide(c, s)
			if err != nil {
				events = append(events, Deposited{Amount: -1})
			}
			return events, err
		}
	})()
	none := planted["a nil event"].suite()
	for name, tt := range map[string]struct {
		law   string
		suite Suite
	}{
		"nil, which does not encode": {"events are real", none.Codec(codec.JSON(allNames()))},
		"nil, which encodes":         {"events are real", none.Codec(nilCodec{codec.JSON(allNames())})},
		"rejected, and does not encode": {"a rejection has no events", beside.Codec(wrong{encode: func(e Event) {
			if void(e) {
				panic("less than nothing")
			}
		}})},
		"rejected, and does not decode": {"a rejection has no events", beside.Codec(wrong{decode: func(e Event) Event {
			if void(e) {
				return nil
			}
			return e
		}})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failures, _, err := props.Failures(t, props.Hasty(tt.suite.Checks(few())))
			if err != "" || len(failures) == 0 || failures[0].Law != tt.law {
				t.Errorf("%s: %s, want %q first", err, lawsOf(failures), tt.law)
			}
			for _, law := range []string{"every event encodes", "events survive encoding"} {
				if slices.ContainsFunc(failures, func(f props.Failure) bool { return f.Law == law }) {
					t.Errorf("%q failed too", law)
				}
			}
		})
	}
}

// nilCodec encodes nil, but does not decode it.
type nilCodec struct{ codec.Codec[Event] }

func (c nilCodec) Encode(e Event) (store.Event, error) {
	if e == nil {
		return store.Event{Type: "nil"}, nil
	}
	return c.Codec.Encode(e)
}

func lawsOf(failures []props.Failure) string {
	var all []string
	for _, f := range failures {
		all = append(all, fmt.Sprintf("%q in %d", f.Law, f.Steps))
	}
	return strings.Join(all, ", ")
}
