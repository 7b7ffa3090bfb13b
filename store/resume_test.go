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

// logOf returns a log whose events have these ids, in one stream.
func logOf(t rapid.TB, ids ...string) store.Log {
	t.Helper()
	st := memory.New()
	for _, id := range ids {
		if _, err := st.Append(context.Background(), account, store.Any, []store.Event{{ID: id, Type: "T"}}); err != nil {
			t.Fatal(err)
		}
	}
	return st
}

// TestResume checks that a log accepts a checkpoint made on another log exactly if both
// have the same event at its position.
func TestResume(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ids := []string{"a", "b", "c", "d", "e"}
		before := rapid.Permutation(ids).Draw(t, "before")
		after := rapid.Permutation(ids).Draw(t, "after")[:rapid.IntRange(0, len(ids)).Draw(t, "length")]
		position := rapid.IntRange(0, len(ids)).Draw(t, "position")
		c := store.Checkpoint{Position: uint64(position)}
		found := ""
		if position > 0 {
			c.EventID = before[position-1]
			if position <= len(after) {
				found = after[position-1]
			}
		}
		from, err := store.Resume(context.Background(), logOf(t, after...), c)
		if found == c.EventID {
			if want := uint64(min(1, position) * (position + 1)); err != nil || from != want {
				t.Fatalf("Resume(%v) = %d, %v, want %d", c, from, err, want)
			}
			return
		}
		want := store.DivergedError{Checkpoint: c, Found: found, Head: uint64(len(after))}
		var diverged *store.DivergedError
		if !errors.As(err, &diverged) || *diverged != want || from != 0 {
			t.Fatalf("Resume(%v) = %d, %v, want 0 and %v", c, from, err, &want)
		}
	})
}

// TestResumeError checks that Resume does not mistake an error of the log for a
// diverged log.
func TestResumeError(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := store.Resume(ctx, logOf(t, "a"), store.Checkpoint{Position: 1, EventID: "a"})
	if !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrLogDiverged) {
		t.Errorf("Resume = %v, want %v alone", err, context.Canceled)
	}
}

// A consumer continues after its checkpoint, unless the log has been replaced by
// another one.
func ExampleResume() {
	ctx := context.Background()
	st := memory.New()
	account := store.Stream{Type: "Account", ID: "acc-1"}
	_, err := st.Append(ctx, account, store.NoStream, []store.Event{{ID: "e-1", Type: "Opened"}})
	fmt.Println(err)
	c := store.Checkpoint{Position: 1, EventID: "e-1"}
	fmt.Println(store.Resume(ctx, st, c))

	restored := memory.New() // from a backup that is older
	_, err = store.Resume(ctx, restored, c)
	fmt.Println(errors.Is(err, store.ErrLogDiverged))
	// Output:
	// <nil>
	// 2 <nil>
	// true
}
