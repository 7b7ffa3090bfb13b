package server_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/evolvego/evolve/store"
	pb "github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// floor does the minimum of a server of the protocol: it answers an append, and sends
// prepared messages.
type floor struct {
	pb.UnimplementedEventStoreServer

	page *pb.ReadAllResponse
}

func (f *floor) Append(context.Context, *pb.AppendRequest) (*pb.AppendResponse, error) {
	return &pb.AppendResponse{LastGlobalNonce: 1, LastAggregateNonce: 1}, nil
}

func (f *floor) ReadStream(context.Context, *pb.ReadStreamRequest) (*pb.ReadStreamResponse, error) {
	return &pb.ReadStreamResponse{Events: f.page.GetEvents()}, nil
}

func (f *floor) Subscribe(_ *pb.SubscribeRequest, stream gogrpc.ServerStreamingServer[pb.SubscribeResponse]) error {
	for _, e := range f.page.GetEvents() {
		if err := stream.Send(&pb.SubscribeResponse{Event: e}); err != nil {
			return err
		}
	}
	return nil
}

// benchServer serves s until the benchmark ends.
func benchServer(b *testing.B, s pb.EventStoreServer) pb.EventStoreClient {
	b.Helper()
	lis, err := new(net.ListenConfig).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	g := gogrpc.NewServer(server.GRPCOptions()...)
	pb.RegisterEventStoreServer(g, s)
	go func() { _ = g.Serve(lis) }()
	b.Cleanup(g.Stop)
	return pb.NewEventStoreClient(served{address: lis.Addr().String()}.dial(b))
}

// benchAppend returns an append of one event of 200 bytes to a new stream.
func benchAppend(id string) *pb.AppendRequest {
	req := rawAppend(id, 0, 1)
	req.Events[0].Payload = make([]byte, 200)
	return req
}

// BenchmarkServerAppend appends to a new stream, compared with an RPC that takes the
// same message and does nothing: as a client that identifies streams by type and id
// ("typed"), as one that does not ("bare"), and with an idempotency key.
func BenchmarkServerAppend(b *testing.B) {
	for _, callers := range []int{1, 64} {
		for _, kind := range []string{"echo", "typed", "bare", "keyed"} {
			b.Run(fmt.Sprintf("%s/callers=%d", kind, callers), func(b *testing.B) {
				b.ReportAllocs()
				var s pb.EventStoreServer = server.New(memory.New())
				if kind == "echo" {
					s = &floor{}
				}
				client, ctx := benchServer(b, s), b.Context()
				if kind != "bare" {
					ctx = metadata.AppendToOutgoingContext(ctx, "evolve-client", "1")
				}
				var ids atomic.Uint64
				one := func() {
					id := fmt.Sprint("acc-", ids.Add(1))
					req := benchAppend(id)
					if kind == "keyed" {
						req.IdempotencyKey = id
					}
					if _, err := client.Append(ctx, req); err != nil {
						b.Error(err)
					}
				}
				if callers == 1 {
					for b.Loop() {
						one()
					}
					return
				}
				b.SetParallelism(callers / 2)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						one()
					}
				})
			})
		}
	}
}

// longStream returns a backend with one stream of n events of 200 bytes in tenant "t",
// and its events in wire form.
func longStream(b *testing.B, n int) (*memory.Store, *pb.ReadAllResponse) {
	b.Helper()
	backend, page := memory.New(), &pb.ReadAllResponse{}
	srv := server.New(backend)
	for i := 0; i < n; i += 1000 {
		req := rawAppend("acc-1", uint64(i), 1000)
		for _, e := range req.GetEvents() {
			e.Payload = make([]byte, 200)
		}
		if _, err := srv.Append(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
	for len(page.GetEvents()) < n {
		next, err := srv.ReadAll(b.Context(), &pb.ReadAllRequest{
			TenantId: "t", FromGlobalNonce: uint64(len(page.GetEvents()) + 1), MaxCount: 1000, Forward: true,
		})
		if err != nil {
			b.Fatal(err)
		}
		page.Events = append(page.Events, next.GetEvents()...)
	}
	return backend, page
}

// BenchmarkServerRead reads 10,000 events, in pages of ReadStream or with Subscribe,
// compared with a server that sends prepared messages.
func BenchmarkServerRead(b *testing.B) {
	const n = 10_000
	backend, page := longStream(b, n)
	for name, s := range map[string]pb.EventStoreServer{"server": server.New(backend), "floor": &floor{page: page}} {
		client := benchServer(b, s)
		b.Run("pages/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				read := 0
				for from := uint64(1); read < n; {
					resp, err := client.ReadStream(b.Context(), &pb.ReadStreamRequest{
						TenantId: "t", AggregateId: "acc-1", FromAggregateNonce: from, MaxCount: n, Forward: true,
					}, gogrpc.MaxCallRecvMsgSize(64<<20))
					if err != nil {
						b.Fatal(err)
					}
					read += len(resp.GetEvents())
					from = resp.GetNextFromAggregateNonce()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
		})
		b.Run("subscribe/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ctx, cancel := context.WithCancel(b.Context())
				stream, err := client.Subscribe(ctx, &pb.SubscribeRequest{TenantId: "t"})
				if err != nil {
					b.Fatal(err)
				}
				for range n {
					if _, err := stream.Recv(); err != nil {
						b.Fatal(err)
					}
				}
				cancel()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
		})
	}
}

// BenchmarkServerFanOut measures one append of 10 kB until all subscribers have it.
func BenchmarkServerFanOut(b *testing.B) {
	for _, subscribers := range []int{1, 100} {
		b.Run(fmt.Sprintf("subscribers=%d", subscribers), func(b *testing.B) {
			b.ReportAllocs()
			backend := memory.New()
			client := benchServer(b, server.New(backend))
			ctx, cancel := context.WithCancel(b.Context())
			var loops, have sync.WaitGroup
			for range subscribers {
				stream, err := client.Subscribe(ctx, &pb.SubscribeRequest{TenantId: "t"})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := stream.Header(); err != nil {
					b.Fatal(err)
				}
				loops.Go(func() {
					for {
						if _, err := stream.Recv(); err != nil {
							return
						}
						have.Done()
					}
				})
			}
			tenant, err := backend.Tenant("t")
			if err != nil {
				b.Fatal(err)
			}
			batch := []store.Event{{Type: "Made", Data: make([]byte, 10_000)}}
			for b.Loop() {
				have.Add(subscribers)
				batch[0].ID = store.NewID()
				if _, err := tenant.Append(ctx, store.Stream{Type: "A", ID: "a"}, store.Any, batch); err != nil {
					b.Fatal(err)
				}
				have.Wait()
			}
			cancel()
			loops.Wait()
		})
	}
}
