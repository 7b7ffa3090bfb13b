package otelevolve_test

import (
	"context"
	"slices"
	"testing"
	"time"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/evolvego/evolve/decider/otelevolve"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store/memory"
)

// BenchmarkCommand measures a command on a cached state in memory.
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
			for b.Loop() { // nothing to do: the store is not involved
				if _, err := run.Handle(ctx, "a", deposit{0}, runner.AnyCached()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAppend measures a command that appends, on a cached state in memory.
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

// BenchmarkCost measures what telemetry adds to a command, in ns: blocks of 100 commands
// with and without it alternate, so that a busy machine slows both. It reports the
// median.
func BenchmarkCost(b *testing.B) {
	metrics := &otelevolve.Config{
		TracerProvider: tracenoop.NewTracerProvider(),
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
	}
	spans := func(s sdktrace.Sampler) *otelevolve.Config {
		return &otelevolve.Config{
			TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSampler(s)), MeterProvider: metricnoop.NewMeterProvider(),
		}
	}
	for name, cents := range map[string]int64{"unchanged": 0, "appended": 1} {
		for _, bench := range []struct {
			name string
			c    *otelevolve.Config
		}{
			{"metrics", metrics}, {"not sampled", spans(sdktrace.NeverSample())}, {"sampled", spans(sdktrace.AlwaysSample())},
		} {
			b.Run(name+"/"+bench.name, func(b *testing.B) {
				bare, with := commandsOf(b, nil, cents), commandsOf(b, bench.c, cents)
				var added []float64
				for b.Loop() {
					added = append(added, float64(-bare()+with())/100)
				}
				slices.Sort(added)
				b.ReportMetric(added[len(added)/2], "ns/added")
				b.ReportMetric(0, "ns/op") // for a block it means nothing
			})
		}
	}
}

// commandsOf returns a function that handles 100 commands, and returns how long that
// took.
func commandsOf(tb testing.TB, c *otelevolve.Config, cents int64) func() time.Duration {
	tb.Helper()
	st := memory.New()
	run := newAccounts(st).WithCache(runner.Cache[account]{})
	if c != nil {
		tel := otelevolve.New(*c)
		run = newAccounts(tel.Store(st)).WithCache(runner.Cache[account]{}).WithObserver(tel.Runner())
	}
	handle := func(cents int64) {
		if _, err := run.Handle(tb.Context(), "a", deposit{cents}, runner.AnyCached()); err != nil {
			tb.Fatal(err)
		}
	}
	handle(1)
	return func() time.Duration {
		began := time.Now()
		for range 100 {
			handle(cents)
		}
		return time.Since(began)
	}
}
