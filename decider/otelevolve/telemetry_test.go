package otelevolve_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/evolvego/evolve/decider/otelevolve"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store/memory"
)

func TestMain(m *testing.M) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {})) // tests cause many errors
	os.Exit(m.Run())
}

// TestAllocations checks that metrics allocate nothing for a command.
func TestAllocations(t *testing.T) { //nolint:paralleltest // it counts the allocations of the whole program
	tel := otelevolve.New(otelevolve.Config{
		TracerProvider: tracenoop.NewTracerProvider(),
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
	})
	for name, c := range map[string]command{"unchanged": deposit{0}, "appended": deposit{1}} {
		allocs := func(o runner.Observer) float64 {
			run := newAccounts(memory.New()).WithCache(runner.Cache[account]{}).WithObserver(o)
			return testing.AllocsPerRun(200, func() {
				if _, err := run.Handle(context.Background(), "a", c); err != nil {
					t.Fatal(err)
				}
			})
		}
		if with, without := allocs(tel.Runner()), allocs(nil); with > without {
			t.Errorf("a command that is %s takes %v allocations, and %v without metrics", name, with, without)
		}
	}
}

// TestOnlyWhoWantsIt checks that nothing else in evolve imports OpenTelemetry, so that a
// program without this module has none of it.
func TestOnlyWhoWantsIt(t *testing.T) {
	t.Parallel()
	root := "github.com/evolvego/evolve/"
	list := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("go list %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	others := slices.DeleteFunc(strings.Fields(list(root+"decider/...", root+"store/...", root+"props/...")), func(name string) bool {
		return name == root+"decider/otelevolve"
	})
	out := list(append([]string{"-deps"}, others...)...)
	text := "\n" + out
	for _, own := range []string{"decider/runner", "decider/projection", "store/grpc/server", "store/memory"} {
		if !strings.Contains(text, "\n"+root+own+"\n") {
			t.Errorf("%s is not in the list: this test checks the wrong packages", own)
		}
	}
	for name := range strings.Lines(out) {
		if name = strings.TrimSpace(name); strings.Contains(name, "opentelemetry") {
			t.Errorf("evolve imports %s", name)
		}
	}
	out = list("-deps", root+"decider/otelevolve")
	if !strings.Contains(out, "go.opentelemetry.io/otel/trace\n") {
		t.Errorf("this module does not import OpenTelemetry:\n%s", out)
	}
	for _, heavy := range []string{"go.opentelemetry.io/otel/sdk", "google.golang.org/grpc", "go.opentelemetry.io/otel/exporters"} {
		if strings.Contains(out, "\n"+heavy) {
			t.Errorf("this module imports %s", heavy)
		}
	}
}

// badMeter makes no instruments.
type badMeter struct{ metricnoop.Meter }

var errMeter = errors.New("no instruments today")

func (badMeter) Float64Histogram(string, ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return nil, errMeter
}

func (badMeter) Int64Histogram(string, ...metric.Int64HistogramOption) (metric.Int64Histogram, error) {
	return nil, errMeter
}

func (badMeter) Int64Counter(string, ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return nil, errMeter
}

func (badMeter) Int64ObservableGauge(string, ...metric.Int64ObservableGaugeOption) (metric.Int64ObservableGauge, error) {
	return nil, errMeter
}

func (badMeter) Float64ObservableGauge(string, ...metric.Float64ObservableGaugeOption) (metric.Float64ObservableGauge, error) {
	return nil, errMeter
}

func (badMeter) RegisterCallback(metric.Callback, ...metric.Observable) (metric.Registration, error) {
	return nil, errMeter
}

type badMeters struct{ metricnoop.MeterProvider }

func (badMeters) Meter(string, ...metric.MeterOption) metric.Meter { return badMeter{} }

// badTracer panics, as a user's sampler could.
type badTracer struct{ tracenoop.Tracer }

func (badTracer) Start(context.Context, string, ...trace.SpanStartOption) (context.Context, trace.Span) {
	panic("a sampler that panics")
}

type badTracers struct{ tracenoop.TracerProvider }

func (badTracers) Tracer(string, ...trace.TracerOption) trace.Tracer { return badTracer{} }

// TestBadProviders checks that failing providers do not affect commands.
func TestBadProviders(t *testing.T) {
	t.Parallel()
	tel := otelevolve.New(otelevolve.Config{TracerProvider: badTracers{}, MeterProvider: badMeters{}})
	run := newAccounts(tel.Store(memory.New())).WithObserver(tel.Runner()).WithMetadata(tel.Metadata(nil))
	for range 2 {
		if out, err := run.Handle(t.Context(), "a", deposit{1}); err != nil || len(out.Events) != 1 {
			t.Errorf("Handle = %+v, %v", out, err)
		}
	}
}

func TestLogHandler(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	h := slog.NewTextHandler(&text, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	l := slog.New(otelevolve.LogHandler(h)).With("a", 1).WithGroup("g")
	l.InfoContext(t.Context(), "outside", "b", 2)
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	l.InfoContext(ctx, "inside", "b", 2)
	want := "level=INFO msg=outside a=1 g.b=2\n" +
		"level=INFO msg=inside a=1 g.b=2 g.trace_id=01000000000000000000000000000000 g.span_id=0200000000000000\n"
	if text.String() != want {
		t.Errorf("the log is\n%s, want\n%s", &text, want)
	}
}
