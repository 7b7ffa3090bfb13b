package server

import (
	"context"
	"net"
	"sync"
	"time"

	gogrpc "google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
)

const (
	// maxRequest is the maximum size of a request: enough for a batch of the size that
	// every store accepts, with its overhead, in one message.
	maxRequest = 64 << 20
	// drainTime is how long calls in progress have to end when a server stops.
	drainTime = 10 * time.Second
)

// GRPCOptions returns options for a gRPC server that serves the protocol: requests of
// up to 64 MiB, clients that may ping every 10 seconds, and pings for silent clients,
// so that broken connections end.
func GRPCOptions() []gogrpc.ServerOption {
	return []gogrpc.ServerOption{
		gogrpc.MaxRecvMsgSize(maxRequest),
		gogrpc.WaitForHandlers(true),
		gogrpc.MaxConcurrentStreams(1 << 14),
		gogrpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		gogrpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
	}
}

// Drain prepares for shutdown: the health is not serving, every subscription ends with
// UNAVAILABLE, and so does each new one. Other calls continue; the GracefulStop of a
// gRPC server waits for them. You can call Drain more than once.
func (s *Server) Drain() {
	s.drain.Do(func() {
		s.health.Shutdown()
		close(s.draining)
	})
}

// Serve serves the protocol, its health and reflection on lis until ctx ends. Then it
// drains, gives the calls in progress 10 seconds to end, and returns nil when all have
// ended. The options follow those of [GRPCOptions]. While it serves, it monitors the
// backend; see [Server.Monitor].
func (s *Server) Serve(ctx context.Context, lis net.Listener, options ...gogrpc.ServerOption) error {
	g := gogrpc.NewServer(append(GRPCOptions(), options...)...)
	s.Register(g)
	healthv1.RegisterHealthServer(g, s.health)
	reflection.Register(g)
	serving, ended := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { s.Monitor(serving) })
	beside.Go(func() {
		<-serving.Done()
		if ctx.Err() != nil {
			s.stop(g)
		}
	})
	err := g.Serve(lis)
	ended()
	beside.Wait()
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was to end
	}
	return err
}

func (s *Server) stop(g *gogrpc.Server) {
	s.Drain()
	defer time.AfterFunc(drainTime, g.Stop).Stop()
	g.GracefulStop()
}
