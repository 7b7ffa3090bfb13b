package runner_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
)

type appendFunc = func(ctx context.Context, n int, do func() (store.Appended, error)) (store.Appended, error)

// lost appends, but loses the answer of the first append.
func lost() appendFunc {
	return func(_ context.Context, i int, do func() (store.Appended, error)) (store.Appended, error) {
		a, err := do()
		if i == 1 {
			return store.Appended{}, errDown
		}
		return a, err
	}
}

// down fails the first n appends.
func down(n int) appendFunc {
	return func(_ context.Context, i int, do func() (store.Appended, error)) (store.Appended, error) {
		if i <= n {
			return store.Appended{}, errDown
		}
		return do()
	}
}

func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	t.Run("that was recorded is found in the tail", func(t *testing.T) {
		t.Parallel()
		st := newSpy()
		r := newAccounts(st)
		must(t, r, "a", open{"ann"})
		must(t, r, "a", deposit{9})
		st.calls()
		st.onAppend = lost()
		out := must(t, r, "a", withdraw{2, 3})
		checkOutcome(t, st.Store, "a", out, 1, true, withdrawn{2}, withdrawn{2}, withdrawn{2})
		if appends, reads := st.calls(); len(appends) != 1 || reads[1].o.From != 3 {
			t.Errorf("%d appends, reads %+v: want one append and a read of the tail", len(appends), reads)
		}
	})

	t.Run("that has no id is looked for in the tail only", func(t *testing.T) {
		t.Parallel()
		st := newSpy()
		r := newAccounts(st).WithCache(runner.Cache[account]{})
		must(t, r, "a", open{"ann"})
		st.calls()
		st.onAppend = down(1)
		must(t, r, "a", deposit{9})
		_, reads := st.calls()
		for _, read := range reads {
			if read.o.Backward || read.o.From != 2 {
				t.Errorf("reads %+v, want only the tail from version 2 on", reads)
			}
		}
	})

	t.Run("that was not recorded is sent again unchanged", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			st := newSpy()
			r := newAccounts(st)
			must(t, r, "a", open{"ann"})
			st.calls()
			st.onAppend = down(2)
			out := must(t, r, "a", deposit{1})
			checkOutcome(t, st.Store, "a", out, 3, false, deposited{1})
			appends, _ := st.calls()
			for _, a := range appends[1:] {
				if a.expected != appends[0].expected || a.ids[0] != appends[0].ids[0] {
					t.Errorf("sent %+v, then %+v", appends[0], a)
				}
			}
		})
	})

	t.Run("that is recorded late is recognized", func(t *testing.T) {
		t.Parallel()
		for name, landsAt := range map[string]int{"before the second append": 2, "before the third": 3} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					st := newSpy()
					must(t, newAccounts(st), "a", open{"ann"})
					st.calls()
					var late func() (store.Appended, error)
					st.onAppend = func(_ context.Context, n int, do func() (store.Appended, error)) (store.Appended, error) {
						if n == 1 {
							late = do
						}
						if n == landsAt {
							if _, err := late(); err != nil {
								t.Errorf("late append: %v", err)
							}
						}
						if n < landsAt {
							return store.Appended{}, errDown
						}
						return do()
					}
					out := must(t, newAccounts(st), "a", deposit{1})
					checkOutcome(t, st.Store, "a", out, landsAt, true, deposited{1})
					checkHistory(t, st.Store, opened{"ann"}, deposited{1})
				})
			})
		}
	})

	t.Run("that arrives after the second append is refused", func(t *testing.T) {
		t.Parallel()
		st := newSpy()
		must(t, newAccounts(st), "a", open{"ann"})
		st.calls()
		var late func() (store.Appended, error)
		st.onAppend = func(_ context.Context, n int, do func() (store.Appended, error)) (store.Appended, error) {
			if n == 1 {
				late = do
				return store.Appended{}, errDown
			}
			return do()
		}
		must(t, newAccounts(st), "a", deposit{1})
		if a, err := late(); err == nil && !a.Replayed {
			t.Errorf("late append = %+v, %v: it was recorded twice", a, err)
		}
		checkHistory(t, st.Store, opened{"ann"}, deposited{1})
	})

	t.Run("and an event of another writer: decided again", func(t *testing.T) {
		t.Parallel()
		for _, readFails := range []bool{false, true} {
			st := newSpy()
			must(t, newAccounts(st), "a", open{"ann"})
			st.calls()
			st.onAppend = func(ctx context.Context, n int, do func() (store.Appended, error)) (store.Appended, error) {
				if n == 1 {
					intrude(ctx, t, st.Store, deposit{7})
					return store.Appended{}, errDown
				}
				return do()
			}
			st.onRead = func(_ context.Context, n int, do func() (store.Page, error)) (store.Page, error) {
				if n == 2 && readFails {
					return store.Page{}, errDown
				}
				return do()
			}
			out := must(t, newAccounts(st).WithRetry(runner.Retry{Base: 1}), "a", drain{})
			checkOutcome(t, st.Store, "a", out, out.Attempts, false, withdrawn{7})
			checkHistory(t, st.Store, opened{"ann"}, deposited{7}, withdrawn{7})
		}
	})

	t.Run("and then a conflict with ExpectVersion", func(t *testing.T) {
		t.Parallel()
		st := newSpy()
		must(t, newAccounts(st), "a", open{"ann"})
		st.calls()
		st.onAppend = func(_ context.Context, n int, do func() (store.Appended, error)) (store.Appended, error) {
			if n == 1 {
				_, _ = do()
				return store.Appended{}, errDown
			}
			return store.Appended{}, &store.ConflictError{Stream: stream("a"), Expected: 1, Actual: 2}
		}
		st.onRead = func(_ context.Context, n int, do func() (store.Page, error)) (store.Page, error) {
			if n == 2 {
				return store.Page{}, errDown
			}
			return do()
		}
		out := must(t, newAccounts(st), "a", deposit{1}, runner.ExpectVersion(1))
		checkOutcome(t, st.Store, "a", out, 2, true, deposited{1})
	})

	t.Run("and then a conflict: known not to be recorded", func(t *testing.T) {
		t.Parallel()
		for name, conflicts := range map[string]int{"found by reading": 1, "found by the second append": 2} {
			st := newSpy()
			must(t, newAccounts(st), "a", open{"ann"})
			st.calls()
			st.onAppend = func(ctx context.Context, n int, do func() (store.Appended, error)) (store.Appended, error) {
				if n == conflicts {
					intrude(ctx, t, st.Store, deposit{7})
				}
				if n == 1 {
					return store.Appended{}, errDown
				}
				return do()
			}
			_, err := newAccounts(st).Handle(t.Context(), "a", drain{}, runner.MaxAttempts(conflicts))
			if !errors.Is(err, store.ErrConflict) || !errors.Is(err, runner.ErrExhausted) || errors.Is(err, runner.ErrUnknownOutcome) {
				t.Errorf("%s: Handle = %v, want a conflict, and no unknown outcome", name, err)
			}
			checkHistory(t, st.Store, opened{"ann"}, deposited{7})
		}
	})

	t.Run("that was recorded is read again until that succeeds", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			for _, most := range []int{2, 10} {
				st := newSpy()
				st.onAppend = lost()
				st.onRead = func(_ context.Context, n int, do func() (store.Page, error)) (store.Page, error) {
					if n > 2 && n < 6 { // the first load and the read of the tail succeed
						return store.Page{}, errDown
					}
					return do()
				}
				out, err := newAccounts(st).Handle(t.Context(), "a", open{"ann"}, runner.MaxAttempts(most))
				if most == 2 {
					if !errors.Is(err, runner.ErrUnknownOutcome) || !errors.Is(err, errDown) {
						t.Errorf("Handle = %v, want an unknown outcome: it was recorded", err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				checkOutcome(t, st.Store, "a", out, 4, true, opened{"ann"})
			}
		})
	})

	t.Run("that stays unknown says so", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			st := newSpy()
			must(t, newAccounts(st), "a", open{"ann"})
			st.calls()
			st.onAppend = down(1000)
			_, err := newAccounts(st).Handle(t.Context(), "a", deposit{1}, runner.CommandID("c"), runner.MaxAttempts(3))
			var unknown *runner.UnknownOutcomeError
			if !errors.As(err, &unknown) || unknown.CommandID != "c" || !errors.Is(err, errDown) ||
				!errors.Is(err, runner.ErrUnknownOutcome) || !errors.Is(err, runner.ErrExhausted) {
				t.Errorf("Handle = %v, want an unknown outcome", err)
			}
			if appends, _ := st.calls(); len(appends) != 3 {
				t.Errorf("%d appends, want 3", len(appends))
			}
		})
	})

	t.Run("is looked up even after the last attempt", func(t *testing.T) {
		t.Parallel()
		st := newSpy()
		st.onAppend = lost()
		out := must(t, newAccounts(st), "a", open{"ann"}, runner.MaxAttempts(1))
		checkOutcome(t, st.Store, "a", out, 1, true, opened{"ann"})
	})

	t.Run("of a store that is closed then stays unknown", func(t *testing.T) {
		t.Parallel()
		st := newSpy()
		st.onAppend = func(_ context.Context, n int, _ func() (store.Appended, error)) (store.Appended, error) {
			if n == 1 {
				return store.Appended{}, errDown
			}
			return store.Appended{}, store.ErrClosed
		}
		_, err := newAccounts(st).Handle(t.Context(), "a", open{"ann"})
		if !errors.Is(err, runner.ErrUnknownOutcome) || !errors.Is(err, store.ErrClosed) {
			t.Errorf("Handle = %v, want an unknown outcome because it is closed", err)
		}
	})
}

func TestDefiniteErrorsAreReturnedAtOnce(t *testing.T) {
	t.Parallel()
	for _, definite := range []error{store.ErrClosed, &store.InvalidError{Field: "events[0].data", Reason: "is too long"}} {
		st := newSpy()
		st.onAppend = func(context.Context, int, func() (store.Appended, error)) (store.Appended, error) {
			return store.Appended{}, definite
		}
		_, err := newAccounts(st).Handle(t.Context(), "a", open{"ann"})
		if appends, _ := st.calls(); !errors.Is(err, definite) || errors.Is(err, runner.ErrUnknownOutcome) || len(appends) != 1 {
			t.Errorf("Handle = %v after %d appends, want %v after one", err, len(appends), definite)
		}
	}
}

// While an outcome is looked up, the waits are those of any attempt.
func TestUnknownOutcomeBacksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newSpy()
		st.onAppend = down(4)
		began := time.Now()
		r := newAccounts(st).WithRetry(runner.Retry{Jitter: func(d time.Duration) time.Duration { return d }})
		must(t, r, "a", open{"ann"})
		if took, want := time.Since(began), 14*time.Millisecond; took != want {
			t.Errorf("took %v, want %v", took, want)
		}
	})
}
