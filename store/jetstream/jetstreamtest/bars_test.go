package jetstreamtest_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jetstream"
	"github.com/evolvego/evolve/store/jetstream/jetstreamtest"
)

// filledLog appends n events to the given number of streams in turn.
func filledLog(tb testing.TB, st *jetstream.Store, n, streams int) {
	tb.Helper()
	const each = 100
	for i := 0; i < n; i += each {
		events := make([]store.Event, each)
		for j := range events {
			events[j] = store.Event{ID: store.NewID(), Type: "Deposited", Data: data()}
		}
		if _, err := st.Append(tb.Context(), store.Stream{Type: "Account", ID: strconv.Itoa(i / each % streams)}, store.Any, events); err != nil {
			tb.Fatal(err)
		}
	}
}

// versus calls floor and own in turn, five times, and reports the median ratio of their
// results; higher is better.
func versus(b *testing.B, unit string, floor, own func(b *testing.B) float64) {
	b.Helper()
	type round struct{ floor, own float64 }
	for b.Loop() {
		var rounds []round
		for range 5 {
			rounds = append(rounds, round{floor(b), own(b)})
		}
		slices.SortFunc(rounds, func(x, y round) int { return cmp.Compare(x.own/x.floor, y.own/y.floor) })
		median := rounds[len(rounds)/2]
		b.ReportMetric(median.own/median.floor, "ratio")
		b.ReportMetric(median.floor, "floor-"+unit)
		b.ReportMetric(median.own, "store-"+unit)
	}
}

// rate calls do from this number of goroutines for about a second, and returns the calls
// per second.
func rate(b *testing.B, writers int, do func(ctx context.Context) error) float64 {
	b.Helper()
	var n atomic.Int64
	var running sync.WaitGroup
	began := time.Now()
	for range writers {
		running.Go(func() {
			for time.Since(began) < time.Second {
				if err := do(b.Context()); err != nil {
					b.Error(err)
					return
				}
				n.Add(1)
			}
		})
	}
	running.Wait()
	return float64(n.Load()) / time.Since(began).Seconds()
}

// leaderOf returns the URL of the server that leads the log. All clients of a comparison
// use it: whether a client is connected to the leader changes a rate by a third.
func leaderOf(b *testing.B, urls string) string {
	b.Helper()
	for url := range strings.SplitSeq(urls, ",") {
		nc, err := nats.Connect(url)
		if err != nil {
			b.Fatal(err)
		}
		defer nc.Close()
		if nc.ConnectedServerName() == leader(b, nc, "EV_evolve") {
			return url
		}
	}
	b.Fatal("the log has no leader")
	return ""
}

// leader returns the name of the server that leads a stream in NATS.
func leader(b *testing.B, nc *nats.Conn, stream string) string {
	b.Helper()
	js, err := natsjs.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	s, err := js.Stream(b.Context(), stream)
	if err != nil {
		b.Fatal(err)
	}
	return s.CachedInfo().Cluster.Leader
}

// lead makes the server to which f is connected the leader of its stream.
func (f *floor) lead(b *testing.B) {
	b.Helper()
	server := f.nc.ConnectedServerName()
	for leader(b, f.nc, "FLOOR") != server {
		request := fmt.Sprintf(`{"placement": {"preferred": %q}}`, server)
		if _, err := f.nc.RequestWithContext(b.Context(), "$JS.API.STREAM.LEADER.STEPDOWN.FLOOR", []byte(request)); err != nil {
			b.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// BenchmarkBars compares a store on three servers with the minimum that NATS does for the
// same job, in turn, so that other load on the machine slows both.
func BenchmarkBars(b *testing.B) {
	url := urlOf(b, 3)
	open(b, url) // creates the log
	url = leaderOf(b, url)
	f, st, leader := newFloor(b, url, 3), open(b, url), open(b, url, jetstream.WithLeaderReads())
	f.lead(b)
	var n atomic.Int64
	appendOne := func(ctx context.Context) error {
		s := store.Stream{Type: "Account", ID: strconv.FormatInt(n.Add(1)%1000, 10)}
		_, err := st.Append(ctx, s, store.Any, []store.Event{{ID: store.NewID(), Type: "Deposited", Data: data()}})
		return err
	}
	for range 1000 { // every stream exists
		if err := appendOne(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	read := func(st store.Store) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			_, err := st.Read(ctx, store.Stream{Type: "Account", ID: "1"}, store.ReadOptions{Backward: true, Limit: 1})
			return err
		}
	}
	conflict := func(ctx context.Context) error {
		_, err := st.Append(ctx, store.Stream{Type: "Account", ID: "1"}, store.NoStream, batch(1))
		if errors.Is(err, store.ErrConflict) {
			return nil
		}
		return fmt.Errorf("an append to a stream that exists: %w", err)
	}
	for _, bar := range []struct {
		name       string
		writers    int
		floor, own func(ctx context.Context) error
	}{
		{"append, 1 writer, of batches of 2", 1, f.two, appendOne},
		{"append, 32 writers, of plain publishes", 32, f.publish, appendOne},
		{"append, 256 writers, of plain publishes", 256, f.publish, appendOne},
		{"head of a stream, leader reads, of MSG.GET", 1, f.lastOf("EV_evolve", "ev.evolve.e.default.Account.1"), read(leader)},
		{"head of a stream, linearizable, of a publish", 1, f.publish, read(st)},
		{"conflict, of a publish", 1, f.publish, conflict},
	} {
		b.Run(bar.name, func(b *testing.B) {
			versus(b, "per-s",
				func(b *testing.B) float64 { b.Helper(); return rate(b, bar.writers, bar.floor) },
				func(b *testing.B) float64 { b.Helper(); return rate(b, bar.writers, bar.own) })
		})
	}
}

// BenchmarkSubscription measures how long it takes an append, and how much longer until
// another process has it from a subscription.
func BenchmarkSubscription(b *testing.B) {
	url := urlOf(b, 3)
	st, other := open(b, url), open(b, url)
	seen := make(chan time.Time)
	ctx, cancel := context.WithCancel(b.Context())
	var reading sync.WaitGroup
	reading.Go(func() {
		for page, err := range other.Subscribe(ctx, store.LogOptions{}) {
			if err != nil {
				return
			}
			for range page.Events {
				select {
				case seen <- time.Now():
				case <-ctx.Done():
					return
				}
			}
		}
	})
	defer reading.Wait()
	defer cancel()
	for b.Loop() {
		const rounds = 1000
		var appends, pages []time.Duration
		for range rounds {
			began := time.Now()
			done := make(chan time.Duration, 1)
			go func() {
				_, err := st.Append(ctx, store.Stream{Type: "Account", ID: "1"}, store.Any, batch(1))
				if err != nil {
					b.Error(err)
				}
				done <- time.Since(began)
			}()
			pages = append(pages, (<-seen).Sub(began))
			appends = append(appends, <-done)
		}
		slices.Sort(appends)
		slices.Sort(pages)
		b.ReportMetric(float64(appends[rounds/2].Microseconds()), "append-p50-µs")
		b.ReportMetric(float64((pages[rounds/2] - appends[rounds/2]).Microseconds()), "later-p50-µs")
	}
}

// BenchmarkSparse reads a stream of ten events that are far from each other in a log of
// EVOLVE_EVENTS, or 100,000.
func BenchmarkSparse(b *testing.B) {
	total, err := strconv.Atoi(os.Getenv("EVOLVE_EVENTS"))
	if err != nil {
		total = 100_000
	}
	st := open(b, urlOf(b, 1), jetstream.WithReplicas(1))
	s := store.Stream{Type: "Rare", ID: "1"}
	for range 10 {
		if _, err := st.Append(b.Context(), s, store.Any, batch(1)); err != nil {
			b.Fatal(err)
		}
		filledLog(b, st, total/10, 100_000)
	}
	var reads []time.Duration
	for b.Loop() {
		began := time.Now()
		page, err := st.Read(b.Context(), s, store.ReadOptions{})
		if err != nil || len(page.Events) != 10 {
			b.Fatal(len(page.Events), err)
		}
		reads = append(reads, time.Since(began))
	}
	slices.Sort(reads)
	b.ReportMetric(float64(reads[len(reads)/2].Microseconds()), "p50-µs")
	began := time.Now()
	if _, err := st.ListStreams(b.Context(), store.StreamsOptions{}); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms/list-streams")
}

// BenchmarkCatchUp compares a subscription to a long log with an ordered consumer of NATS
// whose messages are decoded by hand.
func BenchmarkCatchUp(b *testing.B) {
	for _, replicas := range []int{1, 3} {
		b.Run(strconv.Itoa(replicas)+" servers", func(b *testing.B) {
			const events = 100_000
			url := urlOf(b, replicas)
			st := open(b, url, jetstream.WithReplicas(replicas))
			filledLog(b, st, events, 1000)
			nc, err := nats.Connect(url)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(nc.Close)
			b.ResetTimer()
			versus(b, "events/s", func(b *testing.B) float64 {
				b.Helper()
				began := time.Now()
				n := ordered(b, nc, events)
				return float64(n) / time.Since(began).Seconds()
			}, func(b *testing.B) float64 {
				b.Helper()
				began := time.Now()
				n := 0
				for page, err := range st.Subscribe(b.Context(), store.LogOptions{}) {
					if err != nil {
						b.Fatal(err)
					}
					if n += len(page.Events); n == events {
						break
					}
				}
				return float64(n) / time.Since(began).Seconds()
			})
		})
	}
}

// ordered reads n events with an ordered consumer.
func ordered(b *testing.B, nc *nats.Conn, n int) int {
	b.Helper()
	js, err := natsjs.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	c, err := js.OrderedConsumer(ctx, "EV_evolve", natsjs.OrderedConsumerConfig{FilterSubjects: []string{"ev.evolve.e.>"}})
	if err != nil {
		b.Fatal(err)
	}
	messages, err := c.Messages(natsjs.PullMaxMessages(2000))
	if err != nil {
		b.Fatal(err)
	}
	defer messages.Stop()
	all := make([]store.Recorded, 0, 256)
	for i := range n {
		m, err := messages.Next(natsjs.NextContext(ctx))
		if err != nil {
			b.Fatal(i, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			b.Fatal(err)
		}
		h := m.Headers()
		version, err := strconv.ParseUint(h.Get("Ev-Version"), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		if len(all) == cap(all) {
			all = all[:0]
		}
		all = append(all, store.Recorded{
			Event:   store.Event{ID: h.Get("Ev-Id"), Type: h.Get("Ev-Type"), Data: bytes.Clone(m.Data())},
			Version: version, Position: meta.Sequence.Stream, RecordedAt: meta.Timestamp,
		})
	}
	return n
}

// lastOf returns a call that asks the leader of a stream for the last message of subject.
func (f *floor) lastOf(stream, subject string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		_, err := f.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, []byte(`{"last_by_subj":"`+subject+`"}`))
		return err
	}
}

// TestConflictWrites: a conflict costs three recorded messages at most.
func TestConflictWrites(t *testing.T) {
	t.Parallel()
	url := jetstreamtest.StartCluster(t).URL()
	_, js := connected(t, url)
	st := open(t, url)
	last := func() uint64 {
		found, err := js.Stream(t.Context(), "EV_evolve")
		if err != nil {
			t.Fatal(err)
		}
		return found.CachedInfo().State.LastSeq
	}
	s := store.Stream{Type: "Account", ID: "1"}
	if _, err := st.Append(t.Context(), s, store.NoStream, batch(1)); err != nil {
		t.Fatal(err)
	}
	for _, expected := range []store.Expected{store.NoStream, store.Exactly(7)} {
		before := last()
		if _, err := st.Append(t.Context(), s, expected, batch(1)); !errors.Is(err, store.ErrConflict) {
			t.Errorf("Append expecting %s = %v, want a conflict", expected, err)
		}
		if n := last() - before; n > 3 {
			t.Errorf("a conflict has recorded %d messages, want 3 at most", n)
		}
	}
}
