package props_test

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/props"
)

func TestLens(t *testing.T) {
	t.Parallel()
	type total = map[string]int
	get := func(s State) total { return s.Totals }
	lens := func(get func(State) total, set func(State, total) State) func() props.Inquiry {
		return func() props.Inquiry { return props.LensInquiry(fewer(account()), get, set) }
	}
	set := func(s State, part total) State {
		s.Totals = part
		return s
	}
	shared := total{} // by the sets of one of the flaws
	find(t, map[string]flaw{
		"a set that adds": {lens(get, func(s State, part total) State {
			all := maps.Clone(part)
			for k, v := range s.Totals {
				if all == nil {
					all = total{}
				}
				all[k] = v
			}
			s.Totals = all
			return s
		}), []string{"get returns what was set", "the last set wins"}, 3, false},
		"a set that counts": {lens(get, func(s State, part total) State {
			s.Balance++
			return set(s, part)
		}), []string{"setting what get returned changes nothing", "the last set wins"}, 0, false},
		"a set in place": {lens(get, func(s State, part total) State {
			if s.Totals == nil {
				return set(s, maps.Clone(part))
			}
			clear(s.Totals)
			maps.Copy(s.Totals, part)
			return s
		}), []string{"set changes nothing in place"}, 3, false},
		"a set into one map for all": {lens(get, func(s State, part total) State {
			clear(shared)
			maps.Copy(shared, part)
			return set(s, shared)
		}), []string{"set changes nothing in place"}, 2, false},
		"a set that panics": {lens(get, func(s State, part total) State {
			if s.Open {
				panic("already open")
			}
			return set(s, part)
		}), []string{"get returns what was set"}, 1, true},
	}, lens(get, set))
}

// TestLensTriesFewParts checks that only the first three parts of a history are set in its
// other states: all pairs of parts are tried, on each state.
func TestLensTriesFewParts(t *testing.T) {
	t.Parallel()
	most := 0
	counter := decider.New(func(_ count, n int) ([]int, error) { return []int{n + 1}, nil }, func(_, e int) int { return e })
	get := func(n int) int { return n }
	set := func(n, part int) int {
		if part != n {
			most = max(most, part)
		}
		return part
	}
	failures, _, problem := props.Findings(t, props.LensInquiry(props.For(counter).Any(count{}).Checks(20), get, set))
	if most != 2 || len(failures) > 0 || problem != "" {
		t.Errorf("a part is %d, want at most 2: %v %s", most, failures, problem)
	}
}

func TestEmbeds(t *testing.T) {
	t.Parallel()
	type shop struct {
		Account Event
		Other   string
	}
	out := func(e Event) shop { return shop{Account: e} }
	in := func(e shop) (Event, bool) { return e.Account, e.Account != nil }
	embeds := func(in func(shop) (Event, bool), out func(Event) shop) func() props.Inquiry {
		return func() props.Inquiry {
			return props.EmbedsInquiry(fewer(account()), in, out, shop{Other: "shipped"})
		}
	}
	find(t, map[string]flaw{
		"an event that in refuses": {embeds(func(e shop) (Event, bool) {
			_, opened := e.Account.(Opened)
			return e.Account, e.Account != nil && !opened
		}, out), []string{"an event comes back as it was"}, 1, true},
		"an event that loses its tags": {embeds(in, func(e Event) shop {
			if d, ok := e.(Deposited); ok {
				return shop{Account: Deposited{Amount: d.Amount}}
			}
			return shop{Account: e}
		}), []string{"an event comes back as it was"}, 2, false},
		"an unrelated event": {embeds(func(e shop) (Event, bool) {
			return e.Account, true
		}, out), []string{"a foreign event is not accepted"}, 0, true},
		"an event that in panics on": {embeds(func(e shop) (Event, bool) {
			if _, opened := e.Account.(Opened); opened {
				panic("opened")
			}
			return in(e)
		}, out), []string{"an event comes back as it was"}, 1, true},
		"a foreign event that in panics on": {embeds(func(e shop) (Event, bool) {
			if e.Account == nil {
				panic("no account")
			}
			return e.Account, true
		}, out), []string{"a foreign event is not accepted"}, 0, true},
	}, embeds(in, out))
}

func TestBatches(t *testing.T) {
	t.Parallel()
	type batch = decider.Decider[[]Command, State, Event]
	batches := func(change func(b *batch)) func() props.Inquiry {
		return func() props.Inquiry {
			b := decider.Batch(account())
			change(&b)
			return props.BatchesInquiry(fewer(account()), b)
		}
	}
	find(t, map[string]flaw{
		"a batch that hides its errors": {batches(func(b *batch) {
			b.Decide = func(cmds []Command, s State) ([]Event, error) {
				events, err := decider.Batch(account()).Decide(cmds, s)
				if err != nil {
					return nil, errors.New("rejected")
				}
				return events, nil
			}
		}), []string{"a batch of one equals its command"}, 2, false},
		"a batch of one that counts twice": {batches(func(b *batch) {
			b.Decide = func(cmds []Command, s State) ([]Event, error) {
				events, err := decider.Batch(account()).Decide(cmds, s)
				if len(cmds) == 1 {
					events = slices.Concat(events, events)
				}
				return events, err
			}
		}), []string{"a batch of one equals its command"}, 1, false},
		"a batch that needs a command": {batches(func(b *batch) {
			b.Decide = func(cmds []Command, s State) ([]Event, error) {
				if len(cmds) == 0 {
					panic("no command")
				}
				return decider.Batch(account()).Decide(cmds, s)
			}
		}), []string{"a batch equals its commands in turn"}, 1, false},
		"a batch that decides all on one state": {batches(func(b *batch) {
			b.Decide = func(cmds []Command, s State) (all []Event, err error) {
				for _, c := range cmds {
					events, err := decide(c, s)
					if err != nil {
						return nil, err
					}
					all = append(all, events...)
				}
				return all, nil
			}
		}), []string{"a batch equals its commands in turn"}, 2, false},
		"a batch that skips rejected commands": {batches(func(b *batch) {
			b.Decide = func(cmds []Command, s State) (all []Event, err error) {
				for _, c := range cmds {
					events, err := decide(c, s)
					if err != nil && len(cmds) == 1 {
						return nil, err
					}
					s = account().Fold(s, events...)
					all = append(all, events...)
				}
				return all, nil
			}
		}), []string{"a batch is all or nothing"}, 2, false},
		"a batch that returns the events so far": {batches(func(b *batch) {
			b.Decide = func(cmds []Command, s State) (all []Event, err error) {
				for _, c := range cmds {
					events, err := decide(c, s)
					if err != nil {
						return all, err
					}
					s = account().Fold(s, events...)
					all = append(all, events...)
				}
				return all, nil
			}
		}), []string{"a batch is all or nothing"}, 3, false},
	}, batches(func(*batch) {}))
}

// TestCascade checks that a process whose follow-ups are all decided on the original
// state differs from WithProcess.
func TestCascade(t *testing.T) {
	t.Parallel()
	type (
		state   = decider.Pair[State, int]
		process = decider.Process[Event, int, Command]
	)
	p := process{ // an account that is opened gets five, and gives it back at once
		Evolve: func(n int, _ Event) int { return n + 1 },
		React: func(_ int, e Event) (r decider.Reaction[Command, Event]) {
			if _, ok := e.(Opened); ok {
				r.Send = []Command{Deposit{Amount: 5}, Withdraw{Amount: 5}}
			}
			return r
		},
	}
	w := decider.WithProcess(account(), p, 10)
	s := props.For(w).Any(Open{}, Deposit{}, Withdraw{}, Close{}).Checks(150)
	props.Same(t, s, decider.WithProcess(account(), p, 10))
	stale := w
	stale.Decide = func(c Command, s state) ([]Event, error) {
		events, err := account().Decide(c, s.Left)
		all := slices.Clone(events)
		for _, e := range events {
			for _, c := range p.React(s.Right, e).Send {
				more, err := account().Decide(c, s.Left) // the bug: ignores the earlier events
				if err != nil {
					return nil, err
				}
				all = append(all, more...)
			}
		}
		return all, err
	}
	failures, _, problem := props.Findings(t, props.SameInquiry(s, stale))
	if problem != "" || len(failures) == 0 || failures[0].Law != "both decide the same" || failures[0].Steps != 1 {
		t.Errorf("failures are %v %s", failures, problem)
	}
	if !regexp.MustCompile(`the other  ✗ account: not open`).MatchString(fmt.Sprint(failures)) {
		t.Errorf("the report does not say what the other does: %v", failures)
	}
}
