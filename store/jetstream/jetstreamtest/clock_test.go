//go:build unix

package jetstreamtest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jetstream"
)

// TestClocks runs three servers, two of which have clocks that are minutes wrong. What
// is recorded must not depend on that, whoever leads, and two owners of a lease must
// have different fences.
func TestClocks(t *testing.T) {
	t.Parallel()
	if !canSetClock {
		t.Skip("NOT TESTED except on Linux for amd64: servers whose clocks differ")
	}
	c := startNodes(t, servers, func(i int, s *childSettings) {
		s.Clock = time.Duration(i-1) * 10 * time.Minute
	})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	w := newWorkload(ctx, t, c)
	w.await(t, -1)
	for range 1 + 3*failovers() {
		stepDown(ctx, t, c, "EV_evolve")
		w.await(t, -1)
	}
	for range failovers() {
		killLeader(t, c, w)
	}
	checkLease(ctx, t, c, w.stores[0])
	w.check(ctx, t)
	checkTimes(ctx, t, w.stores[0])
}

// stepDown makes another server the leader of a stream.
func stepDown(ctx context.Context, t *testing.T, c *nodes, stream string) {
	t.Helper()
	nc, err := nats.Connect(c.urls())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	before := c.leader(t, stream)
	if _, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+stream, nil); err != nil {
		t.Fatal(err)
	}
	for c.leader(t, stream) == before && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
}

// checkLease lets two owners compete for a lease, while one server after another leads.
func checkLease(ctx context.Context, t *testing.T, c *nodes, st *jetstream.Store) {
	t.Helper()
	const stream = "EV_evolve_KEEP"
	var last store.Lease
	changed := 0
	for n := range 4 + 10*failovers() {
		owner := []string{"a", "b"}[n%2]
		lease, err := st.AcquireLease(ctx, "leader", owner, time.Minute)
		var held *store.LeaseHeldError
		switch {
		case errors.As(err, &held):
			if held.Owner != last.Owner {
				t.Errorf("the lease is held by %q, want %q", held.Owner, last.Owner)
			}
		case err != nil:
			t.Fatal(err)
		default:
			if lease.Fence < last.Fence || lease.Owner != last.Owner && lease.Fence == last.Fence {
				t.Errorf("lease %+v after %+v: the fence must increase with a new owner", lease, last)
			}
			if last.Owner != "" && lease.Owner != last.Owner {
				changed++
			}
			last = lease
		}
		stepDown(ctx, t, c, stream)
	}
	t.Logf("the lease changed its owner %d times before it expired on the clock on which it began", changed)
}

// checkTimes fails unless servers with different clocks have recorded events, because
// otherwise this would have tested nothing.
func checkTimes(ctx context.Context, t *testing.T, st *jetstream.Store) {
	t.Helper()
	var earliest, latest time.Time
	for page, err := range st.Subscribe(ctx, store.LogOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Events {
			at := page.Events[i].RecordedAt
			if earliest.IsZero() || at.Before(earliest) {
				earliest = at
			}
			if at.After(latest) {
				latest = at
			}
		}
		if page.End {
			break
		}
	}
	if latest.Sub(earliest) < 9*time.Minute {
		t.Errorf("all events were recorded within %s: the clocks of the leaders did not differ", latest.Sub(earliest))
	}
}
