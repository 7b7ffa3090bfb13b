package props_test

import (
	"errors"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/props"
)

// TestValid checks that no law passes commands to a decider that Valid excludes, in the
// histories, in the search for what never comes, and when a failure is shrunk.
func TestValid(t *testing.T) {
	t.Parallel()
	valid := func(s State, c Command) bool { // a closed account takes no commands
		d, deposit := c.(Deposit)
		return !s.Closed && c != nil && (!deposit || d.Amount > 5 && d.Amount <= limit)
	}
	brittle := func(valid func(State, Command) bool) Suite {
		return samples(changed(func(d *Account) {
			d.Decide = func(c Command, s State) ([]Event, error) {
				if !valid(s, c) {
					panic("this cannot occur")
				}
				return decide(c, s)
			}
		})).Valid(valid)
	}
	noWithdrawal := func(s State, c Command) bool {
		_, ok := c.(Withdraw)
		return !ok && valid(s, c)
	}
	endless := samples(changed(func(d *Account) { // it answers every command after its end
		d.Decide = func(c Command, s State) ([]Event, error) {
			if s.Closed {
				return []Event{Closed{}}, nil
			}
			return decide(c, s)
		}
	})).Valid(valid).Idempotent(Open{}, Close{})
	poor := samples(account()).Valid(valid).Invariant("the balance is small", func(s State) error {
		if s.Balance > 2 {
			return errors.New("it is large")
		}
		return nil
	})
	for name, tt := range map[string]struct {
		suite Suite
		law   string // that is broken, if any
		says  string
	}{
		"the histories":             {brittle(valid), "", ""},
		"a search for what is rare": {brittle(noWithdrawal), "every command leads to events sometimes", "Withdraw never led to an event, in 0 tries: it was never drawn"},
		"after the end":             {endless, "", ""},
		"shrinking":                 {poor, "the balance is small", "When(props_test.Deposit{Amount: 6}).\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failures, _, problem := props.Failures(t, props.Hasty(tt.suite.Checks(few())))
			switch {
			case problem != "" || len(failures) > 1:
				t.Errorf("failed %s %s, want %q alone", lawsOf(failures), problem, tt.law)
			case len(failures) != 0 && (failures[0].Law != tt.law || !strings.Contains(failures[0].Text, tt.says)):
				t.Errorf("want %q that says %q, not %s", tt.law, tt.says, failures[0].Text)
			case len(failures) == 0 && tt.law != "":
				t.Errorf("%q did not fail", tt.law)
			}
		})
	}
}

// TestValidPanics checks that a Valid which panics where only a law asks it does not make
// the law hold.
func TestValidPanics(t *testing.T) {
	t.Parallel()
	d := decider.New(
		func(c string, _ int) ([]string, error) { return []string{c}, nil },
		func(n int, _ string) int { return n + 1 },
	)
	s := props.For(d).Checks(few()).Commands(func(_ *rapid.T, n int) string {
		return []string{"open", "work"}[min(n, 1)]
	}).Valid(func(n int, c string) bool {
		if n > 0 && c == "open" {
			panic("it is open")
		}
		return true
	}).Idempotent()
	failures, _, problem := props.Failures(t, s)
	if problem != "" || len(failures) != 1 || !strings.HasPrefix(failures[0].Text, "a repeated command changes nothing: broken by step 1 of the shortest history found\n\tpanic: it is open (domain_test.go:") {
		t.Errorf("%v, and the problem is %q", failures, problem)
	}
}

// TestSharedEvolve checks that the law about sharing calls Evolve too, several times at
// once. That calls overlap is a matter of chance, so it gets many.
func TestSharedEvolve(t *testing.T) {
	t.Parallel()
	var at atomic.Int64 // calls at the same time
	s := samples(changed(func(d *Account) {
		d.Evolve = on(func(s State, e Deposited) State {
			at.Add(1)
			defer at.Add(-1)
			for range 10 {
				runtime.Gosched() // so that they overlap even on one processor
			}
			s = evolve(s, e)
			s.Balance += int(at.Load() - 1)
			return s
		})
	}))
	for range 100 {
		if failures, _, _ := props.Failures(t, s.Checks(few())); len(failures) > 0 {
			if failures[0].Law != "sharing is safe" || !strings.Contains(failures[0].Text, " evolved on one state, in several goroutines:") {
				t.Errorf("failures are %v", failures)
			}
			return
		}
	}
	t.Error("no law failed")
}

// TestWithout checks that each law and each verdict that has a subtest can be left out,
// that a verdict which is left out takes no search, and that an unknown name is refused.
func TestWithout(t *testing.T) {
	t.Parallel()
	d := account()
	d.EvolveInPlace = func(s *State, e Event) { *s = evolve(*s, e) }
	all := props.For(d).Any(Open{}, Deposit{}, Withdraw{}, Close{}).Codec(codec.JSON(allNames())).
		Rule("a closed account decides nothing", frozen).Reaches("an overdraft is refused", refused)
	names := slices.Concat(props.Laws(all), []string{"every command leads to events sometimes", "every event is decided sometimes", "an overdraft is refused"})
	if !slices.Contains(names, "evolve in place is evolve") {
		t.Errorf("the laws are %q, want one about EvolveInPlace", names)
	}
	less := all.Without(names...)
	failures, _, problem := props.Failures(t, less.Checks(1))
	if left := props.Laws(less); problem != "" || len(failures) > 0 || len(left) > 0 {
		t.Errorf("without all laws there are %q, and fail %s %s", left, lawsOf(failures), problem)
	}
	_, _, problem = props.Failures(t, samples(account()).Without("evolve in place is evolve", "sharing is safe", "no such law"))
	want := regexp.MustCompile(`^props: Without\("evolve in place is evolve", "no such law"\): there is no such law, only\n\tdecide is total\n(\t.*\n)+\tevery command leads to events sometimes$`)
	if !want.MatchString(problem) {
		t.Errorf("the problem is %s\nwant one that matches %s", problem, want)
	}
	for law, s := range map[string]Suite{
		"every command leads to events sometimes": plant(func(d *Account) {
			d.Decide = func(Command, State) ([]Event, error) { return nil, errNotOpen }
		})(),
		"every event is decided sometimes": planted["an event that is never decided"].suite(),
		"an overdraft is paid":             planted["a case that never comes"].suite(),
	} {
		failures, coverage, problem := props.Failures(t, s.Without(law).Checks(100))
		if problem != "" || len(failures) > 0 || !strings.HasPrefix(coverage, "100 histories, ") {
			t.Errorf("without %q: %s%v, want a hundred histories:\n%s", law, problem, lawsOf(failures), coverage)
		}
	}
}

// TestChecksPanics checks that a number of histories that checks nothing is refused.
func TestChecksPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if got := recover(); got != "props: Checks(0)" {
			t.Errorf("Checks panicked with %v", got)
		}
	}()
	samples(account()).Checks(0)
}
