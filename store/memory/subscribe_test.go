package memory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// follower is a loop over a subscription that records what it receives. Read its fields
// only after the loop has ended, or while all goroutines are blocked.
type follower struct {
	positions []uint64 // positions of the events
	nexts     []uint64 // Next of each page
	empty     int      // number of empty pages
	caughtUp  int      // number of pages with End set
	err       error    // the error that ended the loop
}

// follow runs the loop until the subscription ends.
func (f *follower) follow(ctx context.Context, m *memory.Store, o store.LogOptions) {
	for page, err := range m.Subscribe(ctx, o) {
		if err != nil {
			f.err = err
			continue // the error is the last item
		}
		for i := range page.Events {
			f.positions = append(f.positions, page.Events[i].Position)
		}
		f.nexts = append(f.nexts, page.Next)
		if len(page.Events) == 0 {
			f.empty++
		}
		if page.End {
			f.caughtUp++
		}
	}
}

// run calls f in a goroutine of the bubble, and waits until all goroutines are blocked.
func run(all *sync.WaitGroup, f func()) {
	all.Go(f)
	synctest.Wait()
}

func upTo(n uint64) (positions []uint64) {
	for p := uint64(1); p <= n; p++ {
		positions = append(positions, p)
	}
	return positions
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		m, all, f := memory.New(), sync.WaitGroup{}, follower{}
		run(&all, func() { f.follow(ctx, m, store.LogOptions{}) })
		if f.caughtUp != 1 || f.empty != 1 {
			t.Errorf("an empty log yields %d pages, %d of them with End set", len(f.nexts), f.caughtUp)
		}
		for i := range 3 {
			mustAppend(t, m, account("a"), some(strconv.Itoa(i), 2)...)
			synctest.Wait()
			if want := upTo(uint64(2 * (i + 1))); !slices.Equal(f.positions, want) || f.caughtUp != i+2 {
				t.Errorf("after append %d: %v, caught up %d times, want %v", i, f.positions, f.caughtUp, want)
			}
		}
		if f.empty != 1 {
			t.Errorf("%d empty pages, want only the first", f.empty)
		}
		cancel()
		all.Wait()
		if !errors.Is(f.err, context.Canceled) {
			t.Errorf("the last error is %v, want context.Canceled", f.err)
		}
	})
}

func TestSubscribeFrom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, all, ahead, filtered := memory.New(), sync.WaitGroup{}, follower{}, follower{}
		run(&all, func() { ahead.follow(t.Context(), m, store.LogOptions{From: 5}) })
		run(&all, func() {
			filtered.follow(t.Context(), m, store.LogOptions{Filter: store.Filter{IDPrefix: "b"}})
		})
		mustAppend(t, m, account("a"), some("1", 3)...)
		synctest.Wait()
		mustAppend(t, m, account("b"), some("2", 3)...)
		synctest.Wait()
		if want := []uint64{5, 6}; !slices.Equal(ahead.positions, want) || !slices.Equal(ahead.nexts, []uint64{5, 7}) {
			t.Errorf("from 5: %v in pages with Next %v, want %v", ahead.positions, ahead.nexts, want)
		}
		if want := []uint64{4, 5, 6}; !slices.Equal(filtered.positions, want) ||
			!slices.Equal(filtered.nexts, []uint64{1, 4, 7}) {
			t.Errorf("filtered: %v in pages with Next %v, want %v", filtered.positions, filtered.nexts, want)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		all.Wait()
		for _, f := range []follower{ahead, filtered} {
			if !errors.Is(f.err, store.ErrClosed) {
				t.Errorf("after Close the last error is %v, want ErrClosed", f.err)
			}
		}
	})
}

// TestSubscribeModel runs subscriptions that begin anywhere, before and during appends.
// They stop anywhere and resume at the Next of their last page.
func TestSubscribeModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		filter := store.Filter{IDPrefix: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "prefix")}
		limit := rapid.IntRange(0, 5).Draw(t, "limit")
		sizes := rapid.SliceOfN(rapid.IntRange(1, 400), 1, 10).Draw(t, "batches")
		breakAfter := rapid.IntRange(1, 3).Draw(t, "pages before a break")
		m := memory.New()
		var writing sync.WaitGroup
		writing.Go(func() {
			for i, n := range sizes {
				_, err := m.Append(context.Background(), account([]string{"a", "b"}[i%2]), store.Any, some(strconv.Itoa(i), n))
				if err != nil {
					t.Errorf("Append() = %v", err)
				}
			}
		})
		head := uint64(0)
		for _, n := range sizes {
			head += uint64(n)
		}
		var got []store.Recorded
		for from := uint64(0); from <= head; {
			pages := 0
			for page, err := range m.Subscribe(context.Background(), store.LogOptions{From: from, Limit: limit, Filter: filter}) {
				if err != nil {
					t.Fatalf("Subscribe() = %v", err)
				}
				if limit > 0 && len(page.Events) > limit || len(page.Events) > 256 {
					t.Fatalf("a page has %d events", len(page.Events))
				}
				got = append(got, page.Events...)
				from = page.Next
				if pages++; pages == breakAfter || from > head {
					break
				}
			}
		}
		writing.Wait()
		var log []store.Recorded
		for from := uint64(1); from <= head; {
			page := mustReadAll(t, m, store.LogOptions{From: from})
			log, from = append(log, page.Events...), page.Next
		}
		want := matching(filter, log)
		if len(got) != len(want) {
			t.Fatalf("%d events, want %d", len(got), len(want))
		}
		for i := range got {
			if got[i].Position != want[i].Position || got[i].ID != want[i].ID {
				t.Fatalf("event %d is at %d, want %d", i, got[i].Position, want[i].Position)
			}
		}
	})
}

// TestSubscribers runs a thousand subscriptions, some of them blocked in their loops.
// The others receive every event, appends do not wait for subscribers, and all end with
// their context.
func TestSubscribers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n, stuck, appends = 1000, 10, 20
		ctx, cancel := context.WithCancel(t.Context())
		m, all := memory.New(), sync.WaitGroup{}
		mustAppend(t, m, account("a"), some("before", 700)...)
		followers, release := make([]follower, n), make(chan struct{})
		for i := range followers {
			all.Go(func() {
				if i < stuck {
					for _, err := range m.Subscribe(ctx, store.LogOptions{Limit: 1}) {
						if <-release; err != nil {
							t.Errorf("Subscribe() = %v", err)
						}
						break
					}
				}
				followers[i].follow(ctx, m, store.LogOptions{Limit: i})
			})
		}
		for i := range appends {
			mustAppend(t, m, account(strconv.Itoa(i%3)), some(strconv.Itoa(i), 1+i%3)...)
			if i%2 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		want := upTo(mustReadAll(t, m, store.LogOptions{}).Head)
		check := func(followers []follower) {
			t.Helper()
			for i := range followers {
				if !slices.Equal(followers[i].positions, want) {
					t.Fatalf("follower %d had %d events, want %d", i, len(followers[i].positions), len(want))
				}
			}
		}
		check(followers[stuck:])
		close(release)
		synctest.Wait()
		check(followers[:stuck])
		cancel()
		all.Wait() // the bubble fails if a goroutine is left
		for i := range followers {
			if !errors.Is(followers[i].err, context.Canceled) {
				t.Fatalf("follower %d ended with %v", i, followers[i].err)
			}
		}
	})
}

// TestSubscribeUnderLoad runs writers and subscribers at full speed, without a bubble.
// Nothing may be lost at the moment when catching up turns into waiting.
func TestSubscribeUnderLoad(t *testing.T) {
	t.Parallel()
	const writers, appends, subscribers = 3, 400, 8
	m, all := memory.New(), sync.WaitGroup{}
	for w := range writers {
		all.Go(func() {
			for i := range appends {
				_, err := m.Append(context.Background(), account(strconv.Itoa(w)), store.Any, some(fmt.Sprintf("%d-%d", w, i), 1))
				if err != nil {
					t.Errorf("Append() = %v", err)
				}
			}
		})
	}
	for i := range subscribers {
		all.Go(func() {
			seen := uint64(0)
			for page, err := range m.Subscribe(context.Background(), store.LogOptions{Limit: i}) {
				if err != nil {
					t.Errorf("Subscribe() = %v", err)
				}
				for j := range page.Events {
					if seen++; page.Events[j].Position != seen {
						t.Errorf("position %d after %d", page.Events[j].Position, seen-1)
						return
					}
				}
				if seen == writers*appends {
					return
				}
			}
		})
	}
	all.Wait()
}

// TestSubscribeInALoop ends subscriptions in different ways from within the loop body.
func TestSubscribeInALoop(t *testing.T) {
	t.Parallel()
	m := memory.New()
	mustAppend(t, m, account("a"), some("e", 1)...)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not leave the loop")
			}
		}()
		for _, err := range m.Subscribe(t.Context(), store.LogOptions{}) {
			if err == nil {
				panic("in the loop body")
			}
		}
	}()
	var last error
	for _, err := range m.Subscribe(t.Context(), store.LogOptions{}) {
		mustAppendUnlessClosed(t, m)
		if err == nil {
			err = m.Close()
		}
		if err != nil {
			last = err
		}
	}
	if !errors.Is(last, store.ErrClosed) {
		t.Errorf("after Close in the body the loop ended with %v, want ErrClosed", last)
	}
}

// mustAppendUnlessClosed appends from within a loop, where the store holds no lock.
func mustAppendUnlessClosed(t *testing.T, m *memory.Store) {
	t.Helper()
	_, err := m.Append(t.Context(), account("b"), store.Any, some(store.NewID(), 1))
	if err != nil && !errors.Is(err, store.ErrClosed) {
		t.Errorf("Append() in the loop = %v", err)
	}
}
