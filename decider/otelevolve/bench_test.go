package otelevolve_test

import (
	"context"
	"testing"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/evolvego/evolve/decider/otelevolve"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store/memory"
)

// BenchmarkCommand is a command on a cached state in memory.
func BenchmarkCommand(b *testing.B) {
	metrics := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	sampled := func(s sdktrace.Sampler) *sdktrace.TracerProvider {
		return sdktrace.NewTracerProvider(sdktrace.WithSampler(s))
	}
	for _, bench := range []struct {
		name string
		c    *otelevolve.Config
	}{
		{"no observer", nil},
		{"nothing", &otelevolve.Config{TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: metricnoop.NewMeterProvider()}},
		{"metrics", &otelevolve.Config{TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: metrics}},
		{"not sampled", &otelevolve.Config{TracerProvider: sampled(sdktrace.NeverSample()), MeterProvider: metricnoop.NewMeterProvider()}},
		{"sampled", &otelevolve.Config{TracerProvider: sampled(sdktrace.AlwaysSample()), MeterProvider: metricnoop.NewMeterProvider()}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			st := memory.New()
			run := newAccounts(st).WithCache(runner.Cache[account]{})
			if bench.c != nil {
				tel := otelevolve.New(*bench.c)
				run = newAccounts(tel.Store(st)).WithCache(runner.Cache[account]{}).WithObserver(tel.Runner())
			}
			ctx := context.Background()
			if _, err := run.Handle(ctx, "a", deposit{1}); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() { // nothing to do: the store has no part in it
				if _, err := run.Handle(ctx, "a", deposit{0}, runner.AnyCached()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAppend is a command that appends, on a cached state in memory.
func BenchmarkAppend(b *testing.B) {
	metrics := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	for _, bench := range []struct {
		name string
		c    *otelevolve.Config
	}{
		{"no observer", nil},
		{"metrics", &otelevolve.Config{TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: metrics}},
		{"sampled", &otelevolve.Config{TracerProvider: sdktrace.NewTracerProvider(), MeterProvider: metricnoop.NewMeterProvider()}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			st := memory.New()
			run := newAccounts(st).WithCache(runner.Cache[account]{})
			if bench.c != nil {
				tel := otelevolve.New(*bench.c)
				run = newAccounts(tel.Store(st)).WithCache(runner.Cache[account]{}).WithObserver(tel.Runner())
			}
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := run.Handle(ctx, "a", deposit{1}, runner.AnyCached()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
