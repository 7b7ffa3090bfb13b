package otelevolve_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/evolvego/evolve/decider/otelevolve"
	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// recording returns a provider, and the spans that have ended.
func recording() (*sdktrace.TracerProvider, *tracetest.InMemoryExporter) {
	spans := tracetest.NewInMemoryExporter()
	return sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)), spans
}

// A command is a span, with the spans of its steps as children.
func Example() {
	tracers, spans := recording()
	tel := otelevolve.New(otelevolve.Config{TracerProvider: tracers})
	accounts := newAccounts(tel.Store(memory.New())).WithObserver(tel.Runner()).WithMetadata(tel.Metadata(nil))

	_, err := accounts.Handle(context.Background(), "acc-1", deposit{Cents: 500})
	for _, span := range spans.GetSpans() {
		fmt.Println(span.Name)
	}
	fmt.Println(err)
	// Output:
	// read Account
	// load Account
	// append Account
	// handle Account
	// <nil>
}

// One Telemetry observes everything in a program.
func Example_program() {
	st := memory.New()
	accounts := newAccounts(st)
	balances := newBalances(st)
	transfers := process.New(st, st, "Transfers", echo(), moves())

	tel := otelevolve.New(otelevolve.Config{}) // the global providers of OpenTelemetry
	accounts = accounts.WithObserver(tel.Runner()).WithMetadata(tel.Metadata(nil))
	balances = balances.WithObserver(tel.Projection())
	defer tel.WatchProjection(balances)()
	transfers = transfers.WithObserver(tel.Process())
	defer tel.WatchProcess(transfers)()

	out, err := accounts.Handle(context.Background(), "acc-1", deposit{Cents: 500})
	fmt.Println(out.State.Cents, balances.Progress().State, transfers.Progress().State, err)
	// Output: 500 idle idle <nil>
}

func ExampleNew() {
	reader := sdkmetric.NewManualReader()
	tel := otelevolve.New(otelevolve.Config{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	accounts := newAccounts(memory.New()).WithObserver(tel.Runner())
	_, _ = accounts.Handle(context.Background(), "acc-1", deposit{Cents: 500})

	var got metricdata.ResourceMetrics
	_ = reader.Collect(context.Background(), &got)
	var names []string
	for _, m := range got.ScopeMetrics[0].Metrics {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Println(name)
	}
	// Output:
	// evolve.append.duration
	// evolve.append.events
	// evolve.command.attempts
	// evolve.command.duration
	// evolve.load.duration
	// evolve.load.events
}

func ExampleConfig() {
	tracers, spans := recording()
	tel := otelevolve.New(otelevolve.Config{
		TracerProvider: tracers,
		Rejection:      func(error) string { return "insufficient_funds" },
	})
	_, err := newAccounts(memory.New()).WithObserver(tel.Runner()).Handle(context.Background(), "acc-1", withdraw{Cents: 5})
	span := spans.GetSpans()[1]
	fmt.Println(err)
	fmt.Println(span.Name, value(span.Attributes, "evolve.outcome"), value(span.Attributes, "evolve.rejection"), span.Status.Code)
	// Output:
	// account: insufficient funds: 5 of 0
	// handle Account rejected insufficient_funds Unset
}

// The trace of a command is in the headers of its events.
func ExampleTelemetry_Metadata() {
	tel := otelevolve.New(otelevolve.Config{})
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0xab}, SpanID: trace.SpanID{0xcd}, TraceFlags: trace.FlagsSampled})
	ctx := trace.ContextWithSpanContext(context.Background(), span)
	m := tel.Metadata(func(context.Context) store.Metadata { return store.Metadata{ActorID: "ann"} })(ctx)
	fmt.Println(m.ActorID, m.Headers["traceparent"])

	event := &store.Recorded{Event: store.Event{Meta: m}}
	fmt.Println(trace.SpanContextFromContext(tel.FromEvent(context.Background(), event)).TraceID() == span.TraceID())
	// Output:
	// ann 00-ab000000000000000000000000000000-cd00000000000000-01
	// true
}

// A batch of a group has links to the commands that it handles.
func ExampleTelemetry_Group() {
	tel := otelevolve.New(otelevolve.Config{})
	accounts := newAccounts(memory.New()).WithObserver(tel.Runner())
	group := runner.NewGroup(accounts).WithContext(tel.Group)
	defer group.Close()
	out, err := group.Handle(context.Background(), "acc-1", deposit{Cents: 500})
	fmt.Println(out.State.Cents, err)
	// Output: 500 <nil>
}

// A projection has an observer, and is watched while it runs.
func ExampleTelemetry_Projection() {
	tracers, spans := recording()
	tel := otelevolve.New(otelevolve.Config{TracerProvider: tracers})
	st := memory.New()
	balances := newBalances(st).WithObserver(tel.Projection())
	defer tel.WatchProjection(balances)()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = balances.Run(ctx)
	}()
	out, _ := newAccounts(st).Handle(ctx, "acc-1", deposit{Cents: 500})
	fmt.Println(balances.WaitFor(ctx, out.Position))
	cancel()
	<-done
	fmt.Println(spans.GetSpans()[0].Name)
	// Output:
	// <nil>
	// process balances@1
}

// The commands of a process are children of its reaction.
func ExampleTelemetry_Process() {
	tracers, spans := recording()
	tel := otelevolve.New(otelevolve.Config{TracerProvider: tracers})
	st := memory.New()
	echoes := process.New(st, st, "Echo", echo(), moves()).WithObserver(tel.Process())
	defer tel.WatchProcess(echoes)()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = echoes.Run(ctx, func(ctx context.Context, c process.Command[string]) error {
			fmt.Println(c.Command, trace.SpanFromContext(ctx).IsRecording())
			return nil
		})
	}()
	out, _ := newAccounts(st).Handle(ctx, "acc-1", deposit{Cents: 500})
	_ = echoes.WaitFor(ctx, out.Position)
	cancel()
	<-done
	fmt.Println(spans.GetSpans()[0].Name)
	// Output:
	// one 1 true
	// two 1 true
	// react Echo@1
}

func ExampleTelemetry_WatchProjection() {
	reader := sdkmetric.NewManualReader()
	tel := otelevolve.New(otelevolve.Config{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	stop := tel.WatchProjection(progress{Build: "balances@1", State: projection.Behind, Position: 90, Head: 100})
	defer stop()

	var got metricdata.ResourceMetrics
	_ = reader.Collect(context.Background(), &got)
	for _, m := range got.ScopeMetrics[0].Metrics {
		if data, ok := m.Data.(metricdata.Gauge[int64]); ok && m.Name == "evolve.projection.lag" {
			fmt.Println(m.Name, data.DataPoints[0].Value)
		}
	}
	// Output: evolve.projection.lag 10
}

// progress returns a fixed progress.
type progress projection.Progress

func (p progress) Progress() projection.Progress { return projection.Progress(p) }

func ExampleLogHandler() {
	h := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0xab}, SpanID: trace.SpanID{0xcd}})
	ctx := trace.ContextWithSpanContext(context.Background(), span)
	slog.New(otelevolve.LogHandler(h)).InfoContext(ctx, "deposited")
	// Output: level=INFO msg=deposited trace_id=ab000000000000000000000000000000 span_id=cd00000000000000
}
