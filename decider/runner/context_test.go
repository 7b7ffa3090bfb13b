package runner_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

func TestReadErrors(t *testing.T) {
	t.Parallel()
	failing := func(times int) *spy {
		st := newSpy()
		st.onRead = func(_ context.Context, n int, do func() (store.Page, error)) (store.Page, error) {
			if n <= times {
				return store.Page{}, errDown
			}
			return do()
		}
		return st
	}
	t.Run("are returned at once", func(t *testing.T) {
		t.Parallel()
		st := failing(1)
		_, err := newAccounts(st).Handle(t.Context(), "a", open{"ann"})
		if _, reads := st.calls(); !errors.Is(err, errDown) || len(reads) != 1 {
			t.Errorf("Handle = %v after %d reads, want %v after one", err, len(reads), errDown)
		}
	})
	t.Run("are retried if they are transient", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			st := failing(3)
			r := newAccounts(st).WithRetry(runner.Retry{Transient: func(err error) bool { return errors.Is(err, errDown) }})
			out := must(t, r, "a", open{"ann"})
			checkOutcome(t, st.Store, "a", out, 4, false, opened{"ann"})
			st = failing(3)
			_, err := newAccounts(st).WithRetry(runner.Retry{Attempts: 3, Transient: func(error) bool { return true }}).Load(t.Context(), "a")
			if !errors.Is(err, errDown) || !errors.Is(err, runner.ErrExhausted) {
				t.Errorf("Load = %v, want exhausted", err)
			}
		})
	})
}

func TestContext(t *testing.T) {
	t.Parallel()
	cause := errors.New("the client has left")
	ended := func(t *testing.T, err error) {
		t.Helper()
		if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) {
			t.Errorf("err = %v, want the context's error and its cause", err)
		}
	}
	t.Run("that has ended writes nothing", func(t *testing.T) {
		t.Parallel()
		st := newSpy()
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		for _, opt := range []runner.Option{runner.AssumeEmpty(), runner.ExpectVersion(0)} {
			_, err := newAccounts(st).Handle(ctx, "a", open{"ann"}, opt)
			ended(t, err)
			if errors.Is(err, runner.ErrUnknownOutcome) {
				t.Errorf("Handle = %v, but nothing was sent", err)
			}
		}
		if appends, _ := st.calls(); len(appends) != 0 {
			t.Errorf("%d appends, want none", len(appends))
		}
		checkHistory(t, st.Store)
	})
	t.Run("ends the back-off", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			st := newSpy()
			rival(t, st, 1000)
			r := newAccounts(st).WithRetry(runner.Retry{Base: time.Hour, Cap: time.Hour, Jitter: func(d time.Duration) time.Duration { return d }})
			ctx, cancel := context.WithCancelCause(t.Context())
			began := time.Now()
			time.AfterFunc(time.Minute, func() { cancel(cause) })
			_, err := r.Handle(ctx, "a", deposit{100})
			ended(t, err)
			if !errors.Is(err, store.ErrConflict) || errors.Is(err, runner.ErrUnknownOutcome) {
				t.Errorf("Handle = %v, want it to contain the last conflict, and a known outcome", err)
			}
			if took := time.Since(began); took != time.Minute {
				t.Errorf("took %v, want to end with the context", took)
			}
		})
	})
	t.Run("that ends during an append leaves the outcome unknown", func(t *testing.T) {
		t.Parallel()
		for _, lands := range []bool{true, false} {
			st := newSpy()
			ctx, cancel := context.WithCancelCause(t.Context())
			st.onAppend = func(ctx context.Context, _ int, do func() (store.Appended, error)) (store.Appended, error) {
				if lands {
					_, _ = do()
				}
				cancel(cause)
				return store.Appended{}, ctx.Err()
			}
			_, err := newAccounts(st).Handle(ctx, "a", open{"ann"}, runner.CommandID("c1"))
			ended(t, err)
			var unknown *runner.UnknownOutcomeError
			if !errors.As(err, &unknown) || unknown.CommandID != "c1" || unknown.Stream != stream("a") {
				t.Errorf("Handle = %v, want an unknown outcome of c1", err)
			}
			// Asking again with the same ID tells, and does the work if it was not done.
			out := must(t, newAccounts(st.Store), "a", open{"ann"}, runner.CommandID("c1"))
			checkOutcome(t, st.Store, "a", out, 1, lands, opened{"ann"})
			checkHistory(t, st.Store, opened{"ann"})
		}
	})
}

func TestOneWinnerOnCreation(t *testing.T) {
	t.Parallel()
	st := newSpy()
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = newAccounts(st).Handle(t.Context(), "a", open{"ann"}, runner.AssumeEmpty())
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, errOpen) {
			t.Errorf("Handle = %v, want %v", err, errOpen)
		}
	}
	if won != 1 {
		t.Errorf("%d creations won, want 1", won)
	}
	checkHistory(t, st.Store, opened{"ann"})
}

func TestNoLostWriteOnRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newSpy()
		r := newAccounts(st)
		must(t, r, "a", open{"ann"})
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 10 {
					must(t, r, "a", deposit{1 + i}, runner.MaxAttempts(1000))
				}
			})
		}
		wg.Wait()
		at, err := r.Load(t.Context(), "a")
		if want := (account{"ann", 10 * 36, 81}); err != nil || at.State != want || at.Version != 81 {
			t.Errorf("Load = %+v, %v, want %+v at 81", at, err, want)
		}
	})
}

func TestPanicsPass(t *testing.T) {
	t.Parallel()
	r := newAccounts(memory.New()).WithCache(runner.Cache[account]{})
	must(t, r, "a", open{"ann"})
	text := panics(t, func() {
		_, _, _ = runner.Transact(t.Context(), r, "a", func(account) (int, []event, error) { panic("decide") })
	})
	if text != "decide" {
		t.Errorf("panic %q", text)
	}
	out := must(t, r, "a", deposit{1})
	if out.Version != 2 {
		t.Errorf("version = %d, want 2", out.Version)
	}
}
