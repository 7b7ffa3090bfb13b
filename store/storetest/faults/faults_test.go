package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest/faults"
)

var stream = store.Stream{Type: "Account", ID: "acc-1"}

func event(id string) []store.Event {
	return []store.Event{{ID: id, Type: "Deposited", Data: []byte(id)}}
}

// ids returns the ids of the events in the stream.
func ids(t rapid.TB, s store.Store) []string {
	t.Helper()
	var ids []string
	for e, err := range store.Events(context.Background(), s, stream, 0) {
		if err != nil {
			t.Fatalf("Events(%s) = %v", stream, err)
		}
		ids = append(ids, e.ID)
	}
	return ids
}

func wantIDs(t rapid.TB, s store.Store, want ...string) {
	t.Helper()
	if got := ids(t, s); !slices.Equal(got, want) {
		t.Errorf("the stream has the events %q, want %q", got, want)
	}
}

func wantInjected(t rapid.TB, err error) {
	t.Helper()
	if !errors.Is(err, faults.ErrInjected) || store.Definite(err) {
		t.Errorf("the error is %v, want ErrInjected, not definite", err)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	ctx := t.Context()

	t.Run("None changes nothing", func(t *testing.T) {
		t.Parallel()
		f := faults.Wrap(memory.New(), 1, faults.Rate{})
		f.Next(faults.None)
		for i := range 3 {
			if _, err := f.Append(ctx, stream, store.Exactly(uint64(i)), event(strconv.Itoa(i))); err != nil {
				t.Fatalf("Append(%d) = %v, want nil", i, err)
			}
		}
		wantIDs(t, f, "0", "1", "2")
	})

	t.Run("Down does nothing", func(t *testing.T) {
		t.Parallel()
		m := memory.New()
		f := faults.Wrap(m, 1, faults.Rate{})
		f.Next(faults.Down)
		_, err := f.Append(ctx, stream, store.NoStream, event("a"))
		wantInjected(t, err)
		f.Land()
		wantIDs(t, m)
	})

	t.Run("Lost happens", func(t *testing.T) {
		t.Parallel()
		m := memory.New()
		f := faults.Wrap(m, 1, faults.Rate{})
		f.Next(faults.Lost)
		got, err := f.Append(ctx, stream, store.NoStream, event("a"))
		wantInjected(t, err)
		if got != (store.Appended{}) {
			t.Errorf("a lost Append = %+v, want nothing", got)
		}
		wantIDs(t, m, "a")
	})

	t.Run("Late happens when it lands", func(t *testing.T) {
		t.Parallel()
		m := memory.New()
		f := faults.Wrap(m, 1, faults.Rate{})
		f.Next(faults.Late, faults.Late)
		batch := event("a")
		short, cancel := context.WithCancel(ctx)
		_, err := f.Append(short, stream, store.Any, batch)
		wantInjected(t, err)
		_, err = f.Append(ctx, stream, store.Any, event("b"))
		wantInjected(t, err)
		cancel()               // a caller that has given up can no longer stop the append
		batch[0].Data[0] = 'x' // and may reuse its memory
		for range 10 {
			wantIDs(t, f)
		}
		f.Land()
		f.Land()
		wantIDs(t, m, "a", "b")
		page, err := m.Read(ctx, stream, store.ReadOptions{})
		if err != nil || string(page.Events[0].Data) != "a" {
			t.Errorf("Read() = %q, %v, want the data at the time of the append", page.Events[0].Data, err)
		}
	})

	t.Run("a random Late lands before one of the next four calls", func(t *testing.T) {
		t.Parallel()
		seen := map[int]bool{}
		for seed := range uint64(40) {
			f := faults.Wrap(memory.New(), seed, faults.Rate{Late: 1})
			_, err := f.Append(ctx, stream, store.NoStream, event("a"))
			wantInjected(t, err)
			calls := 1
			for len(ids(t, f)) == 0 && calls <= 4 {
				calls++
			}
			seen[calls] = true
		}
		for calls := range 6 {
			if seen[calls] != (1 <= calls && calls <= 4) {
				t.Errorf("landed before calls %v, want 1 to 4", seen)
			}
		}
	})

	t.Run("Refuse is a real conflict", func(t *testing.T) {
		t.Parallel()
		m := memory.New()
		f := faults.Wrap(m, 1, faults.Rate{})
		f.Next(faults.Refuse, faults.Refuse)
		_, err := f.Append(ctx, stream, store.NoStream, event("a"))
		var conflict *store.ConflictError
		if !errors.As(err, &conflict) || conflict.Actual != 1 {
			t.Errorf("a refused Append = %v, want a conflict with version 1", err)
		}
		if got := ids(t, m); len(got) != 1 || got[0] == "a" {
			t.Errorf("the stream has the events %q, want the one of the other writer", got)
		}
		if _, err := f.Append(ctx, stream, store.Any, event("b")); err != nil {
			t.Errorf("Append(Any) = %v, want nil: it cannot conflict", err)
		}
	})

	t.Run("Refuse calls Rival", func(t *testing.T) {
		t.Parallel()
		m := memory.New()
		f := faults.Wrap(m, 1, faults.Rate{Rival: func(ctx context.Context, s store.Stream) error {
			_, err := m.Append(ctx, s, store.NoStream, event("rival"))
			return err
		}})
		f.Next(faults.Refuse, faults.Refuse)
		for range 2 {
			if _, err := f.Append(ctx, stream, store.NoStream, event("a")); !errors.Is(err, store.ErrConflict) {
				t.Errorf("a refused Append = %v, want a conflict", err)
			}
		}
		wantIDs(t, m, "rival")
	})

	t.Run("faults are as frequent as the rate says", func(t *testing.T) {
		t.Parallel()
		f := faults.Wrap(memory.New(), 1, faults.Rate{
			Down: 0.1, Lost: 0.1, Late: 0.2, Slow: 0.2, Refuse: 0.1, Delay: time.Nanosecond,
		})
		const calls = 2000
		for i := range calls {
			_, err := f.Append(ctx, stream, store.Any, event(strconv.Itoa(i)))
			if err != nil {
				wantInjected(t, err)
			}
		}
		want := map[faults.Fault]float64{
			faults.None: 0.3, faults.Down: 0.1, faults.Lost: 0.1, faults.Late: 0.2, faults.Slow: 0.2, faults.Refuse: 0.1,
		}
		for fault, share := range want {
			if got := float64(f.Count(fault)) / calls; math.Abs(got-share) > 0.05 {
				t.Errorf("the share of %s is %.2f, want %.2f", fault, got, share)
			}
		}
	})

	t.Run("a read can be Down", func(t *testing.T) {
		t.Parallel()
		f := faults.Wrap(memory.New(), 1, faults.Rate{})
		f.NextRead(faults.None, faults.Down)
		for i, want := range []error{nil, faults.ErrInjected, nil} {
			if _, err := f.Read(ctx, stream, store.ReadOptions{}); !errors.Is(err, want) {
				t.Errorf("Read() %d = %v, want %v", i, err, want)
			}
		}
		if got := f.Count(faults.Down); got != 1 {
			t.Errorf("Count(Down) = %d, want 1", got)
		}
	})

	t.Run("a read cannot be Late", func(t *testing.T) {
		t.Parallel()
		defer func() {
			if recover() == nil {
				t.Error("NextRead(Late) did not panic")
			}
		}()
		faults.Wrap(memory.New(), 1, faults.Rate{}).NextRead(faults.Late)
	})
}

func TestFaultsSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = time.Second
		var before, after int
		for seed := range uint64(20) {
			m := memory.New()
			f := faults.Wrap(m, seed, faults.Rate{Delay: most})
			f.Next(faults.Slow)
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
			_, err := f.Append(ctx, stream, store.NoStream, event("a"))
			cancel()
			if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != time.Nanosecond {
				t.Fatalf("a slow Append with a deadline = %v after %v, want DeadlineExceeded at once", err, took)
			}
			if len(ids(t, m)) == 0 {
				before++
			} else {
				after++
			}

			f.NextRead(faults.Slow)
			start = time.Now()
			if _, err := f.Read(t.Context(), stream, store.ReadOptions{}); err != nil {
				t.Fatalf("a slow Read = %v, want nil", err)
			}
			if took := time.Since(start); took <= 0 || took > most {
				t.Errorf("a slow Read took %v, want at most %v", took, most)
			}
		}
		if before == 0 || after == 0 {
			t.Errorf("%d appends were delayed before they happened and %d after, want both", before, after)
		}
	})
}

// The behavior of a Faulty depends only on its seed and the order of the calls, and its
// results agree with the stream.
func TestFaultsProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		share := rapid.Float64Range(0, 0.2)
		rate := faults.Rate{
			Down: share.Draw(t, "down"), Lost: share.Draw(t, "lost"), Late: share.Draw(t, "late"),
			Slow: share.Draw(t, "slow"), Refuse: share.Draw(t, "refuse"), Delay: time.Nanosecond,
		}
		rate.Rival = func(context.Context, store.Stream) error { return nil }
		calls := rapid.SliceOfN(rapid.Bool(), 1, 40).Draw(t, "appends")
		first := run(t, seed, rate, calls)
		if again := run(t, seed, rate, calls); !slices.Equal(first, again) {
			t.Fatalf("the same seed gave\n%q, then\n%q", first, again)
		}
	})
}

// run makes calls, where true is an append, and returns their outcomes.
func run(t *rapid.T, seed uint64, rate faults.Rate, calls []bool) (trace []string) {
	m := memory.New()
	f := faults.Wrap(m, seed, rate)
	var sure, unsure []string
	for i, isAppend := range calls {
		if !isAppend {
			page, err := f.Read(context.Background(), stream, store.ReadOptions{})
			trace = append(trace, fmt.Sprint(len(page.Events), err))
			continue
		}
		id := strconv.Itoa(i)
		_, err := f.Append(context.Background(), stream, store.Any, event(id))
		trace = append(trace, fmt.Sprint(err))
		if err == nil {
			sure = append(sure, id)
		} else {
			wantInjected(t, err)
			unsure = append(unsure, id)
		}
	}
	landed := ids(t, m)
	f.Land()
	all := ids(t, m)
	for _, id := range sure {
		if !slices.Contains(landed, id) {
			t.Fatalf("the append of %s succeeded, but the stream has %q", id, landed)
		}
	}
	happened := len(sure) + f.Count(faults.Lost) + f.Count(faults.Late)
	if len(all) != happened || happened+f.Count(faults.Down) < len(sure)+len(unsure) {
		t.Fatalf("%d appends happened: %q, want %d", len(all), all, happened)
	}
	return append(trace, fmt.Sprint(all))
}

func TestFaultsCapabilities(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	open := func(rate faults.Rate) (*memory.Store, *faults.Faulty) {
		m := memory.New()
		if _, err := m.Append(ctx, stream, store.NoStream, event("a")); err != nil {
			t.Fatalf("Append() = %v", err)
		}
		return m, faults.Wrap(m, 1, rate)
	}

	t.Run("a log can be Down", func(t *testing.T) {
		t.Parallel()
		_, f := open(faults.Rate{})
		log := f.Store().(store.Log) //nolint:errcheck // a panic says it all
		f.NextRead(faults.Down, faults.Down, faults.None, faults.Down)
		_, err := log.ReadAll(ctx, store.LogOptions{})
		wantInjected(t, err)
		_, err = log.Head(ctx)
		wantInjected(t, err)
		if head, err := log.Head(ctx); head != 1 || err != nil {
			t.Errorf("Head() = %d, %v, want 1", head, err)
		}
		for page, err := range log.Subscribe(ctx, store.LogOptions{}) {
			wantInjected(t, err)
			if len(page.Events) > 0 {
				t.Errorf("Subscribe() yields %v with its error, want no events", page.Events)
			}
		}
		for page, err := range log.Subscribe(ctx, store.LogOptions{}) {
			if err != nil || len(page.Events) != 1 {
				t.Errorf("Subscribe() yields %v, %v, want one event", page.Events, err)
			}
			break
		}
	})

	t.Run("a save can be Lost", func(t *testing.T) {
		t.Parallel()
		m, f := open(faults.Rate{Lost: 1})
		s := f.Store().(interface { //nolint:errcheck // a panic says it all
			store.Snapshots
			store.Checkpoints
		})
		wantInjected(t, s.SaveSnapshot(ctx, store.Snapshot{Stream: stream, Schema: "1", Version: 1}))
		if _, ok, err := m.LoadSnapshot(ctx, stream, "1"); !ok || err != nil {
			t.Errorf("LoadSnapshot() = %v, %v, want the one whose result was lost", ok, err)
		}
		to := store.Checkpoint{Position: 1, EventID: "a"}
		wantInjected(t, s.SaveCheckpoint(ctx, "view", store.Checkpoint{}, to))
		if got, err := m.LoadCheckpoint(ctx, "view"); got != to || err != nil {
			t.Errorf("LoadCheckpoint() = %v, %v, want the one whose result was lost", got, err)
		}
	})

	t.Run("a claim can be Lost, Late and Down", func(t *testing.T) {
		t.Parallel()
		m, f := open(faults.Rate{})
		c := f.Store().(store.Claims) //nolint:errcheck // a panic says it all
		claim := func(n string) error {
			_, err := c.AppendClaiming(ctx, stream, store.Any, event(n), []store.Claim{{Key: n}})
			return err
		}
		f.Next(faults.Lost, faults.Late, faults.Down, faults.None)
		wantInjected(t, claim("lost"))
		wantInjected(t, claim("late"))
		wantInjected(t, claim("down"))
		wantHolder(t, m, "late", false)
		f.Land()
		if err := claim("well"); err != nil {
			t.Errorf("AppendClaiming() = %v", err)
		}
		wantIDs(t, m, "a", "lost", "late", "well")
		for key, held := range map[string]bool{"lost": true, "late": true, "down": false, "well": true} {
			wantHolder(t, m, key, held)
		}
		f.NextRead(faults.Down)
		_, held, err := c.Holder(ctx, "well")
		if wantInjected(t, err); held {
			t.Error("Holder() returned true and an error")
		}
		wantHolder(t, c, "well", true)
	})

	t.Run("Refuse gives a claim a real conflict", func(t *testing.T) {
		t.Parallel()
		m, f := open(faults.Rate{})
		c := f.Store().(store.Claims) //nolint:errcheck // a panic says it all
		f.Next(faults.Refuse)
		_, err := c.AppendClaiming(ctx, stream, store.Exactly(1), event("b"), []store.Claim{{Key: "b"}})
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("AppendClaiming() = %v, want ErrConflict", err)
		}
		wantHolder(t, m, "b", false)
	})

	t.Run("a lease can be Lost and Down", func(t *testing.T) {
		t.Parallel()
		m, f := open(faults.Rate{Lost: 1})
		lost := f.Store().(store.Leases) //nolint:errcheck // a panic says it all
		got, err := lost.AcquireLease(ctx, "view", "a", time.Hour)
		if wantInjected(t, err); got != (store.Lease{}) {
			t.Errorf("AcquireLease() = %v and an error", got)
		}
		lease, err := m.AcquireLease(ctx, "view", "a", time.Hour)
		if err != nil || lease.Fence != 1 {
			t.Fatalf("AcquireLease() = %v, %v, want it extended: only the result was lost", lease, err)
		}
		down := faults.Wrap(m, 1, faults.Rate{Down: 1}).Store().(store.Leases) //nolint:errcheck // a panic says it all
		wantInjected(t, down.ReleaseLease(ctx, lease))
		if _, err := m.AcquireLease(ctx, "view", "b", time.Hour); !errors.Is(err, store.ErrLeaseHeld) {
			t.Errorf("AcquireLease() by another = %v, want ErrLeaseHeld: the release was down", err)
		}
		wantInjected(t, lost.ReleaseLease(ctx, lease))
		if _, err := m.AcquireLease(ctx, "view", "b", time.Hour); err != nil {
			t.Errorf("AcquireLease() by another = %v, want it granted: only the result of the release was lost", err)
		}
	})

	t.Run("a finder can be Down", func(t *testing.T) {
		t.Parallel()
		_, f := open(faults.Rate{Down: 1})
		finder := f.Store().(store.Finder) //nolint:errcheck // a panic says it all
		_, err := finder.ListStreams(ctx, store.StreamsOptions{})
		wantInjected(t, err)
		_, err = finder.StreamTypes(ctx)
		wantInjected(t, err)
		got, found, err := finder.FindEvent(ctx, "a")
		if wantInjected(t, err); found || got.ID != "" {
			t.Errorf("FindEvent() = %v, %t and an error", got, found)
		}
	})

	t.Run("snapshots and checkpoints can be Down", func(t *testing.T) {
		t.Parallel()
		_, f := open(faults.Rate{Down: 1})
		s := f.Store().(interface { //nolint:errcheck // a panic says it all
			store.Snapshots
			store.Checkpoints
		})
		wantInjected(t, s.SaveSnapshot(ctx, store.Snapshot{Stream: stream, Schema: "1", Version: 1}))
		_, _, err := s.LoadSnapshot(ctx, stream, "1")
		wantInjected(t, err)
		_, err = s.LoadCheckpoint(ctx, "view")
		wantInjected(t, err)
		f.NextRead(faults.None)
		if _, ok, err := s.LoadSnapshot(ctx, stream, "1"); ok || err != nil {
			t.Errorf("LoadSnapshot() = %v, %v, want none: the save was down", ok, err)
		}
	})
}

func wantHolder(t rapid.TB, c store.Claims, key string, want bool) {
	t.Helper()
	if _, held, err := c.Holder(context.Background(), key); held != want || err != nil {
		t.Errorf("Holder(%q) = %v, %v, want %v", key, held, err, want)
	}
}

func ExampleWrap() {
	ctx := context.Background()
	st := faults.Wrap(memory.New(), 1, faults.Rate{})
	stream := store.Stream{Type: "Account", ID: "acc-1"}
	opened := []store.Event{{ID: "1", Type: "Opened"}}

	st.Next(faults.Lost)
	_, err := st.Append(ctx, stream, store.NoStream, opened)
	fmt.Println(err)
	again, err := st.Append(ctx, stream, store.NoStream, opened)
	fmt.Println(again.Version, again.Replayed, err)
	// Output:
	// faults: injected fault: lost
	// 1 true <nil>
}
