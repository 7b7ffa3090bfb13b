package decider_test

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
)

// shift is an embedding of events and its inverse: e becomes e+n.
func shift(n int) (in func(int) (int, bool), out func(int) int) {
	return func(e int) (int, bool) { return e - n, e >= n }, func(e int) int { return e + n }
}

// function draws a function from the numbers 0 to n to themselves.
func function(t *rapid.T, n int, label string) func(int) int {
	to := rapid.SliceOfN(rapid.IntRange(0, n), n+1, n+1).Draw(t, label)
	return func(i int) int { return to[i] }
}

func TestMapCommand(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { mapCommandLaw(t, t, decider.MapCommand[int, int, int, int]) })
}

func mapCommandLaw(t *rapid.T, tb rapid.TB, mapCommand func(d numbers, f func(int) int) numbers) {
	tb.Helper()
	d := table[int, int, int](t, "d")
	f, g := function(t, commands, "f"), function(t, commands, "g")
	cmds, evs := all[int](commands), all[int](events)
	same(tb, mapCommand(d, id[int]), d, asIs[int, int, int](), cmds, evs)
	fg := func(c int) int { return f(g(c)) }
	twice := mapCommand(mapCommand(d, f), g)
	same(tb, twice, mapCommand(d, fg), asIs[int, int, int](), cmds, evs)
	same(tb, twice, d, iso[int, int, int, int, int, int]{command: fg, state: id[int], event: id[int]}, cmds, evs)
	lawful(tb, twice, cmds, evs)
}

func TestMapEvent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { mapEventLaw(t, t, decider.MapEvent[int, int, int, int]) })
}

func mapEventLaw(t *rapid.T, tb rapid.TB, mapEvent func(d numbers, in func(int) (int, bool), out func(int) int) numbers) {
	tb.Helper()
	d := table[int, int, int](t, "d")
	cmds, evs := all[int](commands), all[int](events)
	in0, out0 := shift(0)
	same(tb, mapEvent(d, in0, out0), d, asIs[int, int, int](), cmds, evs)
	in2, out2 := shift(2)
	in3, out3 := shift(3)
	in5, out5 := shift(5)
	once := mapEvent(d, in5, out5)
	twice := mapEvent(mapEvent(d, in2, out2), in3, out3)
	wide := all[int](events + 5)
	same(tb, twice, once, asIs[int, int, int](), cmds, wide)
	same(tb, d, once, iso[int, int, int, int, int, int]{command: id[int], state: id[int], event: out5}, cmds, evs)
	lawful(tb, once, cmds, wide)
	reach(once, cmds, wide, func(s int) {
		for foreign := range 5 {
			if got := once.Evolve(s, foreign); got != s {
				tb.Fatalf("Evolve(%d, foreign %d) = %d", s, foreign, got)
			}
		}
	})
}

func TestMapError(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { mapErrorLaw(t, t, decider.MapError[int, int, int]) })
}

func mapErrorLaw(t *rapid.T, tb rapid.TB, mapError func(d numbers, f func(error) error) numbers) {
	tb.Helper()
	full := func(err error) error { // every error but unhandled becomes full
		if errors.Is(err, decider.ErrUnhandled) {
			return err
		}
		return errFull
	}
	forgive := func(err error) error { // full becomes no error
		if errors.Is(err, errFull) {
			return nil
		}
		return err
	}
	d := table[int, int, int](t, "d")
	cmds, evs := all[int](commands), all[int](events)
	same(tb, mapError(d, id[error]), d, asIs[int, int, int](), cmds, evs)
	twice := mapError(mapError(d, full), forgive)
	same(tb, twice, mapError(d, func(err error) error { return forgive(full(err)) }), asIs[int, int, int](), cmds, evs)
	lawful(tb, twice, cmds, evs)
	never := func(err error) error {
		if err == nil {
			tb.Fatalf("f was called with nil")
		}
		return errClosed
	}
	i := asIs[int, int, int]()
	i.err = func(err error) error {
		if err != nil {
			return errClosed
		}
		return nil
	}
	same(tb, mapError(d, never), d, i, cmds, evs)
}

// both is the state of two deciders, trio of three.
type (
	both struct{ A, B int }
	trio struct {
		AB both
		C  int
	}
)

func getA(s both) int           { return s.A }
func setA(s both, a int) both   { s.A = a; return s }
func getB(s both) int           { return s.B }
func setB(s both, b int) both   { s.B = b; return s }
func getAB(s trio) both         { return s.AB }
func setAB(s trio, x both) trio { s.AB = x; return s }
func getC(s trio) int           { return s.C }
func setC(s trio, c int) trio   { s.C = c; return s }

func TestFocus(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		focusLaw(t, t, decider.Focus[both, int, int, int])
		d := table[int, int, int](t, "d")
		cmds, evs := all[int](commands), all[int](events)
		same(t, decider.Focus(d, id[int], func(_, s int) int { return s }), d, asIs[int, int, int](), cmds, evs)
		same(t, decider.Focus(decider.Focus(d, getA, setA), getAB, setAB),
			decider.Focus(d, func(s trio) int { return s.AB.A }, func(s trio, a int) trio { s.AB.A = a; return s }),
			asIs[int, trio, int](), cmds, evs)
	})
}

func focusLaw(t *rapid.T, tb rapid.TB, focus func(d numbers, get func(both) int, set func(both, int) both) halves) {
	tb.Helper()
	d := table[int, int, int](t, "d")
	cmds, evs := all[int](commands), all[int](events)
	a := focus(d, getA, setA)
	same(tb, a, d, iso[int, both, int, int, int, int]{command: id[int], state: getA, event: id[int]}, cmds, evs)
	lawful(tb, a, cmds, evs)
	reach(a, cmds, evs, func(s both) {
		if s.B != 0 {
			tb.Fatalf("%+v: the rest of the state was touched", s)
		}
		s.B = 42
		for _, e := range evs {
			if got := a.Evolve(s, e); got.B != 42 || got.A != d.Evolve(s.A, e) {
				tb.Fatalf("Evolve(%+v, %d) = %+v", s, e, got)
			}
		}
	})
}

// msg is the command and the event of a whole, of which msgA, msgB and msgC are parts.
type msg interface{ isMsg() }

type (
	msgA int
	msgB int
	msgC int
)

func (msgA) isMsg() {}
func (msgB) isMsg() {}
func (msgC) isMsg() {}

func upA(m msgA) msg { return m }
func upB(m msgB) msg { return m }
func upC(m msgC) msg { return m }

// msgs returns all messages of all parts, n of each plus an unknown one, and nil.
func msgs(n int) []msg {
	ms := []msg{nil}
	for i := range n + 1 {
		ms = append(ms, msgA(i), msgB(i), msgC(i))
	}
	return ms
}

func TestAdapt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := table[msgA, int, msgA](t, "d")
		wide := decider.Adapt[msg](d, upA)
		same(t, d, wide, iso[msgA, int, msgA, msg, int, msg]{command: upA, state: id[int], event: upA}, all[msgA](commands), all[msgA](events))
		lawful(t, wide, msgs(commands), msgs(events))
		reach(wide, msgs(commands), msgs(events), func(s int) {
			for _, foreign := range []msg{nil, msgB(0), msgC(1)} {
				if es, err := wide.Decide(foreign, s); es != nil || err != decider.ErrUnhandled { //nolint:errorlint // as it is
					t.Fatalf("Decide(%T, %d) = %v, %v, want ErrUnhandled", foreign, s, es, err)
				}
				if got := wide.Evolve(s, foreign); got != s {
					t.Fatalf("Evolve(%d, %T) = %d", s, foreign, got)
				}
			}
		})
	})
}

func TestNarrow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   msg
		want string
	}{{msgA(3), "3 true"}, {msgB(3), "0 false"}, {nil, "0 false"}} {
		a, ok := decider.Narrow[msgA](tt.in)
		if got := fmt.Sprint(int(a), ok); got != tt.want {
			t.Errorf("Narrow(%v) = %s, want %s", tt.in, got, tt.want)
		}
	}
	if m, ok := decider.Narrow[msg](any(nil)); m != nil || ok {
		t.Errorf("Narrow(nil) = %v, %v, want none", m, ok)
	}
}

// TestErrorBesideEvents checks that if Decide returns an error together with events,
// which then do not count, no combinator loses the error.
func TestErrorBesideEvents(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	d := decider.New(func(int, int) ([]int, error) { return []int{1}, refused }, func(sum, n int) int { return sum + n })
	same := func(n int) int { return n }
	for name, decide := range map[string]func() (int, error){
		"MapCommand": func() (int, error) { return count(decider.MapCommand(d, same).Decide(1, 0)) },
		"MapEvent": func() (int, error) {
			return count(decider.MapEvent(d, func(n int) (int, bool) { return n, true }, same).Decide(1, 0))
		},
		"MapError": func() (int, error) {
			return count(decider.MapError(d, func(err error) error { return err }).Decide(1, 0))
		},
		"Focus": func() (int, error) {
			return count(decider.Focus(d, same, func(_, n int) int { return n }).Decide(1, 0))
		},
		"Adapt": func() (int, error) {
			return count(decider.Adapt[any, any](d, func(n int) any { return n }).Decide(1, 0))
		},
		"Union": func() (int, error) { return count(decider.Union(nil, d, d).Decide(1, 0)) },
		"Batch": func() (int, error) { return count(decider.Batch(d).Decide([]int{1}, 0)) },
		"Many": func() (int, error) {
			return count(decider.Many[string](d).Decide(decider.Keyed[string, int]{Key: "a", Value: 1}, nil))
		},
		"Compose": func() (int, error) {
			return count(decider.Compose(d, d).Decide(decider.Left[int](1), decider.Pair[int, int]{}))
		},
	} {
		if events, err := decide(); !errors.Is(err, refused) {
			t.Errorf("%s: Decide = %d events, %v, want %v", name, events, err, refused)
		}
	}
}

func count[E any](events []E, err error) (int, error) { return len(events), err }
