package jetstreamtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jetstream"
	"github.com/evolvego/evolve/store/jetstream/jetstreamtest"
)

// data returns the data of an event of typical size.
func data() []byte { return bytes.Repeat([]byte("x"), 200) }

// floor is a stream of NATS without a store, as a lower bound for the cost of one.
type floor struct {
	nc   *nats.Conn
	last atomic.Int64 // number of the last subject
}

func newFloor(b *testing.B, url string, replicas int) *floor {
	b.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	js, err := natsjs.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	_, err = js.CreateStream(b.Context(), natsjs.StreamConfig{
		Name: "FLOOR", Subjects: []string{"floor.>"}, Storage: natsjs.FileStorage, Replicas: replicas, AllowAtomicPublish: true, AllowDirect: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	return &floor{nc: nc}
}

var errRefused = errors.New("the server has refused it")

// publish publishes one message.
func (f *floor) publish(ctx context.Context) error {
	m := &nats.Msg{Subject: "floor." + strconv.FormatInt(f.last.Add(1)%1000, 10), Data: data()}
	return accepted(f.nc.RequestMsgWithContext(ctx, m))
}

// two publishes a batch of two messages, the first of which expects an unused subject:
// the minimum for an event and its id.
func (f *floor) two(ctx context.Context) error {
	id, n := nuid.Next(), f.last.Add(1)
	first := &nats.Msg{Subject: "floor.id." + strconv.FormatInt(n, 10), Data: []byte("12345678"), Header: nats.Header{
		"Nats-Batch-Id": {id}, "Nats-Batch-Sequence": {"1"}, "Nats-Expected-Last-Subject-Sequence": {"0"},
	}}
	if err := f.nc.PublishMsg(first); err != nil {
		return err
	}
	return accepted(f.nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: "floor." + strconv.FormatInt(n%1000, 10), Data: data(), Header: nats.Header{
		"Nats-Batch-Id": {id}, "Nats-Batch-Sequence": {"2"}, "Nats-Batch-Commit": {"1"},
	}}))
}

func accepted(m *nats.Msg, err error) error {
	if err != nil {
		return err
	}
	var a struct {
		Error json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &a); err != nil || a.Error != nil {
		return fmt.Errorf("%w: %s", errRefused, m.Data)
	}
	return nil
}

// parallel calls do b.N times, from writers goroutines.
func parallel(b *testing.B, writers int, do func(ctx context.Context) error) {
	b.Helper()
	b.SetParallelism(max(1, writers/runtime.GOMAXPROCS(0)))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := do(b.Context()); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
}

// BenchmarkAppend compares appends of one event to many streams with the minimum that
// the servers do: publish a message, and publish a batch of two. All servers are in the
// process.
func BenchmarkAppend(b *testing.B) {
	for _, replicas := range []int{3, 1} {
		url := urlOf(b, replicas)
		f, st := newFloor(b, url, replicas), open(b, url, jetstream.WithReplicas(replicas))
		var n atomic.Int64
		appendOne := func(ctx context.Context) error {
			s := store.Stream{Type: "Account", ID: strconv.FormatInt(n.Add(1)%1000, 10)}
			_, err := st.Append(ctx, s, store.Any, []store.Event{{ID: store.NewID(), Type: "Deposited", Data: data()}})
			return err
		}
		for _, writers := range []int{1, 32, 256} {
			name := fmt.Sprintf("%d servers/%d writers/", replicas, writers)
			for _, does := range []struct {
				what string
				do   func(ctx context.Context) error
			}{{"publish", f.publish}, {"batch of 2", f.two}, {"store", appendOne}} {
				b.Run(name+does.what, func(b *testing.B) {
					if writers > 1 {
						parallel(b, writers, does.do)
						return
					}
					for b.Loop() {
						if err := does.do(b.Context()); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
				})
			}
		}
	}
}

func urlOf(tb testing.TB, replicas int) string {
	tb.Helper()
	if replicas == 1 {
		return jetstreamtest.Start(tb).URL()
	}
	return jetstreamtest.StartCluster(tb).URL()
}

// BenchmarkRead compares reads of the end of a stream, and of the log, with the
// requests that they consist of.
func BenchmarkRead(b *testing.B) {
	url := jetstreamtest.StartCluster(b).URL()
	safe, leader := open(b, url), open(b, url, jetstream.WithLeaderReads())
	s := store.Stream{Type: "Account", ID: "1"}
	for range 10 {
		events := make([]store.Event, 100)
		for i := range events {
			events[i] = store.Event{ID: store.NewID(), Type: "Deposited", Data: data()}
		}
		if _, err := safe.Append(b.Context(), s, store.Any, events); err != nil {
			b.Fatal(err)
		}
	}
	nc, err := nats.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	request := func(ctx context.Context) error {
		_, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET.EV_evolve", []byte(`{"last_by_subj":"ev.evolve.e.default.Account.1"}`))
		return err
	}
	last := func(st store.Store, limit int) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			_, err := st.Read(ctx, s, store.ReadOptions{Backward: true, Limit: limit})
			return err
		}
	}
	for _, bench := range []struct {
		name string
		do   func(ctx context.Context) error
	}{
		{"last event/request", request},
		{"last event/leader reads", last(leader, 1)},
		{"last event/store", last(safe, 1)},
		{"last 10/store", last(safe, 10)},
		{"1000/store", func(ctx context.Context) error { _, err := safe.Read(ctx, s, store.ReadOptions{}); return err }},
		{"log of 1000/store", func(ctx context.Context) error { _, err := safe.ReadAll(ctx, store.LogOptions{}); return err }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			for b.Loop() {
				if err := bench.do(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkMemory measures the memory of a server for each event, in streams of four
// events.
func BenchmarkMemory(b *testing.B) {
	const events, each = 100_000, 200
	for b.Loop() {
		st := open(b, jetstreamtest.Start(b).URL(), jetstream.WithReplicas(1))
		before := heap()
		for n := 0; n < events; n += each {
			batch := make([]store.Event, 4)
			for i := range each / 4 {
				for j := range batch {
					batch[j] = store.Event{ID: store.NewID(), Type: "Deposited", Data: data()}
				}
				if _, err := st.Append(b.Context(), store.Stream{Type: "Account", ID: strconv.Itoa(n + i)}, store.NoStream, batch); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(heap()-before)/events, "B/event")
	}
}

func heap() uint64 {
	runtime.GC()
	time.Sleep(100 * time.Millisecond) // pooled memory is released by the next collection
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
