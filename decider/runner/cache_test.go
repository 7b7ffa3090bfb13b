package runner_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

func TestCacheReadsOnlyTheTail(t *testing.T) {
	t.Parallel()
	st := newSpy()
	r := newAccounts(st).WithCache(runner.Cache[account]{})
	must(t, r, "a", open{"ann"})
	must(t, newAccounts(st.Store), "a", deposit{3})
	st.calls()
	checkOutcome(t, st.Store, "a", must(t, r, "a", drain{}), 2, false, withdrawn{3})
	if _, reads := st.calls(); len(reads) != 1 || reads[0].o.From != 2 {
		t.Errorf("reads = %+v, want one from version 2", reads)
	}
}

// A command on a cached state is decided before anything is read. The stream is read if
// that state was old the last time, if there is no second attempt, and before a command is
// refused or has nothing to do.
func TestCacheDecidesFirst(t *testing.T) {
	t.Parallel()
	st := newSpy()
	r := newAccounts(st).WithCache(runner.Cache[account]{})
	rival := func() { must(t, newAccounts(st.Store), "a", deposit{1}) }
	must(t, r, "a", open{"ann"})
	want := func(what string, attempts, appends, reads int, c command, opts ...runner.Option) {
		t.Helper()
		st.calls()
		out, err := r.Handle(t.Context(), "a", c, opts...)
		if err != nil && !errors.Is(err, runner.ErrRejected) || err == nil && out.Attempts != attempts {
			t.Errorf("%s: %d attempts, %v, want %d", what, out.Attempts, err, attempts)
		}
		if a, r := st.calls(); len(a) != appends || len(r) != reads {
			t.Errorf("%s: %d appends and %d reads, want %d and %d", what, len(a), len(r), appends, reads)
		}
	}
	want("the state is current", 1, 1, 0, deposit{1})
	rival()
	want("the state is old", 2, 2, 1, deposit{1})
	want("the state was old before", 1, 1, 1, deposit{1})
	want("the state was current before", 1, 1, 0, deposit{1})
	want("rejected on the current state", 0, 0, 1, open{"bob"})
	want("nothing to do on the current state", 1, 0, 1, touch{})
	want("with one attempt", 1, 1, 1, deposit{1}, runner.MaxAttempts(1))
	rival()
	want("with one attempt on an old state", 1, 1, 1, deposit{1}, runner.MaxAttempts(1))
	want("known to be shared", 1, 1, 1, deposit{1})
	must(t, r, "a", drain{})
	rival()
	want("rejected on the old state", 1, 1, 1, withdraw{1, 1})

	transact := func(what string, appends, reads int, opts ...runner.Option) {
		t.Helper()
		st.calls()
		deposits := func(account) (int, []event, error) { return 0, []event{deposited{1}}, nil }
		if _, _, err := runner.Transact(t.Context(), r, "a", deposits, opts...); err != nil {
			t.Errorf("%s: Transact = %v", what, err)
		}
		if a, r := st.calls(); len(a) != appends || len(r) != reads {
			t.Errorf("%s: %d appends and %d reads, want %d and %d", what, len(a), len(r), appends, reads)
		}
	}
	load(t, r, "a") // so that the state was current before
	transact("Transact", 1, 0)
	rival()
	transact("Transact with one attempt on an old state", 1, 1, runner.MaxAttempts(1))
}

// If a refusal on a cached state cannot be checked, because the stream cannot be read, that
// is the error.
func TestCacheCannotCheckARefusal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		command
		opts []runner.Option
	}{
		"rejected":           {open{"bob"}, nil},
		"nothing to do":      {touch{}, nil},
		"not storable":       {deposit{1}, nil},
		"at another version": {deposit{1}, []runner.Option{runner.ExpectVersion(7)}},
	} {
		st := newSpy()
		r := newAccounts(st).WithCache(runner.Cache[account]{})
		must(t, r, "a", open{"ann"})
		st.onAppend = func(context.Context, int, func() (store.Appended, error)) (store.Appended, error) {
			return store.Appended{}, &store.InvalidError{Field: "events", Reason: "are refused"}
		}
		st.onRead = func(context.Context, int, func() (store.Page, error)) (store.Page, error) {
			return store.Page{}, errDown
		}
		if out, err := r.Handle(t.Context(), "a", c.command, c.opts...); !errors.Is(err, errDown) || errors.Is(err, runner.ErrRejected) {
			t.Errorf("%s: Handle = %+v, %v, want %v", name, out, err, errDown)
		}
	}
}

// A load that finds nothing new makes the cached state as fresh as that.
func TestCacheIsRefreshed(t *testing.T) {
	t.Parallel()
	st, now := newSpy(), time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	r := newAccounts(st).WithClock(func() time.Time { return now }).WithCache(runner.Cache[account]{})
	must(t, r, "a", open{"ann"})
	now = now.Add(time.Hour)
	load(t, r, "a")
	st.calls()
	now = now.Add(time.Minute)
	load(t, r, "a", runner.AllowStale(2*time.Minute))
	if _, reads := st.calls(); len(reads) != 0 {
		t.Errorf("%d reads of a stream that was read a minute ago, want none", len(reads))
	}
}

func TestCacheKeepsTheLastUsed(t *testing.T) {
	t.Parallel()
	st := newSpy()
	r := newAccounts(st).WithCache(runner.Cache[account]{Size: 2})
	for _, id := range []string{"a", "b"} {
		must(t, r, id, open{id})
	}
	load(t, r, "a")
	must(t, r, "c", open{"c"})
	st.calls()
	for _, id := range []string{"a", "c", "b"} {
		load(t, r, id, runner.AnyCached())
		if _, reads := st.calls(); (len(reads) > 0) != (id == "b") {
			t.Errorf("%s: %d reads, want one of b only", id, len(reads))
		}
	}
}

// A cache never keeps more states than its size, and keeps the most recently used ones.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 5).Draw(t, "size")
		st := newSpy()
		r := newAccounts(st).WithCache(runner.Cache[account]{Size: size})
		var used []string // the most recent first
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, 7), 1, 40).Draw(t, "ids") {
			id := strconv.Itoa(n)
			st.calls()
			if _, err := r.Load(context.Background(), id, runner.AnyCached()); err != nil {
				t.Fatal(err)
			}
			at := len(used)
			for i, u := range used {
				if u == id {
					at = i
				}
			}
			if _, reads := st.calls(); (len(reads) == 0) != (at < size && at < len(used)) {
				t.Fatalf("%s, used last as number %d of %v: %d reads", id, at, used, len(reads))
			}
			used = append([]string{id}, append(used[:min(at, len(used)):min(at, len(used))], used[min(at+1, len(used)):]...)...)
		}
	})
}

// An older version never replaces a newer one, whichever call ends last.
func TestCacheNeverGoesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newSpy()
		r := newAccounts(st).WithCache(runner.Cache[account]{})
		must(t, newAccounts(st.Store), "a", open{"ann"})
		st.onRead = func(_ context.Context, n int, do func() (store.Page, error)) (store.Page, error) {
			page, err := do()
			if n == 1 {
				time.Sleep(time.Minute)
			}
			return page, err
		}
		var wg sync.WaitGroup
		wg.Go(func() { load(t, r, "a") })
		time.Sleep(time.Second)
		must(t, r, "a", deposit{1})
		wg.Wait()
		if got := load(t, r, "a", runner.AnyCached()); got.Version != 2 {
			t.Errorf("cached version = %d, want 2", got.Version)
		}
	})
}

// A load that fails or is cancelled leaves nothing in the cache.
func TestCacheKeepsNoFailedLoad(t *testing.T) {
	t.Parallel()
	st := newSpy()
	r := newAccounts(st).WithCache(runner.Cache[account]{})
	must(t, newAccounts(st.Store), "a", open{"ann"})
	ctx, cancel := context.WithCancel(t.Context())
	st.onRead = func(ctx context.Context, _ int, _ func() (store.Page, error)) (store.Page, error) {
		cancel()
		return store.Page{}, ctx.Err()
	}
	if _, err := r.Load(ctx, "a"); err == nil {
		t.Error("Load with an ended context succeeded")
	}
	st.calls()
	st.onRead = nil
	if got := load(t, r, "a", runner.AnyCached()); got.Version != 1 {
		t.Errorf("Load = %+v, want version 1", got)
	}
	if _, reads := st.calls(); len(reads) != 1 {
		t.Errorf("%d reads, want one", len(reads))
	}
}

// A state beyond the head of its stream belongs to another stream, and is dropped.
func TestCacheBeyondTheHead(t *testing.T) {
	t.Parallel()
	st := newSpy()
	r := newAccounts(st).WithCache(runner.Cache[account]{})
	must(t, r, "a", open{"ann"})
	must(t, r, "a", deposit{1})
	st.Store = memory.New()
	must(t, newAccounts(st.Store), "a", open{"bob"})
	if got := load(t, r, "a"); got != (loaded{account{"bob", 0, 1}, 1}) {
		t.Errorf("Load = %+v, want that of bob", got)
	}
	if got := load(t, r, "a", runner.AnyCached()); got.Version != 1 {
		t.Errorf("cached version = %d, want 1", got.Version)
	}
}

// What is dropped makes room for one more state.
func TestCacheDropsWhole(t *testing.T) {
	t.Parallel()
	st := newSpy()
	r := newAccounts(st).WithCache(runner.Cache[account]{Size: 2})
	must(t, r, "a", open{"ann"})
	st.Store = memory.New() // in which the stream has no events
	for _, id := range []string{"a", "b", "c", "d"} {
		load(t, r, id)
	}
	st.calls()
	for _, id := range []string{"c", "d", "b"} {
		load(t, r, id, runner.AnyCached())
	}
	if _, reads := st.calls(); len(reads) != 1 {
		t.Errorf("%d reads, want one of b, because the cache keeps the last two states", len(reads))
	}
}

// If a call finds that the state it began with is of another stream, it drops that state,
// and not one that another call has cached since.
func TestCacheDropsOnlyWhatWasWrong(t *testing.T) {
	t.Parallel()
	st := newSpy()
	r := newAccounts(st).WithCache(runner.Cache[account]{})
	must(t, r, "a", open{"ann"})
	must(t, r, "a", deposit{1})
	st.calls()
	st.onRead = func(_ context.Context, n int, do func() (store.Page, error)) (store.Page, error) {
		switch n {
		case 1: // while others continue, the answer is that of a store without the stream
			must(t, r, "a", deposit{1})
			return store.Page{Head: 1, End: true}, nil
		case 2:
			return store.Page{}, errDown
		}
		return do()
	}
	if _, err := r.Load(t.Context(), "a"); !errors.Is(err, errDown) {
		t.Errorf("Load = %v, want %v", err, errDown)
	}
	st.calls()
	if got := load(t, r, "a", runner.AnyCached()); got.Version != 3 {
		t.Errorf("cached version = %d, want 3", got.Version)
	}
	if _, reads := st.calls(); len(reads) != 0 {
		t.Errorf("%d reads, want none: the state that others cached is gone", len(reads))
	}
}

// Each With… method returns a copy and leaves its receiver unchanged.
func TestWithReturnsCopies(t *testing.T) {
	t.Parallel()
	st := newSpy()
	plain := newAccounts(st)
	cached := plain.WithCache(runner.Cache[account]{})
	slow := cached.WithRetry(runner.Retry{Attempts: 1})
	must(t, slow, "a", open{"ann"})
	st.calls()
	load(t, cached, "a", runner.AnyCached())
	if _, reads := st.calls(); len(reads) != 0 {
		t.Error("a copy does not share the cache")
	}
	load(t, plain, "a", runner.AnyCached())
	if _, reads := st.calls(); len(reads) != 1 {
		t.Error("the runner without a cache has one")
	}
}

type (
	inner struct {
		Names [2]string
		At    time.Time
	}
	plainState struct {
		Inner inner
		N     float64
		Ok    bool
	}
	counts struct{ Of map[string]int }
)

func TestCacheRefusesStatesThatCanChange(t *testing.T) {
	t.Parallel()
	refuses[counts](t, "state.Of is a map")
	refuses[[]int](t, "state is a slice")
	refuses[*account](t, "state is a ptr")
	refuses[struct{ A [2]struct{ F func() } }](t, "state.A[…].F is a func")
	refuses[struct{ X any }](t, "state.X is a interface")
	refuses[chan int](t, "state is a chan")
	withCache(runner.Cache[plainState]{})
	withCache(runner.Cache[int]{})
	withCache(runner.Cache[counts]{Shared: true})
	withCache(runner.Cache[counts]{Clone: func(c counts) counts { return counts{maps.Clone(c.Of)} }})
	if text := panics(t, func() { withCache(runner.Cache[int]{Size: -1}) }); !strings.Contains(text, "negative Size -1") {
		t.Errorf("panic %q", text)
	}
}

func refuses[S any](t *testing.T, want string) {
	t.Helper()
	text := panics(t, func() { withCache(runner.Cache[S]{}) })
	if !strings.HasPrefix(text, "runner: WithCache: "+want) || !strings.Contains(text, "Cache.Clone") {
		t.Errorf("panic %q, want %q and what to do", text, want)
	}
	text = panics(t, func() { runner.NewGroup(stateless[S]()) })
	if !strings.HasPrefix(text, "runner: NewGroup: "+want) || !strings.Contains(text, "Cache.Clone") {
		t.Errorf("panic %q, want %q and what to do", text, want)
	}
}

// stateless returns a runner over any state, which nothing changes.
func stateless[S any]() *runner.Runner[command, S, event] {
	d := decider.New(func(command, S) ([]event, error) { return nil, nil }, func(s S, _ event) S { return s })
	return runner.New("A", d, memory.New(), textCodec{})
}

// withCache makes a runner with the cache c, and a group of the runner.
func withCache[S any](c runner.Cache[S]) {
	runner.NewGroup(stateless[S]().WithCache(c))
}

// careless changes its state in place. With Clone the change stays inside one call.
func TestCacheClones(t *testing.T) {
	t.Parallel()
	d := decider.Decider[string, counts, event]{
		Decide: func(c string, s counts) ([]event, error) {
			s.Of["decided"]++
			return []event{opened{c}}, nil
		},
		Evolve: func(s counts, e event) counts {
			if e, ok := e.(opened); ok {
				s.Of[e.Owner]++
			}
			return s
		},
		Initial: func() counts { return counts{map[string]int{}} },
	}
	rapid.Check(t, func(t *rapid.T) {
		const id = "a"
		r := runner.New("A", d, memory.New(), textCodec{}).WithCache(runner.Cache[counts]{
			Clone: func(c counts) counts { return counts{maps.Clone(c.Of)} },
		})
		want := map[string]int{}
		for _, c := range rapid.SliceOfN(rapid.SampledFrom([]string{"x", "y", "load"}), 1, 20).Draw(t, "commands") {
			if c != "load" {
				out, err := r.Handle(context.Background(), id, c)
				if err != nil {
					t.Fatal(err)
				}
				want[c]++
				clear(out.State.Of) // the caller owns the returned state
			}
			at, err := r.Load(context.Background(), id, runner.AnyCached())
			if err != nil {
				t.Fatal(err)
			}
			delete(at.State.Of, "decided")
			if !maps.Equal(at.State.Of, want) {
				t.Fatalf("state = %v, want %v", at.State.Of, want)
			}
			clear(at.State.Of)
		}
	})
}

// Many calls run at once on few streams and a small cache. The states are those of the
// events.
func TestCacheIsSafe(t *testing.T) {
	t.Parallel()
	st := newSpy()
	for _, size := range []int{1, 3, 5000} {
		r := newAccounts(st).WithCache(runner.Cache[account]{Size: size}).WithRetry(runner.Retry{Attempts: 1000, Base: 1})
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := range 50 {
					id := fmt.Sprintf("%d-%d", size, (w+i)%4)
					_, _, err := runner.Transact(t.Context(), r, id, func(a account) (int, []event, error) {
						return 0, []event{deposited{1}}, nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		for i := range 4 {
			id := fmt.Sprintf("%d-%d", size, i)
			if got := load(t, r, id); got != (loaded{account{"", 100, 100}, 100}) {
				t.Errorf("Load = %+v, want 100 deposits", got)
			}
		}
	}
}
