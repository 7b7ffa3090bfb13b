package server_test

import (
	"context"
	"fmt"
	"net"
	"testing"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/evolvego/evolve/store"
	pb "github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// served is a server on TCP, and a client that knows only the protocol.
type served struct {
	pb.EventStoreClient

	server  *server.Server
	address string
}

// serveRaw serves backend until the test ends.
func serveRaw(tb testing.TB, backend store.Store, options ...server.Option) served {
	tb.Helper()
	var lc net.ListenConfig
	lis, err := lc.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := server.New(backend, options...)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, lis) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("Serve = %v", err)
		}
	})
	out := served{server: s, address: lis.Addr().String()}
	out.EventStoreClient = pb.NewEventStoreClient(out.dial(tb))
	return out
}

// dial returns a new connection to the server.
func (s served) dial(tb testing.TB, options ...gogrpc.DialOption) *gogrpc.ClientConn {
	tb.Helper()
	options = append([]gogrpc.DialOption{gogrpc.WithTransportCredentials(insecure.NewCredentials())}, options...)
	conn, err := gogrpc.NewClient(s.address, options...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

// rawEvents returns n events with nonces from first on, and new ids.
func rawEvents(first uint64, n int) []*pb.EventData {
	events := make([]*pb.EventData, n)
	for i := range events {
		events[i] = &pb.EventData{
			Meta: &pb.EventMetadata{
				EventId: store.NewID(), AggregateNonce: first + uint64(i), EventType: "Deposited",
				EventVersion: 1, ContentType: "application/json", TimestampUnixMs: 1_700_000_000_123,
			},
			Payload: fmt.Appendf(nil, `{"cents":%d}`, i),
		}
	}
	return events
}

// rawAppend returns an append of n new events to account id of tenant "t".
func rawAppend(id string, expected uint64, n int) *pb.AppendRequest {
	return &pb.AppendRequest{
		TenantId: "t", AggregateId: id, AggregateType: "Account",
		ExpectedAggregateNonce: expected, Events: rawEvents(expected+1, n),
	}
}

func (s served) mustAppend(tb testing.TB, req *pb.AppendRequest) *pb.AppendResponse {
	tb.Helper()
	resp, err := s.Append(tb.Context(), req)
	if err != nil {
		tb.Fatalf("Append to %q expecting %d = %v", req.GetAggregateId(), req.GetExpectedAggregateNonce(), err)
	}
	return resp
}

// wantStatus fails unless err has this code and message.
func wantStatus(tb testing.TB, err error, code codes.Code, message string) {
	tb.Helper()
	if st := status.Convert(err); st.Code() != code || st.Message() != message {
		tb.Errorf("status = %s %q, want %s %q", st.Code(), st.Message(), code, message)
	}
}

func newMemory(tb testing.TB) *memory.Store {
	tb.Helper()
	st := memory.New()
	tb.Cleanup(func() { _ = st.Close() })
	return st
}
