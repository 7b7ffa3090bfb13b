package grpc_test

import (
	"context"
	"strconv"
	"testing"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// echo answers an append at once: the minimum cost of a call.
type echo struct{ *foreign }

func (e *echo) Register(r gogrpc.ServiceRegistrar) { eventstorev1.RegisterEventStoreServer(r, e) }

func (*echo) Append(_ context.Context, req *eventstorev1.AppendRequest) (*eventstorev1.AppendResponse, error) {
	return &eventstorev1.AppendResponse{LastAggregateNonce: req.GetExpectedAggregateNonce() + uint64(len(req.GetEvents()))}, nil
}

// BenchmarkClientAppend compares appends of one event of 200 bytes: with the client,
// with the generated code, and with the generated code to a server that does nothing.
func BenchmarkClientAppend(b *testing.B) {
	s := store.Stream{Type: "Account", ID: "acc-1"}
	event := func(n uint64) []store.Event {
		e := numbered(1)
		e.ID, e.Data = "event "+strconv.FormatUint(n, 10), make([]byte, 200)
		return []store.Event{e}
	}
	b.Run("client", func(b *testing.B) {
		st := open(b, listen(b, server.New(memory.New())))
		b.ReportAllocs()
		n := uint64(0)
		for b.Loop() {
			if _, err := st.Append(b.Context(), s, store.Exactly(n), event(n)); err != nil {
				b.Fatal(err)
			}
			n++
		}
	})
	b.Run("client, any version", func(b *testing.B) {
		st := open(b, listen(b, server.New(memory.New())))
		b.ReportAllocs()
		n := uint64(0)
		for b.Loop() {
			if _, err := st.Append(b.Context(), s, store.Any, event(n)); err != nil {
				b.Fatal(err)
			}
			n++
		}
	})
	for name, srv := range map[string]registrar{"generated code": server.New(memory.New()), "echo": &echo{newForeign()}} {
		b.Run(name, func(b *testing.B) {
			raw := dialRaw(b, listen(b, srv))
			b.ReportAllocs()
			n := uint64(0)
			for b.Loop() {
				data := rawEvent("acc-1", n+1)
				data.Meta.EventId, data.Meta.EventType, data.Meta.EventVersion = "event "+strconv.FormatUint(n, 10), "Numbered", 1
				data.Payload = make([]byte, 200)
				_, err := raw.Append(b.Context(), &eventstorev1.AppendRequest{
					TenantId: "t", AggregateId: "acc-1", AggregateType: "Account", ExpectedAggregateNonce: n, Events: []*eventstorev1.EventData{data},
				})
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
		})
	}
}

func dialRaw(b *testing.B, addr string) eventstorev1.EventStoreClient {
	b.Helper()
	conn, err := gogrpc.NewClient(addr, gogrpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	return eventstorev1.NewEventStoreClient(conn)
}

// BenchmarkClientRead reads 10,000 events of 200 bytes: as a stream, as the log, with a
// subscription, and with the generated code.
func BenchmarkClientRead(b *testing.B) {
	const n = 10_000
	s := store.Stream{Type: "Account", ID: "acc-1"}
	backend := memory.New()
	for i := range n / 1000 {
		events := make([]store.Event, 1000)
		for j := range events {
			events[j] = numbered(i*1000 + j)
			events[j].Data = make([]byte, 200)
		}
		if _, err := backend.Append(b.Context(), s, store.Any, events); err != nil {
			b.Fatal(err)
		}
	}
	addr := listen(b, server.New(backend))
	st := open(b, addr)
	raw := dialRaw(b, addr)
	var buffer []store.Recorded // like that of a runner
	ways := map[string]func(ctx context.Context) (int, error){
		"stream": func(ctx context.Context) (count int, err error) {
			for o := (store.ReadOptions{ReadOnly: true}); ; {
				o.Buffer = buffer
				page, err := st.Read(ctx, s, o)
				if cap(page.Events) > cap(buffer) {
					buffer = page.Events
				}
				if count += len(page.Events); err != nil || page.End {
					return count, err
				}
				o.From = page.Next
			}
		},
		"log": func(ctx context.Context) (count int, err error) {
			for o := (store.LogOptions{}); ; {
				page, err := st.ReadAll(ctx, o)
				if count += len(page.Events); err != nil || page.End {
					return count, err
				}
				o.From = page.Next
			}
		},
		"subscription": func(ctx context.Context) (count int, err error) {
			for page, err := range st.Subscribe(ctx, store.LogOptions{}) {
				if count += len(page.Events); err != nil || page.End {
					return count, err
				}
			}
			return count, nil
		},
		"generated code": func(ctx context.Context) (count int, err error) {
			for from := uint64(1); ; {
				page, err := raw.ReadStream(ctx, &eventstorev1.ReadStreamRequest{
					TenantId: store.DefaultTenant, AggregateId: s.ID, FromAggregateNonce: from, MaxCount: 1000, Forward: true,
				})
				if count += len(page.GetEvents()); err != nil || page.GetIsEnd() {
					return count, err
				}
				from = page.GetNextFromAggregateNonce()
			}
		},
	}
	for name, read := range ways {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got, err := read(b.Context()); err != nil || got != n {
					b.Fatalf("%d events, %v", got, err)
				}
			}
		})
	}
}
