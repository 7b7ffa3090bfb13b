package decider_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
)

type view = decider.View[both, msg]

// views draws views on the two halves of a read model, and its seed. Both change on the
// same events, so that their order would show.
func views(t *rapid.T) (a, b decider.View[int, msg], onA, onB view, seed func() both) {
	a = decider.MapViewEvent(table[int, int, msgA](t, "a").View(), decider.Narrow[msgA, msg])
	b = decider.Adapt[msg](table[msgA, int, msgA](t, "b"), upA).View()
	onA, onB = decider.FocusView(a, getA, setA), decider.FocusView(b, getB, setB)
	return a, b, onA, onB, func() both { return both{a.Start(), b.Start()} }
}

// alike fails unless x and y reach the same state from the start after all of evs.
func alike[E any](t rapid.TB, x, y decider.View[both, E], evs []E) {
	t.Helper()
	for n := range len(evs) + 1 {
		if got, want := x.Fold(x.Start(), evs[:n]...), y.Fold(y.Start(), evs[:n]...); got != want {
			t.Fatalf("Fold(%v) = %+v, want %+v", evs[:n], got, want)
		}
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { mergeLaw(t, t, decider.Merge[both, msg]) })
}

func mergeLaw(t *rapid.T, tb rapid.TB, merge func(seed func() both, vs ...view) view) {
	tb.Helper()
	a, b, onA, onB, seed := views(t)
	evs := rapid.SliceOf(rapid.SampledFrom(msgs(events))).Draw(t, "events")
	m := merge(seed, onA, onB)
	want := both{a.Fold(a.Start(), evs...), b.Fold(b.Start(), evs...)}
	if got := m.Fold(m.Start(), evs...); got != want {
		tb.Fatalf("Fold(%v) = %+v, want %+v", evs, got, want)
	}
	alike(tb, merge(seed, onB, onA), m, evs)

	onA2 := decider.FocusView(b, getA, setA) // on the part of another view: the order matters
	flat := merge(seed, onA, onA2, onB)
	alike(tb, merge(seed, merge(nil, onA, onA2), onB), flat, evs)
	alike(tb, merge(seed, onA, merge(nil, onA2, onB)), flat, evs)
	unit := merge(nil)
	alike(tb, merge(seed, unit, onA, onB, unit), m, evs)
	alike(tb, merge(onA.Initial, onA), onA, evs)
}

func TestMapViewEvent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := decider.FocusView(table[int, int, int](t, "d").View(), getA, setA)
		evs := rapid.SliceOf(rapid.IntRange(0, events+5)).Draw(t, "events")
		in0, _ := shift(0)
		in2, _ := shift(2)
		in3, _ := shift(3)
		in5, _ := shift(5)
		alike(t, decider.MapViewEvent(v, in0), v, evs)
		alike(t, decider.MapViewEvent(decider.MapViewEvent(v, in2), in3), decider.MapViewEvent(v, in5), evs)
		var own []int
		for _, e := range evs {
			if e >= 5 {
				own = append(own, e-5)
			}
		}
		m := decider.MapViewEvent(v, in5)
		if got, want := m.Fold(m.Start(), evs...), v.Fold(v.Start(), own...); got != want {
			t.Fatalf("Fold(%v) = %+v, want %+v, from its own alone", evs, got, want)
		}
	})
}

// TestMergeKeepsItsViews checks that changing the slice afterwards has no effect.
func TestMergeKeepsItsViews(t *testing.T) {
	t.Parallel()
	vs := []decider.View[int, rune]{decider.Of(plain{}).View()}
	m := decider.Merge(nil, vs...)
	vs[0] = decider.Merge[int, rune](nil)
	if got := m.Fold(m.Start(), 'a', 'b'); got != 2 {
		t.Errorf("Fold = %d, want 2", got)
	}
}
