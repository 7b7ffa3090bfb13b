package server

import (
	"context"
	"time"

	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/evolvego/evolve/store/grpc/eventstorev1"
)

const (
	// probeEvery is how often Monitor checks the backend, and how long it waits for an
	// answer.
	probeEvery = time.Second
	// probeFailures is how many checks in a row must fail.
	probeFailures = 2
)

// Health returns the health of the service, under its name eventstore.v1.EventStore and
// for the whole server: serving, unless the server drains or [Server.Monitor] finds
// that the backend does not answer. Register it together with the service for load
// balancers.
func (s *Server) Health() *health.Server { return s.health }

func (s *Server) setServing(serving bool) {
	of := healthv1.HealthCheckResponse_NOT_SERVING
	if serving {
		of = healthv1.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", of)
	s.health.SetServingStatus(eventstorev1.EventStore_ServiceDesc.ServiceName, of)
}

// Monitor asks the backend for its head every second until ctx ends. If two checks in a
// row get no answer, the health is not serving, and calls that fail return UNAVAILABLE;
// with the next answer the server is serving again. [Server.Serve] does this itself. If
// you register the server on your own gRPC server, call Monitor.
func (s *Server) Monitor(ctx context.Context) {
	tick := time.Tick(probeEvery)
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		if s.probe(ctx) || ctx.Err() != nil {
			failures = 0
		} else {
			failures++
		}
		if away := failures >= probeFailures; away != s.away.Swap(away) {
			s.setServing(!away)
			s.logger.WarnContext(ctx, "the store's health has changed", "answers", !away)
		}
	}
}

// probe reports whether the backend answers.
func (s *Server) probe(ctx context.Context) (ok bool) {
	ctx, cancel := context.WithTimeout(ctx, probeEvery)
	defer cancel()
	defer func() { _ = recover() }() // a backend that panics does not answer
	_, err := s.whole.Head(ctx)
	return err == nil
}
