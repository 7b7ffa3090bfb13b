package jetstreamtest_test

import (
	"bytes"
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jetstream"
)

// filledLog appends n events, each of which belongs to one of streams streams in turn.
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

// versus calls floor and own in turn, three times, and reports the best ratio of what they
// return, which is better the higher it is.
func versus(b *testing.B, unit string, floor, own func(b *testing.B) float64) {
	b.Helper()
	for b.Loop() {
		var best, of, at float64
		for range 3 {
			f, o := floor(b), own(b)
			if o/f > best {
				best, of, at = o/f, f, o
			}
		}
		b.ReportMetric(best, "ratio")
		b.ReportMetric(of, "floor-"+unit)
		b.ReportMetric(at, "store-"+unit)
	}
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

// ordered reads n events by an ordered consumer.
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
