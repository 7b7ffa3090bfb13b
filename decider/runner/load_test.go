package runner_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

func load(t *testing.T, r *accounts, id string, opts ...runner.Option) loaded {
	t.Helper()
	at, err := r.Load(t.Context(), id, opts...)
	if err != nil {
		t.Fatalf("Load(%s) = %v", id, err)
	}
	return at
}

func TestLoad(t *testing.T) {
	t.Parallel()
	r := newAccounts(memory.New())
	if got := load(t, r, "a"); got != (loaded{}) {
		t.Errorf("Load of an empty stream = %+v", got)
	}
	must(t, r, "a", open{"ann"})
	must(t, r, "a", deposit{1})
	if got, want := load(t, r, "a"), (loaded{account{"ann", 1, 2}, 2}); got != want {
		t.Errorf("Load = %+v, want %+v", got, want)
	}
	for _, id := range []string{"", "a\x00b"} {
		if _, err := r.Load(t.Context(), id); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Load(%q) = %v, want invalid", id, err)
		}
	}
	if _, err := r.Load(t.Context(), "a", runner.ExpectVersion(2)); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("Load with ExpectVersion = %v, want invalid", err)
	}
}

func TestStaleReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newSpy()
		r := newAccounts(st).WithCache(runner.Cache[account]{})
		other := newAccounts(st.Store)
		must(t, r, "a", open{"ann"})
		must(t, other, "a", deposit{1})
		st.calls()
		reads := func() int {
			_, reads := st.calls()
			return len(reads)
		}
		time.Sleep(10 * time.Second)

		got := load(t, r, "a", runner.AllowStale(10*time.Second+1))
		if n := reads(); got.Version != 1 || n != 0 {
			t.Errorf("young enough: version %d after %d reads, want 1 after none", got.Version, n)
		}
		got = load(t, r, "a", runner.AnyCached())
		if n := reads(); got.Version != 1 || n != 0 {
			t.Errorf("any: version %d after %d reads, want 1 after none", got.Version, n)
		}
		got = load(t, r, "a", runner.AllowStale(10*time.Second))
		if n := reads(); got.Version != 2 || n != 1 {
			t.Errorf("too old: version %d after %d reads, want 2 after one", got.Version, n)
		}
		got = load(t, r, "a", runner.AllowStale(1))
		if n := reads(); got.Version != 2 || n != 0 {
			t.Errorf("just read: version %d after %d reads, want 2 after none", got.Version, n)
		}
		if got := load(t, r, "b", runner.AnyCached()); got.Version != 0 || reads() != 1 {
			t.Errorf("not cached: %+v without a read", got)
		}

		// The state after an append is never stale.
		must(t, other, "a", deposit{1})
		out := must(t, r, "a", drain{}, runner.AnyCached())
		checkOutcome(t, st.Store, "a", out, 2, false, withdrawn{2})
		// An append makes the cached state current again.
		time.Sleep(time.Minute)
		must(t, r, "a", deposit{1}, runner.AnyCached())
		time.Sleep(time.Second)
		reads()
		got = load(t, r, "a", runner.AllowStale(2*time.Second))
		if n := reads(); got.Version != 5 || n != 0 {
			t.Errorf("after an append: version %d after %d reads, want 5 after none", got.Version, n)
		}
	})
}

// The age of a cached state counts from before the read, however long the read took.
func TestAgeCountsFromBeforeTheRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newSpy()
		st.onRead = func(_ context.Context, _ int, do func() (store.Page, error)) (store.Page, error) {
			page, err := do()
			time.Sleep(time.Minute)
			return page, err
		}
		r := newAccounts(st).WithCache(runner.Cache[account]{})
		load(t, r, "a")
		st.calls()
		load(t, r, "a", runner.AllowStale(30*time.Second))
		if _, reads := st.calls(); len(reads) != 1 {
			t.Errorf("%d reads, want one: the cached state is a minute old", len(reads))
		}
	})
}

func TestAssumeEmpty(t *testing.T) {
	t.Parallel()
	st := newSpy()
	r := newAccounts(st)
	out := must(t, r, "a", open{"ann"}, runner.AssumeEmpty())
	checkOutcome(t, st.Store, "a", out, 1, false, opened{"ann"})
	appends, reads := st.calls()
	if len(reads) != 0 || len(appends) != 1 || appends[0].expected != store.NoStream {
		t.Errorf("appends %+v, reads %+v, want one for no stream, and none", appends, reads)
	}
	_, err := r.Handle(t.Context(), "a", open{"bob"}, runner.AssumeEmpty())
	if _, reads := st.calls(); !errors.Is(err, errOpen) || len(reads) != 1 {
		t.Errorf("Handle = %v after %d reads, want %v after one", err, len(reads), errOpen)
	}
}

func TestLoadFrom(t *testing.T) {
	t.Parallel()
	st := newSpy()
	r := newAccounts(st)
	memento := must(t, r, "a", open{"ann"}).Loaded
	must(t, r, "a", deposit{5})
	st.calls()
	if got, want := load(t, r, "a", runner.LoadFrom(memento)), (loaded{account{"ann", 5, 2}, 2}); got != want {
		t.Errorf("Load = %+v, want %+v", got, want)
	}
	if _, reads := st.calls(); len(reads) != 1 || reads[0].o.From != 2 {
		t.Errorf("reads = %+v, want one of the events after it", reads)
	}
	if got := load(t, r, "a", runner.LoadFrom(loaded{account{"eve", 1e6, 1}, 3})); got.State.Owner != "ann" || got.Version != 2 {
		t.Errorf("Load from beyond the head = %+v, want it ignored", got)
	}
	for _, opt := range []runner.Option{runner.LoadFrom(runner.Loaded[int]{}), runner.AsOf(1)} {
		if _, err := r.Handle(t.Context(), "a", deposit{1}, opt); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Handle = %v, want invalid", err)
		}
	}
}

func TestAsOf(t *testing.T) {
	t.Parallel()
	st, snaps := newSpy(), memory.New()
	plain := newAccounts(st)
	snapped := plain.WithSnapshots(runner.Snapshots[account, event]{Store: snaps, Schema: "1", Every: 10})
	must(t, plain, "a", open{"ann"})
	for i := range 30 {
		must(t, snapped, "a", deposit{i})
	}
	_, _, err := runner.Transact(t.Context(), plain, "a", func(account) (int, []event, error) {
		return 0, slices.Repeat([]event{deposited{1}}, 3000), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	events, _ := history(t, st, "a")
	for kind, r := range map[string]*accounts{"plain": plain, "snapshots": snapped} {
		for _, v := range []int{0, 1, 2, 29, 30, 31, 999, 1000, 1001, 2031, 3031} {
			want := loaded{bank.Fold(account{}, events[:v]...), uint64(v)}
			if got := load(t, r, "a", runner.AsOf(uint64(v))); got != want {
				t.Errorf("%s: Load as of %d = %+v, want %+v", kind, v, got, want)
			}
		}
		if _, err := r.Load(t.Context(), "a", runner.AsOf(3032)); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: Load as of a future version = %v, want invalid", kind, err)
		}
	}
	st.calls()
	load(t, snapped, "a", runner.AsOf(3031))
	if _, reads := st.calls(); reads[0].o.From < 30 {
		t.Errorf("Load as of a version behind the snapshot reads from %d on, want from the snapshot", reads[0].o.From)
	}
	st.onRead = func(context.Context, int, func() (store.Page, error)) (store.Page, error) {
		return store.Page{}, errDown
	}
	if _, err := plain.Load(t.Context(), "a", runner.AsOf(1)); !errors.Is(err, errDown) {
		t.Errorf("Load = %v, want %v", err, errDown)
	}
}

// TestLoadInPlace checks that a stream is folded in place if the decider can, page by
// page, and that an event that cannot be read leaves no partial state for a later load.
func TestLoadInPlace(t *testing.T) {
	t.Parallel()
	st := newSpy()
	d, panics := bank, false
	d.EvolveInPlace = func(a *account, e event) {
		*a = evolve(*a, e)
		if panics {
			panic("in place")
		}
		a.Balance++ // shows which function folded
	}
	plain := newAccounts(st)
	r := runner.New("Account", d, st, textCodec{}).WithCache(runner.Cache[account]{})
	must(t, plain, "a", open{"ann"})
	for i := range 5 {
		must(t, plain, "a", deposit{i + 1})
	}
	panics = true
	func() {
		defer func() { _ = recover() }()
		_, err := r.Load(t.Context(), "a")
		t.Errorf("Load = %v, want a panic of EvolveInPlace", err)
	}()
	panics = false
	if got := load(t, r, "a"); got.State.Balance != 15+6 || got.Version != 6 {
		t.Errorf("Load = %+v, want a balance of 21 at version 6", got)
	}
	must(t, plain, "a", deposit{1})
	if got := load(t, r, "a"); got.State.Balance != 15+6+1+1 || got.Version != 7 {
		t.Errorf("Load from the cache = %+v, want a balance of 23 at version 7", got)
	}
}

// If two options contradict each other, the later one counts.
func TestLaterOptionCounts(t *testing.T) {
	t.Parallel()
	r := newAccounts(memory.New())
	must(t, r, "a", open{"ann"}, runner.ExpectVersion(7), runner.ExpectVersion(0))
	if got := load(t, r, "a", runner.AssumeEmpty(), runner.LoadFrom(loaded{})); got.Version != 1 {
		t.Errorf("Load = %+v, want version 1", got)
	}
	if got := load(t, r, "a", runner.ExpectVersion(9), runner.AsOf(0)); got.Version != 0 {
		t.Errorf("Load = %+v, want version 0", got)
	}
}

// TestAsOfBeginsWithTheInitialState checks that a state of the past is the fold from where
// the decider starts.
func TestAsOfBeginsWithTheInitialState(t *testing.T) {
	t.Parallel()
	st := memory.New()
	must(t, newAccounts(st), "a", open{"ann"})
	must(t, newAccounts(st), "a", deposit{5})
	gift := bank
	gift.Initial = func() account { return account{Balance: 100} }
	r := runner.New("Account", gift, store.Store(st), codec.Codec[event](textCodec{}))
	for version, want := range []int{100, 100, 105} {
		if at := load(t, r, "a", runner.AsOf(uint64(version))); at.State.Balance != want {
			t.Errorf("as of version %d the balance is %d, want %d", version, at.State.Balance, want)
		}
	}
}
