package runner_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

type snapshots = runner.Snapshots[account, event]

// Snapshot and tail equal the full fold, whatever is in the snapshot store: snapshots of
// any version and schema, garbage, and those of a longer stream.
func TestSnapshotAndTailAreTheFullFold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		st, snaps := memory.New(), &asked{Snapshots: memory.New()}
		plain := newAccounts(st)
		snapped := plain.WithSnapshots(snapshots{
			Store: snaps, Schema: "2", Every: rapid.IntRange(1, 4).Draw(t, "every"),
		})
		cached := snapped.WithCache(runner.Cache[account]{Size: 1})
		if _, err := snapped.Load(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		var all []event
		for i := range rapid.IntRange(1, 25).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0, 1, 2:
				r := rapid.SampledFrom([]*accounts{plain, snapped, cached}).Draw(t, "runner")
				out, _, err := handleAny(ctx, r, rapid.IntRange(0, 3).Draw(t, "events"), i)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, out.Events...)
			case 3:
				snap := store.Snapshot{Stream: stream("a"), Schema: snaps.schema, Data: []byte("{garbage")}
				snap.Version = rapid.Uint64Range(1, 2+uint64(len(all))*2).Draw(t, "garbage")
				if err := snaps.SaveSnapshot(ctx, snap); err != nil {
					t.Fatal(err)
				}
			case 4:
				snap := store.Snapshot{Stream: stream("a"), Schema: "1" + snaps.schema[1:], Data: []byte(`{"Owner":"eve","Balance":-1}`)}
				snap.Version = uint64(len(all) + 1)
				if err := snaps.SaveSnapshot(ctx, snap); err != nil {
					t.Fatal(err)
				}
			}
			want := loaded{bank.Fold(account{}, all...), uint64(len(all))}
			for name, r := range map[string]*accounts{"plain": plain, "snapshots": snapped, "cached": cached} {
				got, err := r.Load(ctx, "a")
				if err != nil || got != want {
					t.Fatalf("%s: Load = %+v, %v, want %+v", name, got, err, want)
				}
			}
		}
	})
}

// asked is a store of snapshots that knows which schema it was asked for last.
type asked struct {
	store.Snapshots

	schema string
}

func (s *asked) LoadSnapshot(ctx context.Context, name store.Stream, schema string) (store.Snapshot, bool, error) {
	s.schema = schema
	return s.Snapshots.LoadSnapshot(ctx, name, schema)
}

// handleAny appends n events to account "a".
func handleAny(ctx context.Context, r *accounts, n, amount int) (outcome, int, error) {
	result, out, err := runner.Transact(ctx, r, "a", func(account) (int, []event, error) {
		events := make([]event, n)
		for i := range events {
			events[i] = deposited{amount + i}
		}
		return 0, events, nil
	})
	return out, result, err
}

// spySnapshots records the versions that are saved, and can fail.
type spySnapshots struct {
	store.Snapshots
	saved []uint64
	err   error
}

func (s *spySnapshots) SaveSnapshot(ctx context.Context, snap store.Snapshot) error {
	if s.err != nil {
		return s.err
	}
	s.saved = append(s.saved, snap.Version)
	return s.Snapshots.SaveSnapshot(ctx, snap)
}

func (s *spySnapshots) LoadSnapshot(ctx context.Context, name store.Stream, schema string) (store.Snapshot, bool, error) {
	if s.err != nil {
		return store.Snapshot{}, false, s.err
	}
	return s.Snapshots.LoadSnapshot(ctx, name, schema)
}

func TestSnapshotIsUsed(t *testing.T) {
	t.Parallel()
	st, snaps := newSpy(), memory.New()
	r := newAccounts(st).WithSnapshots(snapshots{Store: snaps, Schema: "1", Every: 2})
	must(t, r, "a", open{"ann"})
	must(t, r, "a", deposit{1})
	must(t, r, "a", deposit{1})
	st.calls()
	if got := load(t, r, "a"); got != (loaded{account{"ann", 2, 3}, 3}) {
		t.Errorf("Load = %+v", got)
	}
	if _, reads := st.calls(); len(reads) != 1 || reads[0].o.From != 3 {
		t.Errorf("reads = %+v, want one from version 3", reads)
	}
}

func TestSnapshotPolicies(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		policy snapshots
		want   []uint64
	}{
		"every one":     {snapshots{Every: 1}, []uint64{1, 4, 7, 10, 13}},
		"every 5":       {snapshots{Every: 5}, []uint64{7, 10}},
		"every 100":     {snapshots{}, nil},
		"by a function": {snapshots{Every: 1, When: func(o outcome) bool { return o.Version == 7 }}, []uint64{7}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			snaps := &spySnapshots{Snapshots: memory.New()}
			tt.policy.Store, tt.policy.Schema = snaps, "1"
			r := newAccounts(memory.New()).WithSnapshots(tt.policy)
			must(t, r, "a", open{"ann"})
			for range 4 {
				if _, _, err := handleAny(t.Context(), r, 3, 1); err != nil {
					t.Fatal(err)
				}
			}
			if !slices.Equal(snaps.saved, tt.want) {
				t.Errorf("saved versions %v, want %v", snaps.saved, tt.want)
			}
		})
	}
}

// The default is a snapshot every 100 versions.
func TestSnapshotEveryHundred(t *testing.T) {
	t.Parallel()
	snaps := &spySnapshots{Snapshots: memory.New()}
	r := newAccounts(memory.New()).WithSnapshots(snapshots{Store: snaps, Schema: "1"})
	must(t, r, "a", open{"ann"})
	for range 5 {
		if _, _, err := handleAny(t.Context(), r, 45, 1); err != nil {
			t.Fatal(err)
		}
	}
	if want := []uint64{136, 226}; !slices.Equal(snaps.saved, want) {
		t.Errorf("saved versions %v, want %v", snaps.saved, want)
	}
}

// A snapshot that cannot be loaded or saved is only reported to the observer.
func TestSnapshotErrorsFailNoCommand(t *testing.T) {
	t.Parallel()
	st, seen := newSpy(), &notices{}
	r := newAccounts(st).WithObserver(seen).WithSnapshots(snapshots{
		Store: &spySnapshots{err: errDown}, Schema: "1", Every: 1,
	})
	out := must(t, r, "a", open{"ann"})
	checkOutcome(t, st, "a", out, 1, false, opened{"ann"})
	for _, kind := range []runner.Kind{runner.SnapshotMissed, runner.SnapshotSaved} {
		if got := seen.of(kind); len(got) != 1 || !errors.Is(got[0].Err, errDown) {
			t.Errorf("%v: notices %+v, want one with %v", kind, got, errDown)
		}
	}
	r = r.WithSnapshots(snapshots{
		Store: memory.New(), Schema: "1", Every: 1,
		Encode: func(account) ([]byte, error) { return nil, errDown },
		Decode: func([]byte) (account, error) { return account{}, nil },
	})
	must(t, r, "a", deposit{1})
	if got := seen.of(runner.SnapshotSaved); len(got) != 2 || !errors.Is(got[1].Err, errDown) {
		t.Errorf("notices %+v, want one that it could not be encoded", got)
	}
}

// TestSnapshotNotSaved checks that a state that would change is not saved, and that the
// next load returns it all the same.
func TestSnapshotNotSaved(t *testing.T) {
	t.Parallel()
	for name, owner := range map[string]string{"kept": "ann", "not UTF-8": "ann\xe9"} {
		seen := &notices{}
		r := newAccounts(memory.New()).WithObserver(seen).WithSnapshots(snapshots{Store: memory.New(), Schema: "1", Every: 1})
		must(t, r, "a", open{owner})
		got := seen.of(runner.SnapshotSaved)
		if len(got) != 1 || (got[0].Err == nil) != (name == "kept") {
			t.Errorf("%s: notices %+v", name, got)
		}
		if loaded := load(t, r, "a"); loaded.State.Owner != owner {
			t.Errorf("%s: loaded %+v", name, loaded)
		}
	}
}

func TestSnapshotCodec(t *testing.T) {
	t.Parallel()
	r := newAccounts(memory.New()).WithSnapshots(snapshots{
		Store: memory.New(), Schema: "1", Every: 1,
		Encode: func(a account) ([]byte, error) { return fmt.Appendf(nil, "%s %d %d", a.Owner, a.Balance, a.Moves), nil },
		Decode: func(data []byte) (a account, err error) {
			_, err = fmt.Sscan(string(data), &a.Owner, &a.Balance, &a.Moves)
			a.Balance += 1000 // visible in the result
			return a, err
		},
	})
	must(t, r, "a", open{"ann"})
	if got := load(t, r, "a"); got != (loaded{account{"ann", 1000, 1}, 1}) {
		t.Errorf("Load = %+v, want the result of Decode", got)
	}
}

type list struct {
	Next *list
	Due  map[time.Month]time.Time
	Sum  *big.Int
	Raw  [][]byte
}

func TestSnapshotRefusesWhatJSONLoses(t *testing.T) {
	t.Parallel()
	loses[struct{ name string }](t, "JSON loses the field name")
	loses[struct {
		A []struct {
			B int `json:"-"`
		}
	}](t, "JSON loses the field A.B")
	loses[struct{ X map[string]error }](t, "JSON cannot read back the field X")
	loses[struct {
		time.Time
		Balance int
	}](t, "JSON loses the field Balance")
	loses[map[[2]int]int](t, "keys are of type [2]int")
	loses[struct{ C complex64 }](t, "JSON cannot write the field C")
	withSnapshots[list](runner.Snapshots[list, event]{Store: memory.New(), Schema: "1"})
	tests := map[string]snapshots{
		"store":  {Schema: "1"},
		"schema": {Store: memory.New()},
		"every":  {Store: memory.New(), Schema: "1", Every: -1},
		"decode": {Store: memory.New(), Schema: "1", Encode: func(account) ([]byte, error) { return nil, nil }},
	}
	for name, s := range tests {
		if text := panics(t, func() { withSnapshots(s) }); !strings.HasPrefix(text, "runner: WithSnapshots: ") {
			t.Errorf("%s: panic %q", name, text)
		}
	}
}

func loses[S any](t *testing.T, want string) {
	t.Helper()
	text := panics(t, func() { withSnapshots(runner.Snapshots[S, event]{Store: memory.New(), Schema: "1"}) })
	if !strings.Contains(text, want) || !strings.Contains(text, "set Encode and Decode") {
		t.Errorf("panic %q, want %q and what to do", text, want)
	}
}

func withSnapshots[S any](s runner.Snapshots[S, event]) {
	d := decider.New(func(command, S) ([]event, error) { return nil, nil }, func(s S, _ event) S { return s })
	runner.New("A", d, memory.New(), textCodec{}).WithSnapshots(s)
}
