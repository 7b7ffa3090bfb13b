package decider_test

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
)

// The size of a random decider. Commands and events are numbered from 0. The number after
// the last is unknown to the decider.
const (
	states   = 4
	commands = 3
	events   = 4
)

var (
	errFull   = errors.New("table: full")
	errClosed = errors.New("table: closed")
)

// all returns the numbers from 0 to n: those of a table, and an unknown one.
func all[T ~int](n int) []T {
	var ts []T
	for i := range n + 1 {
		ts = append(ts, T(i))
	}
	return ts
}

// numbers is a table of numbers. halves and thirds are tables on a part of a state.
type (
	numbers = decider.Decider[int, int, int]
	halves  = decider.Decider[int, both, int]
	thirds  = decider.Decider[int, trio, int]
)

// cell is a decision of a table.
type cell[E any] struct {
	events []E
	err    error
}

// table draws a random finite decider, which accepts, does nothing, rejects, does not
// handle, begins anywhere, and ends or not. Its decisions lie side by side in one array,
// so that appending to one of them overwrites the next.
func table[C, S, E ~int](t *rapid.T, label string) decider.Decider[C, S, E] {
	draw := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, label) }
	var (
		pool   = make([]E, 0, states*commands*3)
		decide [states][commands]cell[E]
		evolve [states][events]S
		end    [states]bool
	)
	ends := draw(2) == 1
	for s := range states {
		end[s] = ends && draw(4) == 0
		for e := range events {
			if evolve[s][e] = S(draw(states)); end[s] {
				evolve[s][e] = S(s)
			}
		}
		for c := range commands {
			kind := draw(8)
			switch {
			case kind == 0:
				decide[s][c].err = decider.ErrUnhandled
			case kind == 1:
				decide[s][c].err = errFull
			case kind == 2:
				decide[s][c].err = errClosed
			case !end[s]:
				from := len(pool)
				for range draw(4) {
					pool = append(pool, E(draw(events)))
				}
				decide[s][c].events = pool[from:]
			}
		}
	}
	d := decider.New(
		func(cmd C, state S) ([]E, error) {
			if int(cmd) >= commands {
				return nil, decider.ErrUnhandled
			}
			return decide[state][cmd].events, decide[state][cmd].err
		},
		func(state S, event E) S {
			if int(event) >= events {
				return state
			}
			return evolve[state][event]
		},
	)
	if first := draw(states + 1); first < states {
		d.Initial = func() S { return S(first) }
	}
	if ends {
		d.Terminal = func(state S) bool { return end[state] }
	}
	return d
}

// show returns the current text of a value, which does not change with the value.
func show(v any) string { return fmt.Sprintf("%+v", v) }

// reach calls visit with each state of d that commands and events lead to.
func reach[C, S, E any](d decider.Decider[C, S, E], cmds []C, evs []E, visit func(S)) {
	seen := map[string]bool{}
	next := []S{d.Start()}
	for len(next) > 0 && len(seen) < 200 {
		s := next[0]
		if next = next[1:]; seen[show(s)] {
			continue
		}
		seen[show(s)] = true
		visit(s)
		for _, e := range evs {
			next = append(next, d.Evolve(s, e))
		}
		for _, c := range cmds {
			after, _, _ := d.Step(c, s)
			next = append(next, after)
		}
	}
}

// iso translates one decider into another. A nil err is the identity.
type iso[C, S, E, C2, S2, E2 any] struct {
	command func(C) C2
	state   func(S) S2
	event   func(E) E2
	err     func(error) error // from the second to the first
}

// same fails unless x and y behave alike under i, in every reachable state, for all cmds
// and evs.
func same[C, S, E, C2, S2, E2 any](t rapid.TB, x decider.Decider[C, S, E], y decider.Decider[C2, S2, E2], i iso[C, S, E, C2, S2, E2], cmds []C, evs []E) {
	t.Helper()
	if got, want := show(i.state(x.Start())), show(y.Start()); got != want {
		t.Fatalf("Start() = %s, want %s", got, want)
	}
	reach(x, cmds, evs, func(s S) {
		s2 := i.state(s)
		if got, want := x.IsTerminal(s), y.IsTerminal(s2); got != want {
			t.Fatalf("IsTerminal(%+v) = %v, want %v", s, got, want)
		}
		for _, c := range cmds {
			got, gotErr := x.Decide(c, s)
			want, wantErr := y.Decide(i.command(c), s2)
			if i.err != nil {
				wantErr = i.err(wantErr)
			}
			var mapped []E2
			for _, e := range got {
				mapped = append(mapped, i.event(e))
			}
			if show(mapped) != show(want) || gotErr != wantErr { //nolint:errorlint // it must be the very same error
				t.Fatalf("Decide(%+v, %+v) = %+v, %v, want %+v, %v", c, s, got, gotErr, want, wantErr)
			}
		}
		for _, e := range evs {
			if got, want := show(i.state(x.Evolve(s, e))), show(y.Evolve(s2, i.event(e))); got != want {
				t.Fatalf("Evolve(%+v, %+v) = %s, want %s", s, e, got, want)
			}
		}
	})
}

func id[T any](v T) T { return v }

// asIs is the iso of two deciders with the same types.
func asIs[C, S, E any]() iso[C, S, E, C, S, E] {
	return iso[C, S, E, C, S, E]{command: id[C], state: id[S], event: id[E]}
}

// lawful fails unless d is pure and deterministic, shares no memory, rejects without
// events, stays terminal, and steps and folds correctly, in every reachable state.
func lawful[C, S, E any](t rapid.TB, d decider.Decider[C, S, E], cmds []C, evs []E) {
	t.Helper()
	type past struct {
		now    func() string
		before string
	}
	var pasts []past
	keep := func(now func() string) { pasts = append(pasts, past{now, now()}) }
	keep(func() string { return show(cmds) })
	start := show(d.Start())
	reach(d, cmds, evs, func(s S) {
		keep(func() string { return show(s) })
		end := d.IsTerminal(s)
		for _, c := range cmds {
			es, err := d.Decide(c, s)
			keep(func() string { return show(es) })
			es2, err2 := d.Decide(c, s)
			if show(es) != show(es2) || show(err) != show(err2) {
				t.Fatalf("Decide(%+v, %+v) = %+v, %v, then %+v, %v", c, s, es, err, es2, err2)
			}
			if len(es) > 0 && (err != nil || end) {
				t.Fatalf("Decide(%+v, %+v) = %+v, %v, terminal: %v", c, s, es, err, end)
			}
			after, stepped, stepErr := d.Step(c, s)
			if show(after) != show(d.Fold(s, es...)) || show(stepped) != show(es) || show(stepErr) != show(err) {
				t.Fatalf("Step(%+v, %+v) = %+v, %+v, %v, after Decide = %+v, %v", c, s, after, stepped, stepErr, es, err)
			}
		}
		for _, e := range evs {
			after := d.Evolve(s, e)
			keep(func() string { return show(after) })
			if again := d.Evolve(s, e); show(after) != show(again) {
				t.Fatalf("Evolve(%+v, %+v) = %+v, then %+v", s, e, after, again)
			}
			if end && !d.IsTerminal(after) {
				t.Fatalf("Evolve(%+v, %+v) = %+v leads out of a terminal state", s, e, after)
			}
			for _, e2 := range evs {
				if a, b := d.Fold(s, e, e2), d.Fold(d.Fold(s, e), e2); show(a) != show(b) {
					t.Fatalf("Fold(%+v, %+v, %+v) = %+v, in two parts %+v", s, e, e2, a, b)
				}
			}
		}
	})
	for _, p := range pasts {
		if now := p.now(); now != p.before {
			t.Fatalf("%s has become %s", p.before, now)
		}
	}
	if now := show(d.Start()); now != start {
		t.Fatalf("Start() was %s, has become %s", start, now)
	}
}

// TestTable checks that random deciders keep the laws themselves.
func TestTable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lawful(t, table[int, int, int](t, "d"), all[int](commands), all[int](events))
	})
}
