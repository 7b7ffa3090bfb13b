package decider_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
)

type (
	part     = decider.Decider[msg, both, msg]
	composed = decider.Decider[decider.Either[msgA, msgB], decider.Pair[int, int], decider.Either[msgA, msgB]]
)

// parts draws two deciders on the two halves of a state, and that state's seed.
func parts(t *rapid.T) (a decider.Decider[msgA, int, msgA], b decider.Decider[msgB, int, msgB], seed func() both) {
	a, b = table[msgA, int, msgA](t, "a"), table[msgB, int, msgB](t, "b")
	return a, b, func() both { return both{a.Start(), b.Start()} }
}

func onA(a decider.Decider[msgA, int, msgA]) part {
	return decider.Focus(decider.Adapt[msg](a, upA), getA, setA)
}

func onB(b decider.Decider[msgB, int, msgB]) part {
	return decider.Focus(decider.Adapt[msg](b, upB), getB, setB)
}

// TestUnionApart checks members that share nothing: they do not disturb each other, their
// order does not matter, and Compose is the same.
func TestUnionApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { composeLaw(t, t, decider.Compose[msgA, int, msgA, msgB, int, msgB]) })
}

func composeLaw(t *rapid.T, tb rapid.TB, compose func(a decider.Decider[msgA, int, msgA], b decider.Decider[msgB, int, msgB]) composed) {
	tb.Helper()
	a, b, seed := parts(t)
	u := decider.Union(seed, onA(a), onB(b))
	cmds, evs := msgs(commands), msgs(events)
	lawful(tb, u, cmds, evs)
	same(tb, u, decider.Union(seed, onB(b), onA(a)), asIs[msg, both, msg](), cmds, evs)

	type either = decider.Either[msgA, msgB]
	type pair = decider.Pair[int, int]
	to := func(e either) msg {
		if e.IsRight {
			return e.Right
		}
		return e.Left
	}
	same(tb, compose(a, b), u, iso[either, pair, either, msg, both, msg]{
		command: to, event: to, state: func(p pair) both { return both{p.Left, p.Right} },
	}, eithers(commands), eithers(events))

	reach(u, cmds, evs, func(s both) {
		for _, c := range all[msgA](commands) {
			after, _, err := u.Step(c, s)
			if want, _, wantErr := a.Step(c, s.A); after.B != s.B || after.A != want || !errors.Is(err, wantErr) {
				tb.Fatalf("Step(%v, %+v) = %+v, %v, want A = %d, %v", c, s, after, err, want, wantErr)
			}
		}
		if es, err := u.Decide(msgC(0), s); len(es) > 0 || !errors.Is(err, decider.ErrUnhandled) {
			tb.Fatalf("Decide(an unknown command) = %v, %v", es, err)
		}
	})
}

// eithers returns all commands or events of both sides, n of each.
func eithers(n int) []decider.Either[msgA, msgB] {
	var es []decider.Either[msgA, msgB]
	for i := range n + 1 {
		es = append(es, decider.Left[msgB](msgA(i)), decider.Right[msgA](msgB(i)))
	}
	return es
}

// TestUnionShared checks members that all get the same commands against the contract of
// Union: each decides on the previous state, in order; unhandled is skipped; the first
// rejection rejects all.
func TestUnionShared(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { unionLaw(t, t, decider.Union[int, both, int]) })
}

func unionLaw(t *rapid.T, tb rapid.TB, union func(seed func() both, ds ...halves) halves) {
	tb.Helper()
	a, b := table[int, int, int](t, "a"), table[int, int, int](t, "b")
	seed := func() both { return both{a.Start(), b.Start()} }
	u := union(seed, decider.Focus(a, getA, setA), decider.Focus(b, getB, setB))
	one := union(seed, decider.Focus(a, getA, setA), decider.Focus(b, getA, setA)) // on one part
	cmds, evs := all[int](commands), all[int](events)
	lawful(tb, u, cmds, evs)
	decides := func(u halves, c int, s, parts both) {
		got, gotErr := u.Decide(c, s)
		want, wantErr := bothDecide(a, b, c, parts)
		if show(got) != show(want) || gotErr != wantErr { //nolint:errorlint // it must be the very same error
			tb.Fatalf("Decide(%d, %+v) = %v, %v, want %v, %v", c, s, got, gotErr, want, wantErr)
		}
	}
	reach(u, cmds, evs, func(s both) {
		for _, c := range cmds {
			decides(u, c, s, s)
			decides(one, c, s, both{s.A, s.A})
		}
		for _, e := range evs {
			if got, want := u.Evolve(s, e), (both{a.Evolve(s.A, e), b.Evolve(s.B, e)}); got != want {
				tb.Fatalf("Evolve(%+v, %d) = %+v, want %+v", s, e, got, want)
			}
		}
		if got, want := u.IsTerminal(s), a.IsTerminal(s.A) && b.IsTerminal(s.B); got != want {
			tb.Fatalf("IsTerminal(%+v) = %v, want %v", s, got, want)
		}
	})
}

func bothDecide(a, b decider.Decider[int, int, int], c int, s both) ([]int, error) {
	ea, errA := a.Decide(c, s.A)
	eb, errB := b.Decide(c, s.B)
	skipA, skipB := errors.Is(errA, decider.ErrUnhandled), errors.Is(errB, decider.ErrUnhandled)
	switch {
	case skipA && skipB:
		return nil, decider.ErrUnhandled
	case errA != nil && !skipA:
		return nil, errA
	case errB != nil && !skipB:
		return nil, errB
	}
	return append(append([]int{}, ea...), eb...), nil
}

// TestUnionMonoid checks that Union is associative and that the Union of none is its
// identity, also if members share commands, events and state.
func TestUnionMonoid(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { unionMonoidLaw(t, t, decider.Union[int, trio, int]) })
}

func unionMonoidLaw(t *rapid.T, tb rapid.TB, union func(seed func() trio, ds ...thirds) thirds) {
	tb.Helper()
	on := func(label string, get func(trio) int, set func(trio, int) trio) thirds {
		return decider.Focus(table[int, int, int](t, label), get, set)
	}
	a := on("a", func(s trio) int { return s.AB.A }, func(s trio, a int) trio { s.AB.A = a; return s })
	b := on("b", func(s trio) int { return s.AB.B }, func(s trio, b int) trio { s.AB.B = b; return s })
	c := on("c", func(s trio) int { return s.AB.B }, func(s trio, b int) trio { s.AB.B = b; return s })
	cmds, evs, i := all[int](commands), all[int](events), asIs[int, trio, int]()
	flat := union(nil, a, b, c)
	same(tb, union(nil, union(nil, a, b), c), flat, i, cmds, evs)
	same(tb, union(nil, a, union(nil, b, c)), flat, i, cmds, evs)
	unit := union(nil)
	same(tb, union(a.Initial, a, unit), a, i, cmds, evs)
	same(tb, union(a.Initial, unit, a), a, i, cmds, evs)
	lawful(tb, unit, cmds, evs)
}

// TestUnionKeepsItsMembers checks that changing the slice afterwards has no effect.
func TestUnionKeepsItsMembers(t *testing.T) {
	t.Parallel()
	ds := []decider.Decider[string, int, rune]{decider.Of(plain{})}
	u := decider.Union(nil, ds...)
	ds[0] = decider.Union[string, int, rune](nil)
	if es, err := u.Decide("a", 0); string(es) != "a" || err != nil {
		t.Errorf("Decide = %q, %v", es, err)
	}
}

// TestUnionThree checks any arity, with nested parts of the state.
func TestUnionThree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b, seed := parts(t)
		c := table[msgC, int, msgC](t, "c")
		ab := decider.Focus(decider.Union(seed, onA(a), onB(b)), getAB, setAB)
		u := decider.Union(func() trio { return trio{seed(), c.Start()} },
			ab, decider.Focus(decider.Adapt[msg](c, upC), getC, setC))
		lawful(t, u, msgs(commands), msgs(events))
		reach(u, msgs(commands), msgs(events), func(s trio) {
			for _, cmd := range all[msgC](commands) {
				want, _, _ := c.Step(cmd, s.C)
				if after, _, _ := u.Step(cmd, s); after != (trio{s.AB, want}) {
					t.Fatalf("Step(%v, %+v) = %+v, want only C changed, to %d", cmd, s, after, want)
				}
			}
		})
	})
}

// TestComposeMonoid checks that Compose is associative, with an identity, and symmetric,
// up to the isomorphisms of Either and Pair.
func TestComposeMonoid(t *testing.T) {
	t.Parallel()
	type (
		a    = decider.Either[msgA, msgB]
		l    = decider.Either[a, msgC]
		r    = decider.Either[msgA, decider.Either[msgB, msgC]]
		sl   = decider.Pair[decider.Pair[int, int], int]
		sr   = decider.Pair[int, decider.Pair[int, int]]
		none = struct{}
	)
	turn := func(m l) r {
		switch {
		case m.IsRight:
			return decider.Right[msgA](decider.Right[msgB](m.Right))
		case m.Left.IsRight:
			return decider.Right[msgA](decider.Left[msgC](m.Left.Right))
		}
		return decider.Left[decider.Either[msgB, msgC]](m.Left.Left)
	}
	lefts := func(n int) (ls []l) {
		for i := range n + 1 {
			ls = append(ls, decider.Right[a](msgC(i)))
		}
		for _, e := range eithers(n) {
			ls = append(ls, decider.Left[msgC](e))
		}
		return ls
	}
	swap := func(e a) decider.Either[msgB, msgA] {
		return decider.Either[msgB, msgA]{Left: e.Right, Right: e.Left, IsRight: !e.IsRight}
	}
	rapid.Check(t, func(t *rapid.T) {
		x, y, _ := parts(t)
		z := table[msgC, int, msgC](t, "c")
		same(t, decider.Compose(decider.Compose(x, y), z), decider.Compose(x, decider.Compose(y, z)), iso[l, sl, l, r, sr, r]{
			command: turn, event: turn,
			state: func(s sl) sr { return sr{s.Left.Left, decider.Pair[int, int]{Left: s.Left.Right, Right: s.Right}} },
		}, lefts(commands), lefts(events))
		type pair = decider.Pair[int, int]
		same(t, decider.Compose(x, y), decider.Compose(y, x), iso[a, pair, a, decider.Either[msgB, msgA], pair, decider.Either[msgB, msgA]]{
			command: swap, event: swap, state: func(p pair) pair { return pair{p.Right, p.Left} },
		}, eithers(commands), eithers(events))
		lawful(t, decider.Compose(x, y), eithers(commands), eithers(events))

		unit := decider.Union[none, none, none](nil)
		type some = decider.Either[msgA, none]
		same(t, x, decider.Compose(x, unit), iso[msgA, int, msgA, some, decider.Pair[int, none], some]{
			command: decider.Left[none, msgA], event: decider.Left[none, msgA],
			state: func(s int) decider.Pair[int, none] { return decider.Pair[int, none]{Left: s} },
		}, all[msgA](commands), all[msgA](events))
	})
}
