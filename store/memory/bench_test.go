package memory_test

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// idSource makes ids as long as a UUID at almost no cost.
type idSource struct {
	client string
	n      int
	text   string
}

func newIDSource(client int) *idSource {
	return &idSource{client: fmt.Sprintf("%08x-0000-4000-8000-", client)}
}

func (s *idSource) next() string {
	const size, many = 36, 1000
	if s.text == "" {
		b := make([]byte, 0, size*many)
		for range many {
			b = append(b, s.client...)
			for shift := 44; shift >= 0; shift -= 4 {
				b = append(b, "0123456789abcdef"[s.n>>shift&15])
			}
			s.n++
		}
		s.text = string(b)
	}
	id := s.text[:size]
	s.text = s.text[size:]
	return id
}

// floor is the simplest store of values under keys for concurrent callers, a map of
// slices over 64 locks. It is a lower bound for the cost of a store.
type floor struct {
	seed   maphash.Seed
	shards [64]struct {
		mu      sync.Mutex
		streams map[string][]any
	}
}

func newFloor() *floor {
	f := &floor{seed: maphash.MakeSeed()}
	for i := range f.shards {
		f.shards[i].streams = make(map[string][]any)
	}
	return f
}

func (f *floor) append(key string, events ...any) {
	shard := &f.shards[maphash.String(f.seed, key)%64]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	shard.streams[key] = append(shard.streams[key], events...)
}

// plain keeps what the store keeps, without checks and in the simplest way: slices of
// recorded events, a log and a map of ids behind one lock.
type plain struct {
	mu      sync.Mutex
	streams map[store.Stream][]store.Recorded
	ids     map[string]*store.Recorded
	log     []*store.Recorded
}

func newPlain() *plain {
	return &plain{streams: make(map[store.Stream][]store.Recorded), ids: make(map[string]*store.Recorded)}
}

func (p *plain) append(s store.Stream, events []store.Event) bool {
	now := time.Now().UTC()
	p.mu.Lock()
	defer p.mu.Unlock()
	stream := p.streams[s]
	for i := range events {
		if p.ids[events[i].ID] != nil {
			return false
		}
		r := store.Recorded{Event: events[i], Stream: s, Version: uint64(len(stream)) + 1, RecordedAt: now}
		r.Position, r.Data = uint64(len(p.log))+1, bytes.Clone(r.Data)
		stream = append(stream, r)
		p.log = append(p.log, &stream[len(stream)-1])
		p.ids[r.ID] = &stream[len(stream)-1]
	}
	p.streams[s] = stream
	return true
}

type deposited struct{ Cents int64 }

func accounts(prefix string) []store.Stream {
	streams := make([]store.Stream, 1000)
	for i := range streams {
		streams[i] = store.Stream{Type: "Account", ID: prefix + strconv.Itoa(i)}
	}
	return streams
}

// warm is the number of events that a store gets in a benchmark before a new store
// replaces it. By then the garbage collector reuses memory, so the benchmark does not
// measure how fast the machine provides fresh memory.
const warm = 1 << 15

func BenchmarkAppend(b *testing.B) {
	ctx := context.Background()
	data := []byte(`{"cents":500}`)
	for _, n := range []int{1, 10, 100} {
		for name, event := range map[string]store.Event{
			"data":  {Type: "Deposited", Data: data},
			"value": {Type: "Deposited", Value: deposited{500}},
		} {
			b.Run(fmt.Sprintf("%s/events=%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				m, ids, streams := memory.New(), newIDSource(0), accounts("acc-")
				batch := make([]store.Event, n)
				for i := 0; b.Loop(); i++ {
					if i%(warm/n) == 0 {
						m = memory.New()
					}
					for j := range batch {
						event.ID = ids.next()
						batch[j] = event
					}
					if _, err := m.Append(ctx, streams[i%1000], store.Any, batch); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
			})
		}
		b.Run(fmt.Sprintf("plain/events=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			p, ids, streams := newPlain(), newIDSource(0), accounts("acc-")
			batch := make([]store.Event, n)
			for i := 0; b.Loop(); i++ {
				if i%(warm/n) == 0 {
					p = newPlain()
				}
				for j := range batch {
					batch[j] = store.Event{ID: ids.next(), Type: "Deposited", Data: data}
				}
				if !p.append(streams[i%1000], batch) {
					b.Fatal("a duplicate")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
		})
		b.Run(fmt.Sprintf("floor/events=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			f, ids, streams := newFloor(), newIDSource(0), accounts("acc-")
			batch := make([]any, n)
			for i := 0; b.Loop(); i++ {
				if i%(warm/n) == 0 {
					f = newFloor()
				}
				for j := range batch {
					ids.next()
					batch[j] = deposited{500}
				}
				f.append(streams[i%1000].ID, batch...)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
		})
	}
}

func BenchmarkAppendParallel(b *testing.B) {
	ctx := context.Background()
	b.Run("value", func(b *testing.B) {
		b.ReportAllocs()
		m := memory.New()
		var clients atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			client := int(clients.Add(1))
			ids, streams := newIDSource(client), accounts(fmt.Sprintf("%d-", client))
			batch := make([]store.Event, 1)
			for i := 0; pb.Next(); i++ {
				batch[0] = store.Event{ID: ids.next(), Type: "Deposited", Value: deposited{500}}
				if _, err := m.Append(ctx, streams[i%1000], store.Any, batch); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		f := newFloor()
		var clients atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			client := int(clients.Add(1))
			ids, streams := newIDSource(client), accounts(fmt.Sprintf("%d-", client))
			for i := 0; pb.Next(); i++ {
				ids.next()
				f.append(streams[i%1000].ID, deposited{500})
			}
		})
	})
}

// long returns a store with one stream of n events.
func long(ctx context.Context, b *testing.B, n int) (*memory.Store, store.Stream) {
	b.Helper()
	m, s, ids := memory.New(), store.Stream{Type: "Account", ID: "acc-1"}, newIDSource(0)
	for range n {
		_, err := m.Append(ctx, s, store.Any,
			[]store.Event{{ID: ids.next(), Type: "Deposited", Value: deposited{1}}})
		if err != nil {
			b.Fatal(err)
		}
	}
	return m, s
}

func BenchmarkRead(b *testing.B) {
	ctx := context.Background()
	for _, n := range []int{1, 100, 1000, 10_000} {
		for _, readOnly := range []bool{true, false} {
			b.Run(fmt.Sprintf("readonly=%t/events=%d", readOnly, n), func(b *testing.B) {
				b.ReportAllocs()
				m, s := long(ctx, b, n)
				pages := 0
				var buffer []store.Recorded
				for b.Loop() {
					read, o := 0, store.ReadOptions{ReadOnly: readOnly, Buffer: buffer}
					for {
						page, err := m.Read(ctx, s, o)
						if err != nil {
							b.Fatal(err)
						}
						read += len(page.Events)
						if cap(page.Events) > cap(buffer) {
							buffer = page.Events
						}
						o.Buffer = buffer
						pages++
						if page.End {
							break
						}
						o.From = page.Next
					}
					if read != n {
						b.Fatalf("read %d events, want %d", read, n)
					}
				}
				b.ReportMetric(float64(pages)/float64(b.N), "pages/op")
			})
		}
		b.Run(fmt.Sprintf("floor/events=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			events := make([]store.Recorded, n)
			for b.Loop() {
				if clone := append([]store.Recorded(nil), events...); len(clone) != n {
					b.Fatal("torn")
				}
			}
		})
	}
}

// BenchmarkSubscribe measures one append until all subscribers have the event.
func BenchmarkSubscribe(b *testing.B) {
	for _, n := range []int{1, 10, 1000} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			ctx, cancel := context.WithCancel(context.Background())
			m, s, ids := memory.New(), store.Stream{Type: "Account", ID: "acc-1"}, newIDSource(0)
			var loops sync.WaitGroup
			var caughtUp sync.WaitGroup
			caughtUp.Add(n)
			for range n {
				loops.Go(func() {
					for page, err := range m.Subscribe(ctx, store.LogOptions{}) {
						if err == nil && page.End {
							caughtUp.Done()
						}
					}
				})
			}
			caughtUp.Wait()
			batch := make([]store.Event, 1)
			for b.Loop() {
				caughtUp.Add(n)
				batch[0] = store.Event{ID: ids.next(), Type: "Deposited", Value: deposited{1}}
				if _, err := m.Append(ctx, s, store.Any, batch); err != nil {
					b.Fatal(err)
				}
				caughtUp.Wait()
			}
			cancel()
			loops.Wait()
		})
		b.Run(fmt.Sprintf("floor/subscribers=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			var mu sync.Mutex
			wake := make(chan struct{})
			var loops, woken, armed sync.WaitGroup
			armed.Add(n)
			woken.Add(n)
			end := false
			for range n {
				loops.Go(func() {
					for {
						mu.Lock()
						ch, stop := wake, end
						mu.Unlock()
						if stop {
							return
						}
						armed.Done()
						<-ch
						woken.Done()
					}
				})
			}
			armed.Wait()
			for b.Loop() {
				armed.Add(n)
				mu.Lock()
				close(wake)
				wake = make(chan struct{})
				mu.Unlock()
				woken.Wait()
				armed.Wait()
				woken.Add(n)
			}
			mu.Lock()
			end = true
			close(wake)
			mu.Unlock()
			loops.Wait()
		})
	}
}

// BenchmarkReplay measures a subscription that reads a long log.
func BenchmarkReplay(b *testing.B) {
	const n = 100_000
	ctx := context.Background()
	m, _ := long(ctx, b, n)
	for name, filter := range map[string]store.Filter{
		"all":  {},
		"none": {EventTypes: []string{"Withdrawn"}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for page, err := range m.Subscribe(ctx, store.LogOptions{Filter: filter}) {
					if err != nil {
						b.Fatal(err)
					}
					if page.End {
						break
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
		})
	}
}
