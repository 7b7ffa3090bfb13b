package cqrsgrpc_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/samber/lo"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/evolvego/evolve/decider/cqrs"
	"github.com/evolvego/evolve/decider/cqrs/cqrsgrpc"
)

// service answers each call at the next position of a log, and records the position that
// the call asked for.
type service struct {
	grpc_health_v1.UnimplementedHealthServer

	mu    sync.Mutex
	head  uint64   // guarded by mu
	asked []uint64 // guarded by mu
}

func (s *service) Check(ctx context.Context, r *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, cqrs.Position(ctx))
	if r.GetService() == "query" {
		return &grpc_health_v1.HealthCheckResponse{}, nil
	}
	s.head += 10
	return &grpc_health_v1.HealthCheckResponse{}, cqrsgrpc.SetPosition(ctx, s.head)
}

// dial returns a client of s, and a function that closes both.
func dial(s *service) (grpc_health_v1.HealthClient, func()) {
	lis := bufconn.Listen(1 << 16)
	server := grpc.NewServer(grpc.ChainUnaryInterceptor(cqrsgrpc.Server))
	grpc_health_v1.RegisterHealthServer(server, s)
	go func() { _ = server.Serve(lis) }()
	conn := lo.Must(grpc.NewClient("passthrough:///", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }),
		grpc.WithChainUnaryInterceptor(cqrsgrpc.Client)))
	return grpc_health_v1.NewHealthClient(conn), func() {
		_ = conn.Close()
		server.Stop()
	}
}

// TestTrack checks that each call of a tracked context asks for the latest position that
// earlier calls reported, or that the context has.
func TestTrack(t *testing.T) {
	t.Parallel()
	s := &service{}
	client, end := dial(s)
	defer end()
	call := func(ctx context.Context, name string) {
		t.Helper()
		if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: name}); err != nil {
			t.Fatal(err)
		}
	}
	call(t.Context(), "command") // not tracked
	ctx, seen := cqrsgrpc.Track(t.Context())
	call(ctx, "query")
	call(ctx, "command")
	call(ctx, "query")
	call(ctx, "command")
	call(cqrs.AtLeast(ctx, 7), "query")
	call(cqrs.AtLeast(ctx, 70), "query")
	call(cqrs.AtLeast(t.Context(), 5), "query")
	call(t.Context(), "query")
	if want := []uint64{0, 0, 0, 20, 20, 30, 70, 5, 0}; fmt.Sprint(s.asked) != fmt.Sprint(want) {
		t.Errorf("the calls asked for %d, want %d", s.asked, want)
	}
	if seen.Position() != 30 {
		t.Errorf("seen position %d, want 30", seen.Position())
	}
}

func TestServerRefuses(t *testing.T) {
	t.Parallel()
	s := &service{}
	client, end := dial(s)
	defer end()
	for _, values := range [][]string{{"seven"}, {""}, {"-1"}, {"9007199254740992"}, {"1", "2"}} {
		ctx := t.Context()
		for _, v := range values {
			ctx = metadata.AppendToOutgoingContext(ctx, "at-least", v) //nolint:fatcontext // only a few
		}
		if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("at-least %q: %v, want INVALID_ARGUMENT", values, err)
		}
	}
	if len(s.asked) > 0 {
		t.Errorf("%d calls reached the service", len(s.asked))
	}
}
