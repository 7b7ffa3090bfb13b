package props_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/props"
)

// measured is a command, its event and the state, with numbers of every kind.
type measured struct {
	Int   int
	Small int8
	Uint  uint64
	Float float64
}

// TestShrinksNumbers breaks a law from some number on, however large. The shortest
// history must have exactly that number, and finding it must not take long.
func TestShrinksNumbers(t *testing.T) {
	t.Parallel()
	const most = 2000 // one for each pair of bits
	d := decider.New(
		func(c, _ measured) ([]measured, error) { return []measured{c}, nil },
		func(_, e measured) measured { return e },
	)
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.Int64Range(1, 1<<52).Draw(rt, "limit")
		sign := rapid.SampledFrom([]int64{-1, 1}).Draw(rt, "sign")
		for want, over := range map[string]func(m measured) bool{
			fmt.Sprintf("measured{Int: %d}", sign*limit):           func(m measured) bool { return sign*int64(m.Int) >= limit },
			fmt.Sprintf("measured{Uint: %d}", limit):               func(m measured) bool { return m.Uint >= uint64(limit) },
			fmt.Sprintf("measured{Float: %v}", float64(limit)):     func(m measured) bool { return m.Float >= float64(limit) },
			fmt.Sprintf("measured{Small: %d}", sign*(limit%120+1)): func(m measured) bool { return sign*int64(m.Small) >= limit%120+1 },
		} {
			s := props.For(d).Commands(func(t *rapid.T, _ measured) measured {
				n := rapid.Int64Range(limit, 1<<53).Draw(t, "n")
				return measured{int(sign * n), int8(sign * (limit%120 + 1)), uint64(n), float64(n) + 0.25}
			}).Rule("small", func(s props.Step[measured, measured, measured]) error {
				if over(s.After) {
					return fmt.Errorf("%v is too much", s.After)
				}
				return nil
			})
			_, text := props.Shrinker(t, s, "small", 1)()
			runs := regexp.MustCompile(`\((\d+) runs\)`).FindStringSubmatch(text)
			if n, err := strconv.Atoi(runs[1]); err != nil || n > most || !strings.Contains(text, want+" ") {
				rt.Fatalf("want %s in at most %d runs: %v\n%s", want, most, err, text)
			}
		}
	})
}

type (
	pay  struct{ N int }
	take struct{ N int }
)

// TestShrinksTogether breaks a law by two numbers that belong together: neither the
// payment can be left out nor either number reduced alone, only both at once.
func TestShrinksTogether(t *testing.T) {
	t.Parallel()
	errNo := errors.New("no")
	d := decider.New(
		func(c any, balance int) ([]any, error) {
			switch c := c.(type) {
			case pay:
				if c.N > 0 {
					return []any{c}, nil
				}
			case take:
				if c.N > 0 && c.N <= balance+1 { // the bug
					return []any{c}, nil
				}
			}
			return nil, errNo
		},
		func(balance int, e any) int {
			if e, ok := e.(take); ok {
				return balance - e.N
			}
			return balance + e.(pay).N //nolint:errcheck,forcetypeassert // no other event exists
		},
	)
	s := props.For(d).Commands(func(t *rapid.T, balance int) any {
		if balance == 0 {
			return pay{rapid.IntRange(1, 100_000).Draw(t, "n")}
		}
		return take{balance + 1}
	}).Invariant("never below zero", func(balance int) error {
		if balance < 0 {
			return errNo
		}
		return nil
	})
	for seed := range uint64(50) {
		if steps, text := props.Shrinker(t, s, "never below zero", seed)(); steps != 1 || !strings.Contains(text, "take{N: 1} ") {
			t.Errorf("shrunk to %d steps, want one that takes 1:\n%s", steps, text)
		}
	}
}

type ledger struct{ Moves, Balance int }

// TestShrinksRuns breaks a law when the balance is zero again after many movements. It
// cannot drop a few of them, only all at once. If one must stay, it has to drop a movement
// and make another smaller at the same time.
func TestShrinksRuns(t *testing.T) {
	t.Parallel()
	d := decider.New(
		func(c any, _ ledger) ([]any, error) { return []any{c}, nil },
		func(s ledger, e any) ledger {
			s.Moves++
			switch e := e.(type) {
			case pay:
				s.Balance += e.N
			case take:
				s.Balance -= e.N
			}
			return s
		},
	)
	for _, tt := range []struct {
		script      []any
		moves, want int
	}{
		{[]any{pay{5}, pay{29}, pay{3}, pay{24}, pay{3}, pay{37}, pay{3}, take{45}, pay{1}, take{60}, "close"}, 0, 1},
		{[]any{pay{1}, pay{2}, pay{10}, pay{21}, pay{10}, pay{2}, take{15}, pay{42}, pay{97}, pay{4}, take{95}, pay{84}, pay{4}, pay{5}, take{172}, "close"}, 1, 2},
	} {
		s := props.For(d).Commands(func(_ *rapid.T, s ledger) any { return tt.script[s.Moves%len(tt.script)] }).
			Rule("never closed at zero", func(s props.Step[any, ledger, any]) error {
				if s.Command == any("close") && s.Before.Balance == 0 && s.Before.Moves >= tt.moves {
					return errors.New("it was")
				}
				return nil
			})
		for seed := range uint64(20) {
			if steps, text := props.Shrinker(t, s, "never closed at zero", seed)(); steps != tt.want {
				t.Errorf("the history has %d steps, want %d:\n%s", steps, tt.want, text)
			}
		}
	}
}

// TestShrinksAtOnce breaks a law in ways that only one change after another cannot
// shorten: two commands must go at once, or seven, or a command and a part of another.
func TestShrinksAtOnce(t *testing.T) {
	t.Parallel()
	type amount struct{ N uint64 } // which no other number is subtracted together with
	type toggle struct{}
	d := decider.New(
		func(c any, _ ledger) ([]any, error) { return []any{c}, nil },
		func(s ledger, e any) ledger {
			switch e := e.(type) {
			case amount:
				s.Balance += int(e.N)
			case toggle:
				s.Balance++
			}
			s.Moves++
			return s
		},
	)
	for _, tt := range []struct {
		script []any
		broken func(s ledger, last any) bool
		want   int
	}{
		{[]any{toggle{}, "note", toggle{}, "close"}, func(s ledger, last any) bool {
			return last == any("close") && s.Balance%2 == 0 && s.Moves > s.Balance
		}, 2},
		{append(slices.Repeat([]any{struct{}{}}, 21), "close"), func(s ledger, last any) bool {
			return last == any("close") && s.Moves > 0 && s.Moves%7 == 0
		}, 8},
		{[]any{amount{1}, amount{4}, pay{5}}, func(s ledger, last any) bool {
			p, ok := last.(pay)
			return ok && p.N > 3 && p.N == s.Balance
		}, 2},
	} {
		s := props.For(d).Commands(func(_ *rapid.T, s ledger) any { return tt.script[s.Moves%len(tt.script)] }).
			Rule("never", func(s props.Step[any, ledger, any]) error {
				if tt.broken(s.Before, s.Command) {
					return errors.New("it is")
				}
				return nil
			})
		if steps, text := props.Shrinker(t, s, "never", 1)(); steps != tt.want {
			t.Errorf("the history has %d steps, want %d:\n%s", steps, tt.want, text)
		}
	}
}

// TestShrinksInTurn checks that commands which were needed are tried again once others are
// smaller, and that nothing is run in vain for those after the step that breaks the law.
func TestShrinksInTurn(t *testing.T) {
	t.Parallel()
	d := decider.New(
		func(c any, _ []any) ([]any, error) { return []any{c}, nil },
		func(s []any, e any) []any { return append(slices.Clip(s), e) },
	)
	for _, tt := range []struct {
		script []any
		broken func(before []any, c any) bool
		want   string
	}{
		{[]any{"sign", pay{9}}, func(before []any, c any) bool { // a large sum needs a signature
			p, ok := c.(pay)
			return ok && p.N > 0 && (p.N < 4 || slices.Contains(before, any("sign")))
		}, `1  pay\{N: 1\} (?s:.*); shrunk from \d\d steps to 1 in \S+ \(\d+ runs\)`},
		{[]any{"close", "work"}, func(before []any, _ any) bool { return len(before) == 0 }, `shrunk from \d\d steps to 1 in \S+ \(2 runs\)`},
	} {
		s := props.For(d).Commands(func(_ *rapid.T, s []any) any { return tt.script[len(s)%len(tt.script)] }).
			Rule("never", func(s props.Step[any, []any, any]) error {
				if tt.broken(s.Before, s.Command) {
					return errors.New("it is")
				}
				return nil
			})
		if _, text := props.Shrinker(t, s, "never", 1)(); !regexp.MustCompile(tt.want).MatchString(text) {
			t.Errorf("want %s:\n%s", tt.want, text)
		}
	}
}
