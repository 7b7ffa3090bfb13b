package runner_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

func TestHandleAppendsWhatIsDecided(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newSpy()
		r := newAccounts(st)
		meta := store.Metadata{CorrelationID: "c", ActorID: "ann", Headers: map[string]string{"k": "v"}}
		out := must(t, r, "a", open{"ann"}, runner.Metadata(meta))
		checkOutcome(t, st.Store, "a", out, 1, false, opened{"ann"})
		must(t, r, "a", deposit{5})
		out = must(t, r, "a", withdraw{2, 2})
		checkOutcome(t, st.Store, "a", out, 1, false, withdrawn{2}, withdrawn{2})

		_, recorded := history(t, st.Store, "a")
		if got := recorded[0].Meta; !reflect.DeepEqual(got, meta) {
			t.Errorf("metadata = %+v, want %+v", got, meta)
		}
		if !recorded[0].Time.Equal(time.Now()) {
			t.Errorf("time = %v, want %v", recorded[0].Time, time.Now())
		}
		appends, _ := st.calls()
		for i, want := range []store.Expected{store.NoStream, store.Exactly(1), store.Exactly(2)} {
			if appends[i].expected != want {
				t.Errorf("append %d expected %v, want %v", i, appends[i].expected, want)
			}
		}
	})
}

func TestHandleReadsManyPages(t *testing.T) {
	t.Parallel()
	st := newSpy()
	r := newAccounts(st)
	must(t, r, "a", open{"ann"})
	for range 5 {
		_, _, err := runner.Transact(t.Context(), r, "a", func(account) (int, []event, error) {
			return 0, slices.Repeat([]event{deposited{1}}, 700), nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	st.calls()
	out := must(t, r, "a", withdraw{3500, 1})
	if _, reads := st.calls(); len(reads) < 3 {
		t.Errorf("%d reads, want several pages", len(reads))
	}
	if out.Version != 3502 || out.State.Moves != 3502 {
		t.Errorf("Loaded = %+v, want version 3502", out.Loaded)
	}
}

func TestRejection(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		cmd  command
		want error
	}{
		"of the domain": {open{"bob"}, errOpen},
		"unhandled":     {nil, decider.ErrUnhandled},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newSpy()
			r := newAccounts(st)
			must(t, r, "a", open{"ann"})
			st.calls()
			out, err := r.Handle(t.Context(), "a", tt.cmd)
			var rejected *runner.RejectedError
			if !errors.Is(err, tt.want) || !errors.Is(err, runner.ErrRejected) || !errors.As(err, &rejected) ||
				rejected.Stream != stream("a") || !strings.HasPrefix(err.Error(), tt.want.Error()) {
				t.Errorf("Handle = %v, want a rejection that wraps %v", err, tt.want)
			}
			if !reflect.DeepEqual(out, outcome{}) {
				t.Errorf("outcome = %+v, want none", out)
			}
			if appends, reads := st.calls(); len(appends) != 0 || len(reads) != 1 {
				t.Errorf("%d appends and %d reads, want none and one", len(appends), len(reads))
			}
			checkHistory(t, st.Store, opened{"ann"})
		})
	}

	t.Run("that looks like a conflict is not retried", func(t *testing.T) {
		t.Parallel()
		decided := 0
		d := decider.New(func(command, account) ([]event, error) {
			decided++
			return []event{opened{"x"}}, &store.ConflictError{}
		}, evolve)
		_, err := runner.New("Account", d, memory.New(), textCodec{}).Handle(t.Context(), "a", touch{})
		if !errors.Is(err, runner.ErrRejected) || decided != 1 {
			t.Errorf("Handle = %v after %d decisions, want a rejection after one", err, decided)
		}
	})
}

func TestNoEvents(t *testing.T) {
	t.Parallel()
	st := newSpy()
	r := newAccounts(st)
	must(t, r, "a", open{"ann"})
	st.calls()
	checkOutcome(t, st.Store, "a", must(t, r, "a", touch{}), 1, false)
	if appends, _ := st.calls(); len(appends) != 0 {
		t.Errorf("%d appends, want none", len(appends))
	}
}

// rival appends a deposit of 1 without the runner's knowledge before each of the first n
// appends.
func rival(t *testing.T, st *spy, n int) {
	t.Helper()
	must(t, newAccounts(st), "a", open{"ann"})
	st.calls()
	st.onAppend = func(ctx context.Context, i int, do func() (store.Appended, error)) (store.Appended, error) {
		if i <= n {
			intrude(ctx, t, st.Store, deposit{1})
		}
		return do()
	}
}

func TestConflict(t *testing.T) {
	t.Parallel()
	t.Run("reads only the tail and decides again at once", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			st := newSpy()
			rival(t, st, 1)
			began := time.Now()
			out := must(t, newAccounts(st), "a", deposit{100})
			checkOutcome(t, st.Store, "a", out, 2, false, deposited{100})
			checkHistory(t, st.Store, opened{"ann"}, deposited{1}, deposited{100})
			if waited := time.Since(began); waited != 0 {
				t.Errorf("waited %v before the second attempt", waited)
			}
			appends, reads := st.calls()
			if len(reads) != 2 || reads[1].o.From != 2 {
				t.Errorf("reads = %+v, want a second one from version 2", reads)
			}
			if len(appends) != 2 || appends[0].ids[0] != appends[1].ids[0] {
				t.Errorf("appends = %+v, want two with one id", appends)
			}
		})
	})

	t.Run("is decided on the new state", func(t *testing.T) {
		t.Parallel()
		st := newSpy()
		rival(t, st, 1)
		out := must(t, newAccounts(st), "a", drain{})
		checkOutcome(t, st.Store, "a", out, 2, false, withdrawn{1})
	})

	t.Run("rejects what the new state rejects", func(t *testing.T) {
		t.Parallel()
		st := newSpy()
		st.onAppend = func(ctx context.Context, n int, do func() (store.Appended, error)) (store.Appended, error) {
			if n == 1 {
				intrude(ctx, t, st.Store, open{"bob"})
			}
			return do()
		}
		_, err := newAccounts(st).Handle(t.Context(), "a", open{"ann"})
		if !errors.Is(err, errOpen) {
			t.Errorf("Handle = %v, want %v", err, errOpen)
		}
		checkHistory(t, st.Store, opened{"bob"})
	})

	t.Run("backs off with full jitter and then gives up", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			st := newSpy()
			rival(t, st, 1000)
			var ceilings []time.Duration
			r := newAccounts(st).WithRetry(runner.Retry{Jitter: func(ceiling time.Duration) time.Duration {
				ceilings = append(ceilings, ceiling)
				return ceiling / 2
			}})
			began := time.Now()
			_, err := r.Handle(t.Context(), "a", deposit{100})
			var exhausted *runner.ExhaustedError
			var conflict *store.ConflictError
			if !errors.As(err, &exhausted) || exhausted.Attempts != 10 || !errors.Is(err, runner.ErrExhausted) ||
				!errors.As(err, &conflict) || conflict.Actual != 11 || !strings.Contains(err.Error(), "10 attempts") {
				t.Errorf("Handle = %v, want a conflict after 10 attempts", err)
			}
			var want []time.Duration
			var sum time.Duration
			for _, ms := range []int{2, 4, 8, 16, 32, 64, 128, 250} {
				want = append(want, time.Duration(ms)*time.Millisecond)
				sum += want[len(want)-1] / 2
			}
			if !slices.Equal(ceilings, want) || time.Since(began) != sum {
				t.Errorf("waited at most %v, %v in all; want %v and %v", ceilings, time.Since(began), want, sum)
			}
			if appends, reads := st.calls(); len(appends) != 10 || len(reads) != 10 {
				t.Errorf("%d appends and %d reads, want 10 of both", len(appends), len(reads))
			}
		})
	})

	t.Run("stops at MaxAttempts", func(t *testing.T) {
		t.Parallel()
		st := newSpy()
		rival(t, st, 1000)
		_, err := newAccounts(st).Handle(t.Context(), "a", deposit{100}, runner.MaxAttempts(2))
		var exhausted *runner.ExhaustedError
		if !errors.As(err, &exhausted) || exhausted.Attempts != 2 {
			t.Errorf("Handle = %v, want exhausted after 2 attempts", err)
		}
	})
}

func TestExpectVersion(t *testing.T) {
	t.Parallel()
	expected := func(t *testing.T, err error, version, actual uint64) {
		t.Helper()
		var conflict *store.ConflictError
		if !errors.As(err, &conflict) || conflict.Expected != store.Exactly(version) || conflict.Actual != actual ||
			conflict.Stream != stream("a") || errors.Is(err, runner.ErrExhausted) {
			t.Errorf("err = %v, want a conflict of %d with %d", err, version, actual)
		}
	}
	t.Run("proceeds at that version", func(t *testing.T) {
		t.Parallel()
		st := newSpy()
		r := newAccounts(st)
		must(t, r, "a", open{"ann"}, runner.ExpectVersion(0))
		must(t, r, "a", deposit{1}, runner.ExpectVersion(1))
		checkHistory(t, st, opened{"ann"}, deposited{1})
	})
	t.Run("does not decide at another one", func(t *testing.T) {
		t.Parallel()
		for _, cmd := range []command{deposit{1}, open{"bob"}, touch{}} {
			st := newSpy()
			r := newAccounts(st)
			must(t, r, "a", open{"ann"})
			st.calls()
			for _, v := range []uint64{0, 2} {
				_, err := r.Handle(t.Context(), "a", cmd, runner.ExpectVersion(v))
				expected(t, err, v, 1)
			}
			if appends, _ := st.calls(); len(appends) != 0 {
				t.Errorf("%d appends, want none", len(appends))
			}
		}
	})
	t.Run("returns a conflict of the append at once", func(t *testing.T) {
		t.Parallel()
		st := newSpy()
		rival(t, st, 1)
		_, err := newAccounts(st).Handle(t.Context(), "a", deposit{100}, runner.ExpectVersion(1))
		expected(t, err, 1, 2)
		if appends, reads := st.calls(); len(appends) != 1 || len(reads) != 1 {
			t.Errorf("%d appends and %d reads, want one of both", len(appends), len(reads))
		}
	})
	t.Run("reads the stream before it refuses a stale state", func(t *testing.T) {
		t.Parallel()
		st := newSpy()
		r := newAccounts(st).WithCache(runner.Cache[account]{})
		must(t, r, "a", open{"ann"})
		must(t, newAccounts(st), "a", deposit{1})
		out := must(t, r, "a", deposit{1}, runner.ExpectVersion(2), runner.AnyCached())
		checkOutcome(t, st.Store, "a", out, 1, false, deposited{1})
		_, err := r.Handle(t.Context(), "a", deposit{1}, runner.ExpectVersion(2), runner.AnyCached())
		expected(t, err, 2, 3)
	})
}

func TestEncodeErrorWritesNothing(t *testing.T) {
	t.Parallel()
	st := newSpy()
	r := newAccounts(st)
	must(t, r, "a", open{"ann"})
	st.calls()
	_, _, err := runner.Transact(t.Context(), r, "a", func(account) (int, []event, error) {
		return 1, []event{deposited{1}, deposited{unencodable}}, nil
	})
	if !errors.Is(err, errUnregistered) {
		t.Errorf("Transact = %v, want %v", err, errUnregistered)
	}
	if appends, reads := st.calls(); len(appends) != 0 || len(reads) != 1 {
		t.Errorf("%d appends and %d reads, want none and one", len(appends), len(reads))
	}
}

func TestDecodeErrorIsReturned(t *testing.T) {
	t.Parallel()
	st := newSpy()
	_, err := st.Append(t.Context(), stream("a"), store.NoStream, []store.Event{{ID: "1", Type: "Deposited", Data: []byte("x")}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = newAccounts(st).Handle(t.Context(), "a", deposit{1})
	if err == nil || !strings.HasPrefix(err.Error(), "load Account/a: ") {
		t.Errorf("Handle = %v, want an error that names the stream", err)
	}
}

func TestTransact(t *testing.T) {
	t.Parallel()
	st := newSpy()
	rival(t, st, 1)
	decided := 0
	balance, out, err := runner.Transact(t.Context(), newAccounts(st), "a", func(a account) (int, []event, error) {
		decided++
		return a.Balance, []event{deposited{10}}, nil
	})
	if err != nil || balance != 1 || decided != 2 {
		t.Errorf("Transact = %d, %v after %d decisions, want 1 of the second decision", balance, err, decided)
	}
	checkOutcome(t, st.Store, "a", out, 2, false, deposited{10})

	result, _, err := runner.Transact(t.Context(), newAccounts(st), "a", func(account) (int, []event, error) {
		return 7, nil, errTooLittle
	})
	if !errors.Is(err, runner.ErrRejected) || result != 0 {
		t.Errorf("Transact = %d, %v, want a rejection and no result", result, err)
	}
	result, _, err = runner.Transact(t.Context(), newAccounts(st), "a", func(account) (int, []event, error) { return 7, nil, nil })
	if err != nil || result != 7 {
		t.Errorf("Transact = %d, %v, want 7", result, err)
	}
}

func TestNewPanics(t *testing.T) {
	t.Parallel()
	tests := map[string]func(){
		"stream type": func() { runner.New("", bank, memory.New(), textCodec{}) },
		"decide": func() {
			runner.New("A", decider.New[command](nil, evolve), memory.New(), textCodec{})
		},
		"store":    func() { runner.New("A", bank, nil, textCodec{}) },
		"attempts": func() { newAccounts(memory.New()).WithRetry(runner.Retry{Attempts: -1}) },
		"max":      func() { runner.MaxAttempts(0) },
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if text := panics(t, f); !strings.HasPrefix(text, "runner: ") {
				t.Errorf("panic %q", text)
			}
		})
	}
}
