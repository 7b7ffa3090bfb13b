//go:build unix

package jetstreamtest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jetstream"
	"github.com/evolvego/evolve/store/storetest/history"
)

// spread is a store in which each client uses a store of its own.
type spread []*jetstream.Store

func (s spread) of(ctx context.Context) *jetstream.Store {
	return s[max(history.ClientOf(ctx), 0)%len(s)]
}

func (s spread) Append(ctx context.Context, stream store.Stream, e store.Expected, events []store.Event) (store.Appended, error) {
	return s.of(ctx).Append(ctx, stream, e, events)
}

func (s spread) Read(ctx context.Context, stream store.Stream, o store.ReadOptions) (store.Page, error) {
	return s.of(ctx).Read(ctx, stream, o)
}

// workload is nine writers and three readers on four streams, each connected to one of
// three servers, and a subscription at each server.
type workload struct {
	stores   spread
	recorder *history.Recorder
	running  sync.WaitGroup
	stop     chan struct{}
	seen     [servers]chan []string

	acknowledged [servers]atomic.Int64 // acknowledged appends, at each server
	unknown      atomic.Int64          // unknown outcomes, each settled by appending the same events again
	refused      atomic.Int64

	mu   sync.Mutex
	last [servers]time.Time     // of the last acknowledged append at each server; guarded by mu
	gap  [servers]time.Duration // the longest time between two of them; guarded by mu
}

const (
	servers = 3
	streams = 4
	writers = 9
)

func stream(i int) store.Stream { return store.Stream{Type: "Account", ID: strconv.Itoa(i)} }

func newWorkload(ctx context.Context, t *testing.T, c *nodes, options ...jetstream.Option) *workload {
	t.Helper()
	w := &workload{stop: make(chan struct{})}
	for i, n := range c.all[:servers] {
		st := open(t, n.url(), options...)
		w.stores = append(w.stores, st)
		w.seen[i] = make(chan []string, 1)
		go func() { w.seen[i] <- followedIDs(ctx, st) }()
	}
	w.recorder = history.Record(w.stores)
	for i := range writers {
		w.running.Go(func() { w.write(history.WithClient(ctx, i), i%servers, stream(i%streams)) })
	}
	for i := range servers {
		w.running.Go(func() { w.read(history.WithClient(ctx, writers+i)) })
	}
	return w
}

func (w *workload) ended() bool {
	select {
	case <-w.stop:
		return true
	default:
		return false
	}
}

// write appends to s, where nobody else writes, and retries until each outcome is
// known.
func (w *workload) write(ctx context.Context, at int, s store.Stream) {
	version := uint64(0)
	for n := 0; ; n++ {
		events := batch(1 + n%2)
		for settled := false; !settled; {
			if w.ended() {
				return
			}
			short, cancel := context.WithTimeout(ctx, 2*time.Second)
			got, err := w.recorder.Append(short, s, store.Exactly(version), events)
			cancel()
			var conflict *store.ConflictError
			switch {
			case err == nil:
				version, settled = got.Version, true
				w.acknowledge(at)
			case errors.As(err, &conflict):
				version, settled = conflict.Actual, true
				w.refused.Add(1)
			default:
				w.unknown.Add(1)
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
}

func (w *workload) acknowledge(at int) {
	w.acknowledged[at].Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if !w.last[at].IsZero() {
		w.gap[at] = max(w.gap[at], now.Sub(w.last[at]))
	}
	w.last[at] = now
}

// gapAt returns the longest time without an append at server i since the last call,
// including the time since the last append.
func (w *workload) gapAt(i int) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	gap := w.gap[i]
	w.gap[i] = 0
	return gap
}

// read reads the streams in turn.
func (w *workload) read(ctx context.Context) {
	for i := 0; !w.ended(); i++ {
		short, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, _ = w.recorder.Read(short, stream(i%streams), store.ReadOptions{Backward: i%2 == 0, Limit: 3})
		cancel()
		time.Sleep(5 * time.Millisecond)
	}
}

// await waits until 30 more appends are acknowledged at each server except one.
func (w *workload) await(t *testing.T, except int) {
	t.Helper()
	const n = 30
	deadline := time.Now().Add(2 * time.Minute)
	for i := range w.acknowledged {
		if i == except {
			continue
		}
		for before := w.acknowledged[i].Load(); w.acknowledged[i].Load() < before+n; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d appends at server n%d in two minutes, want %d", w.acknowledged[i].Load()-before, i+1, n)
			}
		}
	}
}

// check ends the workload, and fails if the results that clients got contradict the
// log.
func (w *workload) check(ctx context.Context, t *testing.T) {
	t.Helper()
	close(w.stop)
	w.running.Wait()
	st := w.stores[0]
	if _, err := st.Append(ctx, store.Stream{Type: "End", ID: "1"}, store.NoStream, batch(1)); err != nil {
		t.Fatal(err)
	}
	for i := range streams {
		h, err := w.recorder.History(ctx, st, stream(i))
		if err == nil {
			err = history.Check(h)
		}
		if err != nil {
			t.Errorf("stream %s: %v", stream(i), err)
		}
	}
	log := followedIDs(ctx, st)
	for i := range w.seen {
		if seen := <-w.seen[i]; !slices.Equal(seen, log) {
			t.Errorf("a subscription at server n%d yielded %d events, but the log has %d different ones", i+1, len(seen), len(log))
		}
	}
	t.Logf("%d, %d, %d appends, %d conflicts, %d unknown outcomes", w.acknowledged[0].Load(), w.acknowledged[1].Load(), w.acknowledged[2].Load(),
		w.refused.Load(), w.unknown.Load())
}

// followedIDs returns the positions and ids of the log, up to the event of type End.
func followedIDs(ctx context.Context, st *jetstream.Store) (ids []string) {
	for page, err := range st.Subscribe(ctx, store.LogOptions{}) {
		if err != nil {
			return append(ids, err.Error())
		}
		for i := range page.Events {
			e := &page.Events[i]
			ids = append(ids, fmt.Sprint(e.Position, " ", e.ID))
			if e.Stream.Type == "End" {
				return ids
			}
		}
	}
	return ids
}

// failure is something that happens to servers, and ends again.
type failure func(t *testing.T, c *nodes, w *workload)

// indexOf returns the index of n.
func (c *nodes) indexOf(n *node) int { return slices.Index(c.all, n) }

// elections returns a channel of the times at which a server other than leader announces
// a new leader of the log.
func (c *nodes) elections(t *testing.T, leader *node) <-chan time.Time {
	t.Helper()
	at := slices.IndexFunc(c.all, func(n *node) bool { return n != leader })
	nc, err := nats.Connect(c.all[at].url())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	const many = 100
	times := make(chan time.Time, many)
	if _, err := nc.Subscribe("$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.EV_evolve", func(*nats.Msg) { times <- time.Now() }); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return times
}

// withoutLeader makes happen act on the leader of the log, and returns the longest time
// without an append at one of the other servers.
func withoutLeader(t *testing.T, c *nodes, w *workload, happen, pass func(n *node)) time.Duration {
	t.Helper()
	leader := c.leader(t, "EV_evolve")
	elected := c.elections(t, leader)
	for i := range servers {
		w.gapAt(i)
	}
	begun := time.Now()
	happen(leader)
	w.await(t, c.indexOf(leader))
	gap := time.Duration(0)
	for i := range servers {
		if i != c.indexOf(leader) {
			gap = max(gap, w.gapAt(i))
		}
	}
	t.Logf("the servers elected another leader within %s", (<-elected).Sub(begun).Round(time.Millisecond))
	pass(leader)
	w.await(t, -1)
	return gap
}

func killLeader(t *testing.T, c *nodes, w *workload) {
	t.Helper()
	gap := withoutLeader(t, c, w, func(n *node) { n.end(t, syscall.SIGKILL) }, func(n *node) { n.start(t) })
	t.Logf("the leader was killed: %s without an append", gap.Round(time.Millisecond))
}

func killAll(t *testing.T, c *nodes, w *workload) {
	t.Helper()
	c.killAll(t)
	w.await(t, -1)
}

// killAll kills all servers at once, and restarts them.
func (c *nodes) killAll(t *testing.T) {
	t.Helper()
	for _, n := range c.all {
		n.signal(t, syscall.SIGKILL)
	}
	for _, n := range c.all {
		_ = n.cmd.Wait()
		n.start(t)
	}
	c.await(t)
}

func pauseLeader(t *testing.T, c *nodes, w *workload) {
	t.Helper()
	gap := withoutLeader(t, c, w, func(n *node) { n.signal(t, syscall.SIGSTOP) }, func(n *node) { n.signal(t, syscall.SIGCONT) })
	t.Logf("the leader was paused: %s without an append", gap.Round(time.Millisecond))
}

func cutOffLeader(t *testing.T, c *nodes, w *workload) {
	t.Helper()
	gap := withoutLeader(t, c, w, func(n *node) { c.cutOff(n, true) }, func(n *node) { c.cutOff(n, false) })
	t.Logf("the leader was cut off: %s without an append", gap.Round(time.Millisecond))
}

func restartAll(t *testing.T, c *nodes, w *workload) {
	t.Helper()
	for _, n := range c.all {
		for i := range servers {
			w.gapAt(i)
		}
		n.end(t, syscall.SIGTERM)
		w.await(t, c.indexOf(n))
		gap := time.Duration(0)
		for i := range servers {
			if i != c.indexOf(n) {
				gap = max(gap, w.gapAt(i))
			}
		}
		t.Logf("server %s was stopped: %s without an append", n.Name, gap.Round(time.Millisecond))
		n.start(t)
		w.await(t, -1)
	}
}

// fail runs a workload through failures.
func fail(t *testing.T, options []jetstream.Option, failures ...failure) {
	t.Helper()
	c := startNodes(t, servers, asUsual)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	w := newWorkload(ctx, t, c, options...)
	w.await(t, -1)
	for _, f := range failures {
		f(t, c, w)
	}
	w.check(ctx, t)
}

// TestFailover kills and pauses the leader. No acknowledged append may be lost, and a
// leader that was paused must not make anyone refuse a recorded append, or read old
// data.
func TestFailover(t *testing.T) {
	t.Parallel()
	fail(t, nil, killLeader, pauseLeader)
}

// TestFailovers does the same with every other failure of servers, again and again.
func TestFailovers(t *testing.T) {
	t.Parallel()
	n := failovers()
	if n == 0 {
		t.Skipf("NOT TESTED without %s=4: all failures, four times each", longEnv)
	}
	var one sync.Mutex
	for name, f := range map[string]failure{
		"kill the leader": killLeader, "kill all": killAll, "pause the leader": pauseLeader,
		"cut off the leader": cutOffLeader, "restart one after the other": restartAll,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one.Lock() // they would slow each other down
			defer one.Unlock()
			fail(t, nil, slices.Repeat([]failure{f}, n)...)
		})
	}
}
