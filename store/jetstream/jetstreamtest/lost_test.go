package jetstreamtest_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jetstream"
	"github.com/evolvego/evolve/store/jetstream/jetstreamtest"
	"github.com/evolvego/evolve/store/storetest/wire"
)

// TestLostAnswers runs many concurrent appends, which share batches, while the answers
// to batches are lost again and again. The same append on another connection must have
// the result of the first one, and nothing may be recorded twice.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	cluster := jetstreamtest.StartCluster(t)
	w, err := wire.New(strings.TrimPrefix(cluster.Servers[0].URL(), "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	l := &losing{
		direct: open(t, cluster.URL()),
		wired:  open(t, "nats://"+w.Addr(), jetstream.WithConnection(nats.IgnoreDiscoveredServers())),
		stop:   make(chan struct{}),
	}
	const writers = 16
	var running sync.WaitGroup
	versions := make([]uint64, writers)
	for i := range writers {
		running.Go(func() { versions[i] = l.write(t, store.Stream{Type: "Account", ID: strconv.Itoa(i)}) })
	}
	for round := range 3 + 20*failovers() {
		l.await(t, &l.appended, 4*writers)
		w.StallAnswers()
		l.await(t, &l.replayed, 1)
		if round%2 == 0 {
			w.Drop()
		}
		w.Resume() // otherwise the answers arrive late
	}
	close(l.stop)
	running.Wait()
	t.Logf("%d appends were answered, %d were recorded but not answered, and %d were not recorded", l.appended.Load(), l.replayed.Load(), l.again.Load())
	total := uint64(0)
	for i, version := range versions {
		page, err := l.direct.Read(t.Context(), store.Stream{Type: "Account", ID: strconv.Itoa(i)}, store.ReadOptions{Backward: true, Limit: 1})
		if err != nil || page.Head != version {
			t.Errorf("stream %d is at version %d, %v; want %d", i, page.Head, err, version)
		}
		total += version
	}
	ids := make(map[string]bool)
	for next := uint64(0); ; {
		page, err := l.direct.ReadAll(t.Context(), store.LogOptions{From: next})
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Events {
			if ids[page.Events[i].ID] {
				t.Errorf("event %s is recorded twice", page.Events[i].ID)
			}
			ids[page.Events[i].ID] = true
		}
		if next = page.Next; page.End {
			break
		}
	}
	if uint64(len(ids)) != total {
		t.Errorf("the log has %d events, want %d", len(ids), total)
	}
}

// losing is a set of writers on a connection that loses answers, with a second
// connection that does not.
type losing struct {
	wired, direct *jetstream.Store
	stop          chan struct{}

	appended, replayed, again atomic.Int64
}

// write appends to s, where nobody else writes, and returns the final version.
func (l *losing) write(t *testing.T, s store.Stream) (version uint64) {
	t.Helper()
	for n := 0; ; n++ {
		select {
		case <-l.stop:
			return version
		default:
		}
		events := batch(1 + n%3)
		expected := store.Exactly(version)
		short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		got, err := l.wired.Append(short, s, expected, events)
		cancel()
		if err == nil {
			l.appended.Add(1)
		} else {
			if store.Definite(err) {
				t.Errorf("an append whose answer was lost = %v, which is definite", err)
			}
			if got, err = l.direct.Append(t.Context(), s, expected, events); err != nil {
				t.Errorf("the same append on another connection = %v", err)
				return version
			}
			if got.Replayed {
				l.replayed.Add(1)
			} else {
				l.again.Add(1)
			}
		}
		if version += uint64(len(events)); got.Version != version {
			t.Errorf("append of %d events to %s = version %d, want %d", len(events), s, got.Version, version)
			return version
		}
	}
}

// await waits until count has grown by n.
func (l *losing) await(t *testing.T, count *atomic.Int64, n int64) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for before := count.Load(); count.Load() < before+n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d in a minute, want %d", count.Load()-before, n)
		}
	}
}
