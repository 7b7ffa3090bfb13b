package runner_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
)

func TestGroupContext(t *testing.T) {
	t.Parallel()
	// hold makes the n-th append and all later ones wait until release is called or their
	// context ends.
	hold := func(st *spy, n int, letGo chan struct{}) {
		st.calls()
		st.onAppend = func(ctx context.Context, i int, do func() (store.Appended, error)) (store.Appended, error) {
			if i >= n {
				select {
				case <-letGo:
				case <-ctx.Done():
					return store.Appended{}, ctx.Err()
				}
			}
			return do()
		}
	}
	start := func(t *testing.T) (*spy, *group) {
		t.Helper()
		st := newSpy()
		must(t, newAccounts(st), "a", open{"ann"})
		return st, runner.NewGroup(newAccounts(st))
	}

	t.Run("of one call ends only that call", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			st, g := start(t)
			defer g.Close()
			letGo := make(chan struct{})
			hold(st, 1, letGo)
			ctx, cancel := context.WithCancel(t.Context())
			soon, cancelSoon := context.WithCancel(t.Context())
			var first, queued, neighbour result
			var wg sync.WaitGroup
			wg.Go(func() { first.out, first.err = g.Handle(ctx, "a", deposit{1}) })
			synctest.Wait()
			wg.Go(func() { neighbour.out, neighbour.err = g.Handle(t.Context(), "a", deposit{2}) })
			wg.Go(func() { queued.out, queued.err = g.Handle(soon, "a", deposit{4}) })
			synctest.Wait()
			cancelSoon()
			synctest.Wait()
			cancel()
			synctest.Wait()
			if !errors.Is(first.err, context.Canceled) || !errors.Is(first.err, runner.ErrUnknownOutcome) {
				t.Errorf("the call in flight = %v, want an unknown outcome", first.err)
			}
			if !errors.Is(queued.err, context.Canceled) || errors.Is(queued.err, runner.ErrUnknownOutcome) {
				t.Errorf("the queued call = %v, want the context's error and a known outcome", queued.err)
			}
			close(letGo)
			wg.Wait()
			if neighbour.err != nil {
				t.Errorf("the neighbour = %v", neighbour.err)
			}
			// The append of the first call was cancelled with it, because no other call
			// waited for it.
			checkHistory(t, st.Store, opened{"ann"}, deposited{2})
		})
	})

	t.Run("of one call of a batch does not end the batch", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			st, g := start(t)
			defer g.Close()
			letGo := make(chan struct{})
			hold(st, 2, letGo)
			gate := make(chan struct{})
			st.onRead = func(_ context.Context, _ int, do func() (store.Page, error)) (store.Page, error) {
				<-gate
				return do()
			}
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			var gone, stays result
			wg.Go(func() { _, _ = g.Handle(t.Context(), "a", deposit{1}) })
			synctest.Wait()
			wg.Go(func() { gone.out, gone.err = g.Handle(ctx, "a", deposit{2}) })
			synctest.Wait()
			wg.Go(func() { stays.out, stays.err = g.Handle(t.Context(), "a", deposit{4}) })
			synctest.Wait()
			close(gate)
			synctest.Wait()
			cancel()
			synctest.Wait()
			if !errors.Is(gone.err, runner.ErrUnknownOutcome) {
				t.Errorf("the call that left = %v, want an unknown outcome", gone.err)
			}
			close(letGo)
			wg.Wait()
			if stays.err != nil || stays.out.Version != 4 {
				t.Errorf("the call that stays = %+v, %v", stays.out, stays.err)
			}
			checkHistory(t, st.Store, opened{"ann"}, deposited{1}, deposited{2}, deposited{4})
		})
	})

	t.Run("that ended before does nothing", func(t *testing.T) {
		t.Parallel()
		st, g := start(t)
		st.calls()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := g.Handle(ctx, "a", deposit{1}); !errors.Is(err, context.Canceled) {
			t.Errorf("Handle = %v, want canceled", err)
		}
		g.Close()
		if appends, reads := st.calls(); len(appends)+len(reads) != 0 {
			t.Errorf("%d appends and %d reads, want none", len(appends), len(reads))
		}
		checkHistory(t, st.Store, opened{"ann"})
	})
}

// lateContext ends, and says so only once its call has been answered.
type lateContext struct {
	context.Context //nolint:containedctx // it wraps one

	answered func() // waits until the call has its answer
	end      context.CancelFunc
}

func (c lateContext) Done() <-chan struct{} {
	c.answered()
	c.end()
	return c.Context.Done()
}

// A call that has its answer when its context ends returns the answer. Whether it looks
// at the context first is chance, so the test tries often.
func TestGroupAnswersACallWhoseContextEndsTooLate(t *testing.T) {
	t.Parallel()
	st := newSpy()
	must(t, newAccounts(st), "a", open{"ann"})
	g := runner.NewGroup(newAccounts(st))
	defer g.Close()
	for range 50 {
		inner, end := context.WithCancel(t.Context())
		ctx := lateContext{Context: inner, end: end, answered: func() {
			if _, err := g.Handle(t.Context(), "a", touch{}); err != nil { // in a later batch
				t.Error(err)
			}
		}}
		if out, err := g.Handle(ctx, "a", deposit{1}); err != nil || len(out.Events) != 1 {
			t.Fatalf("Handle = %+v, %v, want the answer", out, err)
		}
	}
}

func TestGroupPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := bank
		d.Decide = func(c command, a account) ([]event, error) {
			if c == (touch{}) && a.Owner != "" && a.Balance > 0 {
				panic("touched")
			}
			return decide(c, a)
		}
		st := newSpy()
		g := runner.NewGroup(runner.New("Account", d, st, textCodec{}))
		defer g.Close()
		if _, err := g.Handle(t.Context(), "a", open{"ann"}); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range 9 {
			wg.Go(func() {
				var c command = deposit{1}
				if i == 4 {
					_, _ = g.Handle(t.Context(), "a", deposit{1})
					if text := panics(t, func() { _, _ = g.Handle(t.Context(), "a", touch{}) }); text != "touched" {
						t.Errorf("panic %q", text)
					}
					return
				}
				if _, err := g.Handle(t.Context(), "a", c); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if events, _ := history(t, st.Store, "a"); len(events) != 10 {
			t.Errorf("events %v, want 10", events)
		}
	})
}

func TestGroupExpectVersion(t *testing.T) {
	t.Parallel()
	st := newSpy()
	g := runner.NewGroup(newAccounts(st))
	defer g.Close()
	for i, cmd := range []command{open{"ann"}, deposit{1}} {
		if _, err := g.Handle(t.Context(), "a", cmd, runner.ExpectVersion(uint64(i))); err != nil {
			t.Error(err)
		}
	}
	_, err := g.Handle(t.Context(), "a", deposit{1}, runner.ExpectVersion(1))
	var conflict *store.ConflictError
	if !errors.As(err, &conflict) || conflict.Actual != 2 {
		t.Errorf("Handle = %v, want a conflict with version 2", err)
	}
	if _, err := g.Handle(t.Context(), "a", deposit{1}, runner.AsOf(1)); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("Handle with AsOf = %v, want invalid", err)
	}
}

func TestGroupClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := slow(newSpy())
		g := runner.NewGroup(newAccounts(st))
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				if _, err := g.Handle(t.Context(), strconv.Itoa(i), open{"ann"}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		g.Close()
		if appends, _ := st.calls(); len(appends) != 3 {
			t.Errorf("Close returned after %d appends, want 3", len(appends))
		}
		wg.Wait()
		for _, opts := range [][]runner.Option{nil, {runner.ExpectVersion(1)}} {
			if _, err := g.Handle(t.Context(), "a", open{"ann"}, opts...); !errors.Is(err, runner.ErrClosed) {
				t.Errorf("Handle after Close = %v, want %v", err, runner.ErrClosed)
			}
		}
		g.Close()
	})
}
