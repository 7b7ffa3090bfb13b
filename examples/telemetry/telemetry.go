// Package telemetry shows one trace that goes through everything: the handler, the
// command, the client of eventstored, the server, the store behind it and its SQL. The
// spans come from decider/otelevolve, otelgrpc and otelpgx.
package telemetry

import (
	"context"
	"net"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc/filters"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	gogrpc "google.golang.org/grpc"

	"github.com/evolvego/evolve/decider/otelevolve"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/postgres"
)

// Dial returns a store behind the eventstored at address. Its calls have spans that the
// server continues. Close the store after use.
func Dial(ctx context.Context, address string, spans trace.TracerProvider) (*grpc.Store, error) {
	return grpc.Open(ctx, address, grpc.Plaintext(), grpc.DialOptions(
		gogrpc.WithStatsHandler(otelgrpc.NewClientHandler(
			otelgrpc.WithTracerProvider(spans), otelgrpc.WithPropagators(propagation.TraceContext{}),
			otelgrpc.WithFilter(shortCalls()),
		))))
}

// Serve serves st on lis until ctx ends, as eventstored does if
// OTEL_EXPORTER_OTLP_ENDPOINT is set.
func Serve(ctx context.Context, lis net.Listener, st store.Store, spans trace.TracerProvider) error {
	tel := otelevolve.New(otelevolve.Config{TracerProvider: spans})
	return server.New(tel.Store(st)).Serve(ctx, lis, gogrpc.StatsHandler(otelgrpc.NewServerHandler(
		otelgrpc.WithTracerProvider(spans), otelgrpc.WithPropagators(propagation.TraceContext{}),
		otelgrpc.WithFilter(shortCalls()),
	)))
}

// shortCalls leaves out health checks and subscriptions, whose spans would last for
// hours.
func shortCalls() otelgrpc.Filter {
	return filters.All(filters.Not(filters.HealthCheck()), filters.Not(filters.MethodName("Subscribe")))
}

// OpenPostgres returns a store in the PostgreSQL database at url, whose statements have
// spans. Close the store, and then the pool.
func OpenPostgres(ctx context.Context, url string, spans trace.TracerProvider) (*postgres.Store, *pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, nil, err
	}
	config.ConnConfig.Tracer = otelpgx.NewTracer(otelpgx.WithTracerProvider(spans))
	postgres.Configure(config)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	st, err := postgres.New(ctx, pool)
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	return st, pool, nil
}
