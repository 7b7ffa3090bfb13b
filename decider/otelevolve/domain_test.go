package otelevolve_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/otelevolve"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
)

// The domain: accounts.
type (
	command  interface{ isCommand() }
	deposit  struct{ Cents int64 }
	withdraw struct{ Cents int64 }
	crash    struct{ Text string } // panics in Decide

	changed struct{ Cents int64 }
	account struct{ Cents int64 }
)

func (deposit) isCommand()  {}
func (withdraw) isCommand() {}
func (crash) isCommand()    {}

var errPoor = errors.New("account: insufficient funds")

func decide(c command, s account) ([]changed, error) {
	switch c := c.(type) {
	case deposit:
		if c.Cents == 0 {
			return nil, nil
		}
		return []changed{{c.Cents}}, nil
	case withdraw:
		if c.Cents > s.Cents {
			return nil, fmt.Errorf("%w: %d of %d", errPoor, c.Cents, s.Cents)
		}
		return []changed{{-c.Cents}}, nil
	case crash:
		panic(c.Text)
	}
	panic("unreachable: unknown command")
}

func evolve(s account, e changed) account { return account{s.Cents + e.Cents} }

type accounts = runner.Runner[command, account, changed]

func events() codec.Codec[changed] { return codec.JSON(map[string]changed{"Changed": {}}) }

func newAccounts(st store.Store) *accounts {
	return runner.New("Account", decider.New(decide, evolve), st, events())
}

// rig is a Telemetry together with its exported data.
type rig struct {
	*otelevolve.Telemetry

	tracer  *sdktrace.TracerProvider
	spans   *tracetest.InMemoryExporter
	reader  *sdkmetric.ManualReader
	started *starts
}

// starts counts the spans that start and end.
type starts struct {
	mu   sync.Mutex
	open map[trace.SpanID]string // guarded by mu
}

func (s *starts) OnStart(_ context.Context, span sdktrace.ReadWriteSpan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[span.SpanContext().SpanID()] = span.Name()
}

func (s *starts) OnEnd(span sdktrace.ReadOnlySpan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, span.SpanContext().SpanID())
}

func (*starts) Shutdown(context.Context) error   { return nil }
func (*starts) ForceFlush(context.Context) error { return nil }

func newRig(c otelevolve.Config) *rig {
	r := &rig{spans: tracetest.NewInMemoryExporter(), reader: sdkmetric.NewManualReader(), started: &starts{open: map[trace.SpanID]string{}}}
	r.tracer = sdktrace.NewTracerProvider(sdktrace.WithSyncer(r.spans), sdktrace.WithSpanProcessor(r.started))
	c.TracerProvider = r.tracer
	c.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.reader))
	r.Telemetry = otelevolve.New(c)
	return r
}

// observed returns accounts on st that r observes.
func (r *rig) observed(st store.Store) *accounts {
	return newAccounts(r.Store(st)).WithObserver(r.Runner()).WithMetadata(r.Metadata(nil))
}

// ended returns the spans that have ended, in that order, and removes them.
func (r *rig) ended() tracetest.SpanStubs {
	defer r.spans.Reset()
	return r.spans.GetSpans()
}

// the returns the span called name. There must be exactly one.
func the(tb testing.TB, spans tracetest.SpanStubs, name string) tracetest.SpanStub {
	tb.Helper()
	var found []tracetest.SpanStub
	for _, s := range spans {
		if s.Name == name {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		tb.Fatalf("there are %d spans %q, want 1, among %q", len(found), name, names(spans))
	}
	return found[0]
}

func names(spans tracetest.SpanStubs) []string {
	all := make([]string, len(spans))
	for i := range spans {
		all[i] = spans[i].Name
	}
	return all
}

// value returns the attribute called key as text, or "" if there is none.
func value(attributes []attribute.KeyValue, key string) string {
	for _, a := range attributes {
		if string(a.Key) == key {
			return a.Value.Emit()
		}
	}
	return ""
}

// collected returns the metrics by name.
func (r *rig) collected(tb testing.TB) map[string]metricdata.Metrics {
	tb.Helper()
	var got metricdata.ResourceMetrics
	if err := r.reader.Collect(context.Background(), &got); err != nil {
		tb.Fatal(err)
	}
	all := map[string]metricdata.Metrics{}
	for _, scope := range got.ScopeMetrics {
		for _, m := range scope.Metrics {
			all[m.Name] = m
		}
	}
	return all
}

// points returns the points of a metric by their attributes as text, such as
// "evolve.outcome=appended,…": the count of a histogram, the sum of a counter, or the
// value of a gauge.
func points(tb testing.TB, m metricdata.Metrics) map[string]float64 {
	tb.Helper()
	all := map[string]float64{}
	add := func(set attribute.Set, v float64) {
		var parts []string
		for _, a := range set.ToSlice() {
			parts = append(parts, strings.TrimPrefix(string(a.Key), "evolve.")+"="+a.Value.Emit())
		}
		all[strings.Join(parts, ",")] = v
	}
	switch data := m.Data.(type) {
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			add(p.Attributes, float64(p.Count))
		}
	case metricdata.Histogram[int64]:
		for _, p := range data.DataPoints {
			add(p.Attributes, float64(p.Count))
		}
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			add(p.Attributes, float64(p.Value))
		}
	case metricdata.Gauge[int64]:
		for _, p := range data.DataPoints {
			add(p.Attributes, float64(p.Value))
		}
	case metricdata.Gauge[float64]:
		for _, p := range data.DataPoints {
			add(p.Attributes, p.Value)
		}
	default:
		tb.Fatalf("metric %q is a %T", m.Name, m.Data)
	}
	return all
}
