package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// grow returns a store whose account stream has n events.
func grow(t rapid.TB, n int) store.Store {
	t.Helper()
	st := memory.New()
	for version := range n {
		event := store.Event{ID: store.NewID(), Type: fmt.Sprint("T", version+1)}
		if _, err := st.Append(context.Background(), account, store.Any, []store.Event{event}); err != nil {
			t.Fatal(err)
		}
	}
	return st
}

// TestEvents checks that Events yields every event from a version on exactly once, over
// as many pages as it takes, and stops when the loop does.
func TestEvents(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 2500).Draw(t, "events")
		from := rapid.IntRange(0, n+2).Draw(t, "from")
		most := rapid.IntRange(1, n+3).Draw(t, "most")
		want := max(from, 1)
		seen := 0
		for event, err := range store.Events(context.Background(), grow(t, n), account, uint64(from)) {
			if err != nil {
				t.Fatal(err)
			}
			if event.Version != uint64(want+seen) {
				t.Fatalf("event %d has version %d, want %d", seen, event.Version, want+seen)
			}
			if seen++; seen == most {
				break
			}
		}
		if all := max(0, n-want+1); seen != min(all, most) {
			t.Fatalf("saw %d events of %d from %d on, and stopped at %d", seen, n, from, most)
		}
	})
}

// TestEventsOfManyPages checks that the pages follow each other.
func TestEventsOfManyPages(t *testing.T) {
	t.Parallel()
	const n = 2*store.DefaultLimit + 1
	version := uint64(0)
	for event, err := range store.Events(t.Context(), grow(t, n), account, 0) {
		if version++; err != nil || event.Version != version {
			t.Fatalf("event %d has version %d, %v", version, event.Version, err)
		}
	}
	if version != n {
		t.Errorf("saw %d events, want %d", version, n)
	}
}

func TestEventsError(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	times := 0
	for _, err := range store.Events(ctx, grow(t, 3), account, 0) {
		if times++; !errors.Is(err, context.Canceled) {
			t.Errorf("yielded %v, want %v", err, context.Canceled)
		}
	}
	if times != 1 {
		t.Errorf("yielded %d times, want once", times)
	}
}

// ExampleEvents reads a stream page by page; the loop does not see the pages.
func ExampleEvents() {
	ctx := context.Background()
	st := memory.New()
	account := store.Stream{Type: "Account", ID: "acc-1"}
	_, err := st.Append(ctx, account, store.NoStream, []store.Event{
		{ID: store.NewID(), Type: "Opened"},
		{ID: store.NewID(), Type: "Deposited", Data: []byte(`{"cents":500}`)},
	})
	fmt.Println(err)

	for event, err := range store.Events(ctx, st, account, 0) {
		fmt.Println(event.Version, event.Type, string(event.Data), err)
	}
	// Output:
	// <nil>
	// 1 Opened  <nil>
	// 2 Deposited {"cents":500} <nil>
}
