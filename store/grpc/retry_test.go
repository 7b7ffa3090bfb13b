package grpc_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc"
)

// TestBackOff checks that a wait before another attempt stays within its limits, and
// that it ends with its context, not later.
func TestBackOff(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(0, 100).Draw(r, "n")
		shortest := time.Duration(rapid.IntRange(1, 1000).Draw(r, "shortest")) * time.Millisecond
		longest := shortest * time.Duration(rapid.IntRange(1, 100).Draw(r, "longest"))
		left := time.Duration(rapid.IntRange(0, 200).Draw(r, "left")) * time.Millisecond
		synctest.Test(t, func(*testing.T) {
			began := time.Now()
			if err := grpc.BackOff(context.Background(), n, shortest, longest); err != nil {
				r.Fatalf("backOff = %v", err)
			}
			most := min(longest, shortest<<min(n, 20))
			if waited := time.Since(began); waited < 1 || waited > most {
				r.Fatalf("backOff took %s, want at most %s", waited, most)
			}
			ctx, cancel := context.WithTimeout(context.Background(), left)
			defer cancel()
			began = time.Now()
			err := grpc.BackOff(ctx, n, shortest, longest)
			switch waited := time.Since(began); {
			case err == nil && waited > min(left, most):
				r.Fatalf("backOff took %s when its context had %s left", waited, left)
			case err != nil && (waited != left || !errors.Is(err, context.DeadlineExceeded)):
				r.Fatalf("backOff = %v after %s, want the error of its context after %s", err, waited, left)
			}
		})
	})
}

// TestBackOffGrows checks that waits become longer, up to a limit: the longest of many
// waits is more than half of the limit.
func TestBackOffGrows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for n, ms := range []int{10, 20, 40, 80, 100, 100} {
			most := time.Duration(ms) * time.Millisecond
			var longest time.Duration
			for range 50 {
				began := time.Now()
				if err := grpc.BackOff(t.Context(), n, 10*time.Millisecond, 100*time.Millisecond); err != nil {
					t.Fatal(err)
				}
				longest = max(longest, time.Since(began))
			}
			if longest <= most/2 || longest > most {
				t.Errorf("of 50 waits before attempt %d the longest was %s, want more than half of %s", n+1, longest, most)
			}
		}
	})
}

// TestLooksAtTheNewest uses a server that reports a duplicate id without its place. The
// client examines eight pages of the stream's newest events, and no more, because
// streams may be long.
func TestLooksAtTheNewest(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		back  int // the id belongs to this one of the newest events
		reads int64
		found uint64
	}{
		"the newest":      {1, 1, 20},
		"the eighth":      {8, 8, 13},
		"the ninth":       {9, 8, 0},
		"the very oldest": {20, 8, 0},
	} {
		srv := &scripted{foreign: newForeign().with(quirks{})}
		srv.add(t, aStream(), numbers(1, 20)...)
		srv.onAppend = func(int64, func() error) error { return status.Error(codes.AlreadyExists, "event_id exists") }
		st := open(t, listen(t, srv), grpc.PageSize(1))
		event := numbered(21 - tt.back)
		event.Data = []byte("other")
		before := srv.reads.Load()
		_, err := st.Append(t.Context(), aStream(), store.Exactly(20), []store.Event{event})
		duplicate, ok := errors.AsType[*store.DuplicateError](err)
		if !ok || duplicate.EventID != event.ID || duplicate.Version != tt.found || srv.reads.Load()-before != tt.reads {
			t.Errorf("%s: Append = %v after %d reads; want a duplicate of version %d after %d", name, err, srv.reads.Load()-before, tt.found, tt.reads)
		}
	}
	srv := &scripted{foreign: newForeign().with(quirks{})}
	srv.add(t, aStream(), numbers(1, 2)...)
	srv.onAppend = func(int64, func() error) error { return status.Error(codes.AlreadyExists, "event_id exists") }
	st := open(t, listen(t, srv), grpc.PageSize(1))
	if _, err := st.Append(t.Context(), aStream(), store.Exactly(2), numbers(9, 1)); !errors.Is(err, store.ErrDuplicate) || srv.reads.Load() != 2 {
		t.Errorf("Append of an id that another stream has = %v after %d reads, want a duplicate after one read for each event", err, srv.reads.Load())
	}
}

// TestLooksThroughEightPages searches a log for events that do not exist, on a server
// that does not support filters: one of our pages consists of eight pages of the
// server, not fewer.
func TestLooksThroughEightPages(t *testing.T) {
	t.Parallel()
	srv := &scripted{foreign: newForeign().with(quirks{})}
	srv.add(t, aStream(), numbers(1, 30)...)
	st := open(t, listen(t, srv), grpc.PageSize(3))
	page, err := st.ReadAll(t.Context(), store.LogOptions{Filter: store.Filter{EventTypes: []string{"Missing"}}})
	if err != nil || len(page.Events) != 0 || page.Next != 25 || page.End {
		t.Errorf("ReadAll = %d events, next %d, end %t, %v; want none of the first 24", len(page.Events), page.Next, page.End, err)
	}
}
