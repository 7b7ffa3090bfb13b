package decider_test

import (
	"errors"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
)

type keyed = decider.Keyed[string, int]

// keys returns all commands or events of two keys, n of each.
func keys(n int) []keyed {
	var ks []keyed
	for i := range n + 1 {
		ks = append(ks, keyed{"x", i}, keyed{"y", i})
	}
	return ks
}

// TestMany checks that each key behaves as the decider alone does, that no key affects
// another, and that no memory is shared.
func TestMany(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { manyLaw(t, t, decider.Many[string, int, int, int]) })
}

func manyLaw(t *rapid.T, tb rapid.TB, manyOf func(d numbers) decider.Decider[keyed, map[string]int, keyed]) {
	tb.Helper()
	d := table[int, int, int](t, "d")
	many := manyOf(d)
	lawful(tb, many, keys(commands), keys(events))
	at := func(states map[string]int, key string) int {
		if s, ok := states[key]; ok {
			return s
		}
		return d.Start()
	}
	reach(many, keys(commands), keys(events), func(states map[string]int) {
		if many.IsTerminal(states) {
			tb.Fatalf("IsTerminal(%v) = true", states)
		}
		for _, c := range keys(commands) {
			es, err := many.Decide(c, states)
			want, wantErr := d.Decide(c.Value, at(states, c.Key))
			if len(es) != len(want) || err != wantErr { //nolint:errorlint // as it is
				tb.Fatalf("Decide(%+v, %v) = %+v, %v, want %v, %v", c, states, es, err, want, wantErr)
			}
			for i := range es {
				if es[i] != (keyed{c.Key, want[i]}) {
					tb.Fatalf("Decide(%+v, %v) = %+v, want %v", c, states, es, want)
				}
			}
		}
		for _, e := range keys(events) {
			want := maps.Clone(states)
			if want == nil {
				want = map[string]int{}
			}
			want[e.Key] = d.Evolve(at(states, e.Key), e.Value)
			if got := many.Evolve(states, e); !maps.Equal(got, want) {
				tb.Fatalf("Evolve(%v, %+v) = %v, want %v", states, e, got, want)
			}
		}
	})
}

// TestManyStartsFresh checks that keys do not share an initial state that holds memory.
func TestManyStartsFresh(t *testing.T) {
	t.Parallel()
	d := decider.New(
		func(cmd int, _ map[int]bool) ([]int, error) { return []int{cmd}, nil },
		func(s map[int]bool, e int) map[int]bool { s = maps.Clone(s); s[e] = true; return s },
	)
	d.Initial = func() map[int]bool { return map[int]bool{0: true} }
	many := decider.Many[string](d)
	s := many.Fold(many.Start(), keyed{"x", 1}, keyed{"y", 2})
	if got, want := show(s), "map[x:map[0:true 1:true] y:map[0:true 2:true]]"; got != want {
		t.Errorf("Fold = %s, want %s", got, want)
	}
}

// unbatch returns the rejection in a *BatchError, as the member returned it.
func unbatch(err error) error {
	if b, ok := errors.AsType[*decider.BatchError](err); ok {
		err = b.Err
	}
	if u, ok := errors.AsType[*decider.UnhandledError](err); ok && u.Command == "int" {
		return decider.ErrUnhandled
	}
	return err
}

func TestBatch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { batchLaw(t, t, decider.Batch[int, int, int]) })
}

func batchLaw(t *rapid.T, tb rapid.TB, batch func(d numbers) decider.Decider[[]int, int, int]) {
	tb.Helper()
	list := rapid.SliceOfN(rapid.IntRange(0, commands), 0, 4)
	d := table[int, int, int](t, "d")
	b := batch(d)
	evs := all[int](events)
	same(tb, d, decider.MapCommand(b, func(c int) []int { return []int{c} }),
		iso[int, int, int, int, int, int]{command: id[int], state: id[int], event: id[int], err: unbatch}, all[int](commands), evs)
	xs, ys := list.Draw(t, "xs"), list.Draw(t, "ys")
	lawful(tb, b, [][]int{nil, xs, ys}, evs)
	reach(d, all[int](commands), evs, func(s int) {
		if es, err := b.Decide(nil, s); len(es) > 0 || err != nil {
			tb.Fatalf("Decide(nil, %d) = %v, %v", s, es, err)
		}
		got, err := b.Decide(append(append([]int{}, xs...), ys...), s)
		middle, first, errX := b.Step(xs, s)
		second, errY := b.Decide(ys, middle)
		switch {
		case errX != nil:
			wantRejected(tb, got, err, errX, 0)
		case errY != nil:
			wantRejected(tb, got, err, errY, len(xs))
		case err != nil || show(append(append([]int{}, first...), second...)) != show(append([]int{}, got...)):
			tb.Fatalf("Decide(%v ++ %v, %d) = %v, %v, want %v ++ %v", xs, ys, s, got, err, first, second)
		}
	})
}

// wantRejected fails unless a batch was rejected, without events, because of the
// rejection of a part that begins at the command with index from.
func wantRejected(t rapid.TB, events []int, err, part error, from int) {
	t.Helper()
	var got, want *decider.BatchError
	if len(events) > 0 || !errors.As(err, &got) || !errors.As(part, &want) || unbatch(got) != unbatch(want) || got.Index != want.Index+from { //nolint:errorlint // as it is
		t.Fatalf("Decide = %v, %v, want no events, %v at %d", events, err, part, from)
	}
}

func TestBatchError(t *testing.T) {
	t.Parallel()
	err := &decider.BatchError{Index: 2, Err: errFull}
	if got, want := err.Error(), "command 2 of the batch: table: full"; got != want || !errors.Is(err, errFull) {
		t.Errorf("Error() = %q, want %q and %v in it", got, want, errFull)
	}
}
