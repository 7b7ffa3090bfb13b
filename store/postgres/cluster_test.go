package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
	"github.com/evolvego/evolve/store/storetest/history"
)

// failoversEnv is the number of times that TestFailover kills the primary; the default
// is once.
const failoversEnv = "EVOLVE_FAILOVERS"

// cluster is three servers, one of which is the primary.
type cluster struct {
	servers map[string]*postgrestest.Server
	primary string
	dbURL   string // of the database on the first primary
}

// newCluster starts a cluster in which a commit waits for one standby if sync is true,
// and for none otherwise.
func newCluster(t *testing.T, sync bool) *cluster {
	t.Helper()
	a := postgrestest.Start(t)
	c := &cluster{servers: map[string]*postgrestest.Server{"a": a}, primary: "a", dbURL: a.URL(t)}
	if sync { // the replicas inherit it for their promotion
		a.Set(t, "synchronous_standby_names", "ANY 1 (a, b, c)")
	}
	for _, name := range []string{"b", "c"} {
		c.servers[name] = a.Standby(t, name)
	}
	return c
}

// url returns the URL with which clients find the primary.
func (c *cluster) url(t *testing.T) string {
	t.Helper()
	return postgrestest.At(t, c.dbURL, c.servers["a"], c.servers["b"], c.servers["c"]) +
		"&target_session_attrs=read-write&connect_timeout=2"
}

// failover kills the primary, promotes the standby that has received more, and makes
// the others follow it; the killed server becomes a new replica. If cut is true, it
// first disconnects the replicas and waits until the primary has acknowledged more
// appends, if it does. It returns how long there was no primary.
func (c *cluster) failover(t *testing.T, cut bool, acknowledged *atomic.Int64) (took time.Duration) {
	t.Helper()
	old := c.servers[c.primary]
	var standbys []string
	for name, s := range c.servers {
		if name != c.primary {
			standbys = append(standbys, name)
			if cut {
				s.Cut(t)
			}
		}
	}
	if cut {
		const more = 20
		for before, deadline := acknowledged.Load(), time.Now().Add(3*time.Second); acknowledged.Load() < before+more && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
	}
	began := time.Now()
	old.Kill(t)
	slices.SortFunc(standbys, func(a, b string) int {
		return int(c.servers[b].Received(t) - c.servers[a].Received(t))
	})
	killed, next := c.primary, standbys[0]
	c.servers[next].Promote(t)
	took = time.Since(began)
	c.primary = next
	c.servers[standbys[1]].Follow(t, standbys[1], c.servers[next])
	c.servers[killed].Rejoin(t, killed, c.servers[next])
	return took
}

// workload is eight writers on four streams, and a subscription.
type workload struct {
	st           *postgres.Store
	recorder     *history.Recorder
	acknowledged atomic.Int64
	unknown      atomic.Int64 // unknown outcomes, each settled by appending the same events again
	writing      sync.WaitGroup
	stop         chan struct{}
	seen         chan followedLog

	mu   sync.Mutex
	last time.Time     // of the last acknowledged append; guarded by mu
	gap  time.Duration // the longest time between two of them; guarded by mu
}

// acknowledge counts an acknowledged append.
func (w *workload) acknowledge() {
	w.acknowledged.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if !w.last.IsZero() {
		w.gap = max(w.gap, now.Sub(w.last))
	}
	w.last = now
}

// longest returns the longest time without an append since the previous call.
func (w *workload) longest() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	gap := w.gap
	w.gap = 0
	return gap
}

const clusterStreams = 4

func newWorkload(ctx context.Context, st *postgres.Store) *workload {
	w := &workload{st: st, recorder: history.Record(st), stop: make(chan struct{}), seen: make(chan followedLog, 1)}
	go func() {
		ids, err := followedIDs(ctx, st)
		w.seen <- followedLog{ids, err}
	}()
	for i := range 2 * clusterStreams {
		w.writing.Go(func() { w.write(history.WithClient(ctx, i), stream(i%clusterStreams)) })
	}
	return w
}

// write appends to s, where nobody else writes, and retries until each outcome is
// known.
func (w *workload) write(ctx context.Context, s store.Stream) {
	version := uint64(0)
	for {
		events := batch(1)
		for settled := false; !settled; {
			select {
			case <-w.stop:
				return
			default:
			}
			short, cancel := context.WithTimeout(ctx, 2*time.Second)
			got, err := w.recorder.Append(short, s, store.Exactly(version), events)
			cancel()
			var conflict *store.ConflictError
			switch {
			case err == nil:
				version, settled = got.Version, true
				w.acknowledge()
			case errors.As(err, &conflict):
				version, settled = conflict.Actual, true
			case errors.Is(err, store.ErrRefused): // not made, so try again
			default:
				w.unknown.Add(1)
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
}

// check ends the workload, and returns an error if the results that clients got
// contradict the log.
func (w *workload) check(t *testing.T) error {
	t.Helper()
	ctx := within(t)
	close(w.stop)
	w.writing.Wait()
	if _, err := w.st.Append(ctx, store.Stream{Type: "End", ID: "1"}, store.NoStream, batch(1)); err != nil {
		return err
	}
	for i := range clusterStreams {
		h, err := w.recorder.History(ctx, w.st, stream(i))
		if err != nil {
			return err
		}
		if err := history.Check(h); err != nil {
			return err
		}
	}
	log, err := followedIDs(ctx, w.st)
	if err != nil {
		return err
	}
	seen := <-w.seen
	switch {
	case errors.Is(seen.err, store.ErrLogDiverged):
		// At the moment when the postmaster dies, PostgreSQL lets readers see commits that
		// still wait for a standby. The subscription must say that they are gone.
		n := 0
		for n < min(len(seen.ids), len(log)) && seen.ids[n] == log[n] {
			n++
		}
		if n == len(seen.ids) {
			return fmt.Errorf("a subscription that has seen only what is in the log ended: %w", seen.err)
		}
		t.Logf("a subscription saw %d events that no standby had: %v", len(seen.ids)-n, seen.err)
	case seen.err != nil:
		return fmt.Errorf("a subscription ended after %d events: %w", len(seen.ids), seen.err)
	case !slices.Equal(seen.ids, log):
		return fmt.Errorf("a subscription yielded %d events, but the log has %d different ones", len(seen.ids), len(log))
	}
	t.Logf("%d appends, %d unknown outcomes", w.acknowledged.Load(), w.unknown.Load())
	return nil
}

// followedLog is what a subscription has yielded.
type followedLog struct {
	ids []string
	err error
}

// followedIDs returns the positions and ids of the log, up to the event of type End, or
// up to an error.
func followedIDs(ctx context.Context, st *postgres.Store) (ids []string, err error) {
	for page, err := range st.Subscribe(ctx, store.LogOptions{}) {
		if err != nil {
			return ids, err
		}
		for i := range page.Events {
			e := &page.Events[i]
			ids = append(ids, fmt.Sprint(e.Position, " ", e.ID))
			if e.Stream.Type == "End" {
				return ids, nil
			}
		}
	}
	return ids, nil
}

// failovers returns the number of times to kill the primary.
func failovers() int {
	if n, err := strconv.Atoi(os.Getenv(failoversEnv)); err == nil {
		return n
	}
	return 1
}

// TestFailover kills the primary of a cluster in which each commit waits for one of two
// standbys, and promotes the standby that has received more. Nothing that was
// acknowledged may be lost, whatever the clients are doing, and an append with an
// unknown outcome must be settled by appending the same events again.
func TestFailover(t *testing.T) {
	t.Parallel()
	c := newCluster(t, true)
	st := open(t, c.url(t))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	w := newWorkload(ctx, st)
	for n := range failovers() {
		w.await(t)
		w.longest()
		took := c.failover(t, n%2 == 1, &w.acknowledged)
		w.await(t)
		t.Logf("failover %d: %s without an append, including %s until the new primary was promoted",
			n+1, w.longest().Round(time.Millisecond), took.Round(time.Millisecond))
	}
	if err := w.check(t); err != nil {
		t.Error(err)
	}
}

// await waits until 50 more appends are acknowledged.
func (w *workload) await(t *testing.T) {
	t.Helper()
	const n = 50
	before := w.acknowledged.Load()
	for deadline := time.Now().Add(2 * time.Minute); w.acknowledged.Load() < before+n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d appends in two minutes, want %d", w.acknowledged.Load()-before, n)
		}
	}
}

// TestFailoverWithoutQuorum checks that the same test finds lost appends if no commit
// waits for a standby.
func TestFailoverWithoutQuorum(t *testing.T) {
	t.Parallel()
	c := newCluster(t, false)
	st := open(t, c.url(t))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	w := newWorkload(ctx, st)
	w.await(t)
	c.failover(t, true, &w.acknowledged)
	w.await(t)
	if err := w.check(t); err == nil {
		t.Error("acknowledged appends were lost, but the checks did not find that")
	} else {
		t.Logf("found: %.200s", err)
	}
}
