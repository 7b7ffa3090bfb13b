package runner_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest/faults"
)

func adder(streamType string, st store.Store) *runner.Runner[int, int, int] {
	d := decider.New(func(n, _ int) ([]int, error) { return []int{n}, nil }, func(sum, n int) int { return sum + n })
	return runner.New(streamType, d, st, codec.JSON(map[string]int{"Added": 0}))
}

// TestFormerly checks, with random commands before and after an aggregate was renamed,
// that each stream continues where it is, appears under today's name as if it had always
// had that name, and recognizes a command that was recorded before.
func TestFormerly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ctx, st := context.Background(), memory.New()
		runners := []*runner.Runner[int, int, int]{
			adder("Counter", st), adder("Sum", st).Formerly("Counter"), adder("Total", st).Formerly("Sum", "Counter"),
		}
		sums, versions, commands := map[string]int{}, map[string]uint64{}, map[string]int{}
		for now := range runners {
			for range rapid.IntRange(0, 4).Draw(t, "commands") {
				id := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "id")
				cmd := rapid.IntRange(1, 9).Draw(t, "n")
				name := rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "command")
				out, err := runners[now].Handle(ctx, id, cmd, runner.CommandID(name))
				if err != nil {
					t.Fatal(err)
				}
				_, landed := commands[id+name]
				if !landed {
					commands[id+name] = cmd
					sums[id] += cmd
					versions[id]++
				}
				if out.Replayed != landed {
					t.Fatalf("replayed: %v, want %v", out.Replayed, landed)
				}
			}
		}
		for id, sum := range sums {
			loaded, err := runners[2].Load(ctx, id)
			if err != nil || loaded.State != sum || loaded.Version != versions[id] {
				t.Fatalf("%s is %+v, %v, want %d at version %d", id, loaded, err, sum, versions[id])
			}
			found := 0
			for _, streamType := range []string{"Counter", "Sum", "Total"} {
				page, err := st.Read(ctx, store.Stream{Type: streamType, ID: id}, store.ReadOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if page.Head > 0 {
					found++
				}
			}
			if found != 1 {
				t.Fatalf("%s is in %d streams", id, found)
			}
		}
	})
}

// TestFormerlyConflicts checks that two writers of a stream with a former name conflict.
func TestFormerlyConflicts(t *testing.T) {
	t.Parallel()
	ctx, st := t.Context(), memory.New()
	if _, err := adder("Counter", st).Handle(ctx, "a", 1); err != nil {
		t.Fatal(err)
	}
	r := adder("Sum", st).Formerly("Counter")
	for expected, want := range map[uint64]error{0: store.ErrConflict, 2: store.ErrConflict} {
		if _, err := r.Handle(ctx, "a", 1, runner.ExpectVersion(expected)); !errors.Is(err, want) {
			t.Errorf("at version %d: %v, want %v", expected, err, want)
		}
	}
	if out, err := r.Handle(ctx, "a", 1, runner.ExpectVersion(1)); err != nil || out.Version != 2 || out.State != 2 {
		t.Errorf("at version 1: %+v, %v", out, err)
	}
	if out, err := r.Handle(ctx, "a", 5, runner.AssumeEmpty()); err != nil || out.Version != 3 || out.State != 7 {
		t.Errorf("as a new stream: %+v, %v", out, err)
	}
}

// TestFormerlyClaims checks that claims are made for the stream under today's name.
func TestFormerlyClaims(t *testing.T) {
	t.Parallel()
	ctx, st := t.Context(), memory.New()
	claim := func(_ string, _, n, _ int) []store.Claim { return []store.Claim{{Key: strconv.Itoa(n)}} }
	if _, err := adder("Counter", st).WithClaims(claim).Handle(ctx, "a", 1); err != nil {
		t.Fatal(err)
	}
	r := adder("Sum", st).Formerly("Counter").WithClaims(claim)
	for n := range 3 {
		if _, err := r.Handle(ctx, "a", n); err != nil {
			t.Errorf("a key that the stream holds, or that is free: %v", err)
		}
	}
	if _, err := r.Handle(ctx, "b", 1); !errors.Is(err, store.ErrClaimed) {
		t.Errorf("a key of another stream: %v", err)
	}
	if page, err := st.Read(ctx, store.Stream{Type: "Counter", ID: "a"}, store.ReadOptions{}); err != nil || page.Head != 4 {
		t.Errorf("the stream is at version %d, %v", page.Head, err)
	}
	defer func() {
		if recover() == nil {
			t.Error("Formerly after WithClaims does not panic")
		}
	}()
	r.Formerly("Count")
}

// TestFormerlyUnread checks that if the stream of a command cannot be found before the
// append, the command is known not to be recorded, because nothing was sent.
func TestFormerlyUnread(t *testing.T) {
	t.Parallel()
	for failing := range 4 { // of the reads of both types, to load and to append
		for name, claimed := range map[string]bool{"plain": false, "claims": true} {
			ctx, st := t.Context(), memory.New()
			if _, err := adder("Counter", st).Handle(ctx, "a", 1); err != nil {
				t.Fatal(err)
			}
			f := faults.Wrap(st, 1, faults.Rate{})
			f.NextRead(slices.Concat(make([]faults.Fault, failing), []faults.Fault{faults.Down})...)
			r := adder("Sum", f.Store()).Formerly("Counter")
			if claimed {
				r = r.WithClaims(func(_ string, _, n, _ int) []store.Claim { return []store.Claim{{Key: strconv.Itoa(n)}} })
			}
			_, err := r.Handle(ctx, "a", 2, runner.CommandID("once"))
			if !errors.Is(err, faults.ErrInjected) || errors.Is(err, runner.ErrUnknownOutcome) {
				t.Errorf("%s, read %d fails: Handle = %v, want the error of the read, and a known outcome", name, failing+1, err)
			}
			if failing > 1 && (!store.Definite(err) || !strings.Contains(err.Error(), "nothing was sent: read ")) {
				t.Errorf("%s, read %d fails: Handle = %v, want an error that says nothing was sent", name, failing+1, err)
			}
			if out, err := r.Handle(ctx, "a", 2, runner.CommandID("once")); err != nil || out.Replayed || out.State != 3 {
				t.Errorf("%s, after read %d failed: Handle = %+v, %v, want state 3", name, failing+1, out, err)
			}
		}
	}
}

func TestFormerlyPanics(t *testing.T) {
	t.Parallel()
	r := adder("Sum", memory.New())
	for name, do := range map[string]func(){
		"an empty name": func() { r.Formerly("") },
		"the same name": func() { r.Formerly("Counter", "Sum") },
	} {
		if text := panics(t, do); !strings.HasPrefix(text, "runner: Formerly(") {
			t.Errorf("%s: panic %q", name, text)
		}
	}
}

// An aggregate was renamed. Its existing streams keep their names.
func ExampleRunner_Formerly() {
	ctx, st := context.Background(), memory.New()
	out, err := adder("Counter", st).Handle(ctx, "a", 3)
	fmt.Println(out.State, err)

	sums := adder("Sum", st).Formerly("Counter")
	out, err = sums.Handle(ctx, "a", 4)
	fmt.Println(out.State, out.Version, err)
	// Output:
	// 3 <nil>
	// 7 2 <nil>
}

// namedCodec records the streams of the events that it decodes.
type namedCodec struct {
	codec.Codec[int]

	streams map[store.Stream]bool
}

func (c namedCodec) Decode(dst []int, recorded []store.Recorded) ([]int, error) {
	for i := range recorded {
		c.streams[recorded[i].Stream] = true
	}
	return c.Codec.Decode(dst, recorded)
}

// TestFormerlyDecode checks that a codec sees events of a former type as events of
// today's type, and that the events of the store stay unchanged.
func TestFormerlyDecode(t *testing.T) {
	t.Parallel()
	ctx, st := t.Context(), memory.New()
	if _, err := adder("Counter", st).Handle(ctx, "a", 1); err != nil {
		t.Fatal(err)
	}
	c := namedCodec{codec.JSON(map[string]int{"Added": 0}), map[store.Stream]bool{}}
	d := decider.New(func(n, _ int) ([]int, error) { return []int{n}, nil }, func(sum, n int) int { return sum + n })
	if at, err := runner.New("Sum", d, st, codec.Codec[int](c)).Formerly("Counter").Load(ctx, "a"); err != nil || at.State != 1 {
		t.Fatalf("Load = %+v, %v", at, err)
	}
	if want := (store.Stream{Type: "Sum", ID: "a"}); len(c.streams) != 1 || !c.streams[want] {
		t.Errorf("the codec was given events of %v, want %v", c.streams, want)
	}
	was := store.Stream{Type: "Counter", ID: "a"}
	if page, err := st.Read(ctx, was, store.ReadOptions{ReadOnly: true}); err != nil || page.Events[0].Stream != was {
		t.Errorf("the store has %+v, %v; want events of %v", page.Events, err, was)
	}
}

// Events in the memory of the store, which a page with ReadOnly may have, stay unchanged.
func TestFormerlyChangesNoPage(t *testing.T) {
	t.Parallel()
	st := newSpy()
	if _, err := adder("Counter", st).Handle(t.Context(), "a", 1, runner.CommandID("once")); err != nil {
		t.Fatal(err)
	}
	var pages [][]store.Recorded
	st.onRead = func(_ context.Context, _ int, do func() (store.Page, error)) (store.Page, error) {
		page, err := do()
		pages = append(pages, page.Events)
		return page, err
	}
	if out, err := adder("Sum", st).Formerly("Counter").Handle(t.Context(), "a", 1, runner.CommandID("once")); err != nil || !out.Replayed {
		t.Fatalf("Handle = %+v, %v, want a replay", out, err)
	}
	for _, events := range pages {
		for _, e := range events {
			if e.Stream.Type != "Counter" {
				t.Errorf("an event on the store's page is now of %v", e.Stream)
			}
		}
	}
}

// If a stream was begun under two names, today's name counts, for reads and for appends, and
// however the names were given.
func TestFormerlyBegunTwice(t *testing.T) {
	t.Parallel()
	for name, formerly := range map[string]func(r *runner.Runner[int, int, int]) *runner.Runner[int, int, int]{
		"one after the other": func(r *runner.Runner[int, int, int]) *runner.Runner[int, int, int] {
			return r.Formerly("Count").Formerly("Counter")
		},
		"at once": func(r *runner.Runner[int, int, int]) *runner.Runner[int, int, int] {
			return r.Formerly("Count", "Counter")
		},
	} {
		st := memory.New()
		handle := func(r *runner.Runner[int, int, int], id string, n int) runner.Outcome[int, int] {
			out, err := r.Handle(t.Context(), id, n)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		for range 2 {
			handle(adder("Counter", st), "a", 1)
			handle(adder("Counter", st), "b", 1)
		}
		handle(adder("Sum", st), "a", 5)
		r := formerly(adder("Sum", st))
		if out := handle(r, "a", 1); out.State != 6 || out.Version != 2 {
			t.Errorf("%s: under both names: %+v, want state 6 at version 2", name, out)
		}
		if out := handle(r, "b", 1); out.State != 3 || out.Version != 3 {
			t.Errorf("%s: under a former name: %+v, want state 3 at version 3", name, out)
		}
		if out := handle(r, "c", 1); out.State != 1 || out.Version != 1 {
			t.Errorf("%s: under no name: %+v, want state 1 at version 1", name, out)
		}
	}
}
