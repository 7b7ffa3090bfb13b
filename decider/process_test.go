package decider_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
)

type (
	reaction = decider.Reaction[int, int]
	process  = decider.Process[int, int, int]
	pair     = decider.Pair[int, int]
)

// reactions draws a random finite process that sends commands and starts timers that are
// due at once.
func reactions(t *rapid.T) process {
	d := table[int, int, int](t, "process")
	var react [states][events + 1]reaction
	for s := range states {
		for e := range events + 1 {
			react[s][e].Send = rapid.SliceOfN(rapid.IntRange(0, 3*commands), 0, 2).Filter(func(cs []int) bool {
				return !slices.ContainsFunc(cs, func(c int) bool { return c >= commands })
			}).Draw(t, "send")
			if rapid.IntRange(0, 5).Draw(t, "timer") == 0 {
				react[s][e].Later = []decider.Timer[int]{{Name: "t", Event: rapid.IntRange(0, events).Draw(t, "event")}}
			}
		}
	}
	return process{
		Evolve:  d.Evolve,
		React:   func(state, event int) reaction { return react[state][event] },
		Initial: d.Initial, Terminal: d.Terminal,
	}
}

// follow is a simple model of WithProcess: it knows only the log of events, and folds it
// anew for every decision and reaction.
func follow(d decider.Decider[int, int, int], p process, limit, cmd int, s pair) ([]int, error) {
	type item struct {
		value int
		timer bool
	}
	var log []int
	queue := []item{{value: cmd}}
	for n := 0; len(queue) > 0; n++ {
		if n > limit {
			return nil, &decider.LimitError{Limit: limit}
		}
		next := queue[0]
		queue = queue[1:]
		news := []int{next.value}
		if !next.timer {
			var err error
			if news, err = d.Decide(next.value, d.Fold(s.Left, log...)); err != nil {
				return nil, err
			}
		}
		for _, e := range news {
			log = append(log, e)
			before, after := s.Right, s.Right
			for _, past := range log {
				if before = after; !p.IsTerminal(before) {
					after = p.Evolve(before, past)
				}
			}
			if p.IsTerminal(before) {
				continue
			}
			r := p.React(after, e)
			for _, c := range r.Send {
				queue = append(queue, item{value: c})
			}
			for _, t := range r.Later {
				queue = slices.DeleteFunc(queue, func(i item) bool { return i.timer })
				queue = append(queue, item{t.Event, true})
			}
		}
	}
	return log, nil
}

// TestWithProcess checks random deciders with random processes against follow.
func TestWithProcess(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { withProcessLaw(t, t, decider.WithProcess[int, int, int, int]) })
}

func withProcessLaw(t *rapid.T, tb rapid.TB, withProcess func(d numbers, p process, limit int) decider.Decider[int, pair, int]) {
	tb.Helper()
	d, p, limit := table[int, int, int](t, "d"), reactions(t), rapid.IntRange(1, 5).Draw(t, "limit")
	w := withProcess(d, p, limit)
	cmds, evs := all[int](commands), all[int](events)
	lawful(tb, w, cmds, evs)
	if got, want := w.Start(), (pair{d.Start(), p.Start()}); got != want {
		tb.Fatalf("Start() = %v, want %v", got, want)
	}
	reach(w, cmds, evs, func(s pair) {
		if got, want := w.IsTerminal(s), d.IsTerminal(s.Left); got != want {
			tb.Fatalf("IsTerminal(%v) = %v, want %v", s, got, want)
		}
		for _, c := range cmds {
			got, err := w.Decide(c, s)
			want, wantErr := follow(d, p, limit, c, s)
			_, first := d.Decide(c, s.Left)
			if unhandled := errors.Is(first, decider.ErrUnhandled); errors.Is(err, decider.ErrUnhandled) != unhandled {
				tb.Fatalf("Decide(%d, %v) = %v, but unhandled: %v", c, s, err, unhandled)
			}
			var limited *decider.LimitError
			switch {
			case (err == nil) != (wantErr == nil),
				errors.As(wantErr, &limited) && !errors.As(err, &limited),
				errors.Is(wantErr, errFull) && !errors.Is(err, errFull),
				show(got) != show(want):
				tb.Fatalf("Decide(%d, %v) = %v, %v, want %v, %v", c, s, got, err, want, wantErr)
			}
		}
	})
}

// TestWithProcessSilent checks that a process without reactions changes nothing.
func TestWithProcessSilent(t *testing.T) {
	t.Parallel()
	silent := process{
		Evolve: func(state, _ int) int { return state },
		React:  func(int, int) reaction { return reaction{} },
	}
	rapid.Check(t, func(t *rapid.T) {
		d := table[int, int, int](t, "d")
		same(t, decider.WithProcess(d, silent, 1), d, iso[int, pair, int, int, int, int]{
			command: id[int], state: func(p pair) int { return p.Left }, event: id[int],
		}, all[int](commands), all[int](events))
	})
}

// add decides to add, up to 9, and sums up.
func add() decider.Decider[int, int, int] {
	return decider.New(
		func(n, sum int) ([]int, error) {
			switch {
			case n < 0:
				return nil, decider.ErrUnhandled
			case sum+n > 9:
				return nil, errFull
			}
			return []int{n}, nil
		},
		func(sum, n int) int { return sum + n },
	)
}

// on returns a process that counts events and reacts to each as the map says.
func on(react map[int]reaction) process {
	return process{
		Evolve: func(n, _ int) int { return n + 1 },
		React:  func(_, event int) reaction { return react[event] },
	}
}

// later returns a timer called name that delivers event.
func later(name string, after time.Duration, event int) []decider.Timer[int] {
	return []decider.Timer[int]{{Name: name, After: after, Event: event}}
}

func TestWithProcessCases(t *testing.T) {
	t.Parallel()
	var (
		limited *decider.LimitError
		timer   *decider.TimerError
	)
	tests := map[string]struct {
		react map[int]reaction
		then  []int
		err   func(error) bool
	}{
		// If follow-ups were decided on the first state, it would accept 5, then 4 and 4:
		// 13.
		"follow-ups are decided on the state so far": {
			react: map[int]reaction{5: {Send: []int{4, 4}}},
			err:   func(err error) bool { return errors.Is(err, errFull) && !errors.Is(err, decider.ErrUnhandled) },
		},
		"in the order of the reactions": {
			react: map[int]reaction{5: {Send: []int{1, 2}}, 1: {Send: []int{0}}},
			then:  []int{5, 1, 2, 0},
		},
		"an unhandled follow-up does not make the command unhandled": {
			react: map[int]reaction{5: {Send: []int{-1}}},
			err:   func(err error) bool { return err != nil && !errors.Is(err, decider.ErrUnhandled) },
		},
		"the limit is not yet reached": {
			react: map[int]reaction{5: {Send: []int{0, 0, 0, 0}}},
			then:  []int{5, 0, 0, 0, 0},
		},
		"the limit is exceeded": {
			react: map[int]reaction{5: {Send: []int{0, 0, 0, 0, 0}}},
			err:   func(err error) bool { return errors.As(err, &limited) && limited.Limit == 4 },
		},
		"a loop of timers ends at the limit": {
			react: map[int]reaction{5: {Later: later("t", 0, 5)}},
			err:   func(err error) bool { return errors.As(err, &limited) },
		},
		"a due timer's event is recorded, after the commands": {
			react: map[int]reaction{5: {Later: later("t", 0, 100), Send: []int{1}}},
			then:  []int{5, 1, 100},
		},
		"a timer for later is refused": {
			react: map[int]reaction{5: {Later: later("t", time.Hour, 1)}},
			err:   func(err error) bool { return errors.As(err, &timer) && timer.Name == "t" && timer.After == time.Hour },
		},
		"a cancelled timer does not fire": {
			react: map[int]reaction{5: {Later: later("t", time.Hour, 1), Send: []int{1}}, 1: {Cancel: []string{"t"}}},
			then:  []int{5, 1},
		},
		"another timer is cancelled": {
			react: map[int]reaction{5: {Later: later("t", time.Hour, 1), Send: []int{1}}, 1: {Cancel: []string{"u"}}},
			err:   func(err error) bool { return errors.As(err, &timer) },
		},
		"a due timer is cancelled before it fires": {
			react: map[int]reaction{5: {Send: []int{0}, Later: later("t", 0, 2)}, 0: {Cancel: []string{"t"}}},
			then:  []int{5, 0},
		},
		"a timer replaces the one with its name": {
			react: map[int]reaction{5: {Later: slices.Concat(later("t", time.Hour, 1), later("t", 0, 2), later("u", 0, 3))}},
			then:  []int{5, 2, 3},
		},
		"cancel comes before later": {
			react: map[int]reaction{5: {Later: later("t", 0, 2), Cancel: []string{"t"}}},
			then:  []int{5, 2},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := decider.WithProcess(add(), on(tt.react), 4)
			state, got, err := w.Step(5, w.Start())
			if !slices.Equal(got, tt.then) || tt.err == nil && err != nil || tt.err != nil && !tt.err(err) {
				t.Fatalf("Decide(5) = %v, %v, want %v", got, err, tt.then)
			}
			if want := len(tt.then); state.Right != want {
				t.Errorf("the process has seen %d events, want %d", state.Right, want)
			}
		})
	}
}

// TestWithProcessInUnion checks that a half-done cascade cannot be skipped.
func TestWithProcessInUnion(t *testing.T) {
	t.Parallel()
	w := decider.WithProcess(add(), on(map[int]reaction{5: {Send: []int{-1}}}), 4)
	u := decider.Union(nil, w, w)
	if es, err := u.Decide(5, u.Start()); es != nil || err == nil || errors.Is(err, decider.ErrUnhandled) {
		t.Errorf("Decide = %v, %v, want a rejection that is not ErrUnhandled", es, err)
	}
}

func TestWithProcessPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("WithProcess with limit 0 does not panic")
		}
	}()
	decider.WithProcess(add(), on(nil), 0)
}

func TestProcessErrors(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"decider: the process did not finish within 4 follow-ups":    &decider.LimitError{Limit: 4},
		`decider: a decider has no clock for timer "t" after 1h0m0s`: &decider.TimerError{Name: "t", After: time.Hour},
	} {
		if got := err.Error(); got != want {
			t.Errorf("Error() = %q, want %q", got, want)
		}
	}
}

func TestProcess(t *testing.T) {
	t.Parallel()
	if p := (process{}); p.Start() != 0 || p.IsTerminal(7) {
		t.Errorf("zero Process: Start() = %d, IsTerminal(7) = %v", p.Start(), p.IsTerminal(7))
	}
	p := process{Initial: func() int { return 7 }, Terminal: func(s int) bool { return s == 7 }}
	if p.Start() != 7 || !p.IsTerminal(7) || p.IsTerminal(8) {
		t.Errorf("Start() = %d, IsTerminal(7, 8) = %v, %v", p.Start(), p.IsTerminal(7), p.IsTerminal(8))
	}
}
