package runner_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
)

// After a batch with a conflict, the next batch reads first. If that one has no conflict,
// the batch after it does not read.
func TestGroupReadsFirstAfterAConflict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newSpy()
		g := runner.NewGroup(newAccounts(st))
		defer g.Close()
		var wg sync.WaitGroup
		handle := func() {
			wg.Go(func() {
				if _, err := g.Handle(t.Context(), "a", deposit{1}); err != nil {
					t.Error(err)
				}
			})
			time.Sleep(time.Millisecond) // until it waits for the next batch
		}
		if _, err := g.Handle(t.Context(), "a", open{"ann"}); err != nil {
			t.Fatal(err)
		}
		st.calls()
		st.onAppend = func(ctx context.Context, n int, do func() (store.Appended, error)) (store.Appended, error) {
			if n == 1 {
				intrude(ctx, t, st.Store, deposit{5})
			}
			if n == 2 || n == 3 {
				handle()
			}
			a, err := do()
			if n == 2 {
				intrude(ctx, t, st.Store, deposit{5})
			}
			return a, err
		}
		handle()
		wg.Wait()
		if appends, reads := st.calls(); len(appends) != 4 || len(reads) != 2 {
			t.Errorf("%d appends and %d reads of three batches, want 4, one of them a conflict, and 2", len(appends), len(reads))
		}
	})
}

// A command that may not try again is decided on the head of the stream, and not on a state
// that may be old.
func TestGroupReadsFirstForOneAttempt(t *testing.T) {
	t.Parallel()
	st := newSpy()
	g := runner.NewGroup(newAccounts(st))
	defer g.Close()
	if _, err := g.Handle(t.Context(), "a", open{"ann"}); err != nil {
		t.Fatal(err)
	}
	must(t, newAccounts(st.Store), "a", deposit{1})
	if out, err := g.Handle(t.Context(), "a", deposit{2}, runner.MaxAttempts(1)); err != nil || out.Version != 3 {
		t.Errorf("Handle = %+v, %v, want version 3", out, err)
	}
}

// A command of which the store says that it is recorded, but not which event, is sent once in
// a batch and once alone, and is no replay if it is not found.
func TestGroupOfDuplicatesThatNobodyHas(t *testing.T) {
	t.Parallel()
	for name, duplicate := range map[string]error{
		"untyped":             fmt.Errorf("spy: %w", store.ErrDuplicate),
		"of an unknown event": &store.DuplicateError{Stream: stream("a"), EventID: "another"},
	} {
		synctest.Test(t, func(t *testing.T) {
			st := newSpy()
			must(t, newAccounts(st), "a", open{"ann"})
			g := runner.NewGroup(newAccounts(st))
			defer g.Close()
			st.calls()
			st.onAppend = func(context.Context, int, func() (store.Appended, error)) (store.Appended, error) {
				return store.Appended{}, duplicate
			}
			for i, got := range together(t, g, st, []command{deposit{1}, deposit{2}}) {
				if !errors.Is(got.err, store.ErrDuplicate) || errors.Is(got.err, runner.ErrUnknownOutcome) {
					t.Errorf("%s: call %d = %v, want a duplicate", name, i, got.err)
				}
			}
			if appends, _ := st.calls(); len(appends) != 3 {
				t.Errorf("%s: %d appends, want one of the batch and one of each command", name, len(appends))
			}
		})
	}
}

// A command that is alone in its batch and whose events are refused is sent once.
func TestGroupRefusedAlone(t *testing.T) {
	t.Parallel()
	st := newSpy()
	st.onAppend = func(context.Context, int, func() (store.Appended, error)) (store.Appended, error) {
		return store.Appended{}, &store.InvalidError{Field: "events", Reason: "are refused"}
	}
	g := runner.NewGroup(newAccounts(st))
	if _, err := g.Handle(t.Context(), "a", open{"ann"}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("Handle = %v, want that its events are refused", err)
	}
	g.Close()
	if appends, _ := st.calls(); len(appends) != 1 {
		t.Errorf("%d appends, want one", len(appends))
	}
}

// A command that expects a version is handled by its caller, and by nobody else.
func TestGroupExpectsAlone(t *testing.T) {
	t.Parallel()
	st := newSpy()
	g := runner.NewGroup(newAccounts(st))
	if _, err := g.Handle(t.Context(), "a", open{"ann"}, runner.ExpectVersion(0)); err != nil {
		t.Errorf("Handle = %v", err)
	}
	g.Close()
	if appends, reads := st.calls(); len(appends) != 1 || len(reads) != 1 {
		t.Errorf("%d appends and %d reads, want one of each", len(appends), len(reads))
	}
}

// A batch holds at most 1 MiB of data.
func TestGroupLargeBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, gate := newSpy(), make(chan struct{})
		d := decider.New(
			func(n, _ int) ([]string, error) { return []string{strings.Repeat("x", n)}, nil },
			func(sum int, e string) int { return sum + len(e) })
		g := runner.NewGroup(runner.New("Text", d, store.Store(st), codec.JSON(map[string]string{"Added": ""})))
		defer g.Close()
		st.onRead = func(_ context.Context, _ int, do func() (store.Page, error)) (store.Page, error) {
			<-gate
			return do()
		}
		var wg sync.WaitGroup
		const quotes, third = 2, 300_000
		for _, n := range []int{1, third, third, 1<<20 - 2*third - 3*quotes, 1, 2 << 20, 1} {
			wg.Go(func() {
				if _, err := g.Handle(t.Context(), "a", n); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		close(gate)
		wg.Wait()
		var sizes []int
		appends, _ := st.calls()
		for _, a := range appends {
			sizes = append(sizes, len(a.ids))
		}
		if !slices.Equal(sizes, []int{1, 3, 1, 1, 1}) {
			t.Errorf("appended %v, want batches of at most 1 MiB", sizes)
		}
	})
}

// A batch holds at most a thousand events. The rest is in the next batch, in order.
func TestGroupFullBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newSpy()
		must(t, newAccounts(st), "a", open{"ann"})
		g := runner.NewGroup(newAccounts(st))
		defer g.Close()
		st.calls()
		cmds := []command{deposit{1}, withdraw{0, 700}, withdraw{0, 299}, withdraw{0, 1}, withdraw{0, 1500}, deposit{2}, withdraw{0, 400}}
		results := together(t, g, st, cmds)
		wants := []uint64{2, 702, 1001, 1002, 2502, 2503, 2903}
		for i, got := range results {
			if got.err != nil || got.out.Version != wants[i] {
				t.Errorf("call %d: version %d, %v, want %d", i, got.out.Version, got.err, wants[i])
			}
		}
		var sizes []int
		appends, _ := st.calls()
		for _, a := range appends {
			sizes = append(sizes, len(a.ids))
		}
		if !slices.Equal(sizes, []int{1000, 1, 1500, 401}) {
			t.Errorf("appended %v, want batches of at most 1000", sizes)
		}
	})
}

// If all callers of a full batch leave, its append ends, although the batch once had more
// callers: the rest waits for the next batch.
func TestGroupFullBatchEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newSpy()
		must(t, newAccounts(st), "a", open{"ann"})
		g := runner.NewGroup(newAccounts(st))
		defer g.Close()
		st.calls()
		gate := make(chan struct{})
		st.onRead = func(_ context.Context, _ int, do func() (store.Page, error)) (store.Page, error) {
			<-gate
			return do()
		}
		st.onAppend = func(ctx context.Context, n int, do func() (store.Appended, error)) (store.Appended, error) {
			if n == 1 {
				<-ctx.Done()
				return store.Appended{}, ctx.Err()
			}
			return do()
		}
		ctx, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		handle := func(ctx context.Context, c command, want error) {
			wg.Go(func() {
				if _, err := g.Handle(ctx, "a", c); !errors.Is(err, want) {
					t.Errorf("Handle(%+v) = %v, want %v", c, err, want)
				}
			})
			synctest.Wait()
		}
		handle(t.Context(), touch{}, nil)
		handle(ctx, withdraw{0, 700}, context.Canceled)
		handle(t.Context(), withdraw{0, 701}, nil)
		close(gate)
		synctest.Wait() // the first 700 are on their way
		leave()
		wg.Wait()
		if events, _ := history(t, st.Store, "a"); len(events) != 702 {
			t.Errorf("%d events, want the first and 701", len(events))
		}
	})
}

// A caller that leaves after its events were refused knows that they are not recorded.
func TestGroupLeavesAfterARefusal(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]error{
		"because of a neighbour's id": nil, // that of the store
		"because of its events":       &store.InvalidError{Field: "events", Reason: "are refused"},
	} {
		synctest.Test(t, func(t *testing.T) {
			st := newSpy()
			g := runner.NewGroup(newAccounts(st))
			defer g.Close()
			must(t, newAccounts(st), "a", open{"ann"})
			must(t, newAccounts(st), "a", deposit{5}, runner.CommandID("once"))
			must(t, newAccounts(st), "a", drain{})
			st.calls()
			gate := make(chan struct{}, 1)
			st.onRead = func(ctx context.Context, n int, do func() (store.Page, error)) (store.Page, error) {
				if n == 1 {
					<-gate
					return do()
				}
				<-ctx.Done()
				return store.Page{}, ctx.Err()
			}
			st.onAppend = func(_ context.Context, _ int, do func() (store.Appended, error)) (store.Appended, error) {
				if refusal != nil {
					return store.Appended{}, refusal
				}
				return do()
			}
			ctx, leave := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { _, _ = g.Handle(t.Context(), "a", touch{}) })
			synctest.Wait()
			wg.Go(func() { _, _ = g.Handle(ctx, "a", deposit{5}, runner.CommandID("once")) })
			synctest.Wait()
			wg.Go(func() {
				if _, err := g.Handle(ctx, "a", withdraw{5, 1}); !errors.Is(err, context.Canceled) || errors.Is(err, runner.ErrUnknownOutcome) {
					t.Errorf("%s: Handle = %v, want the end of the context, and a known outcome", name, err)
				}
			})
			synctest.Wait()
			gate <- struct{}{}
			synctest.Wait() // the append was refused, and the stream is read
			leave()
			wg.Wait()
		})
	}
}
