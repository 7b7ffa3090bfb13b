package otelevolve

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	nometric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	notrace "go.opentelemetry.io/otel/trace/noop"
)

// scope is the name of the instrumentation.
const scope = "github.com/evolvego/evolve/decider/otelevolve"

// Config holds the settings of [New]. The zero Config means the global providers and the
// defaults.
type Config struct {
	// TracerProvider makes the spans. The default is the global provider. With the
	// provider of package noop there are no spans, and no cost.
	TracerProvider trace.TracerProvider
	// MeterProvider makes the metrics. The default is the global provider. With the
	// provider of package noop there are no metrics, and no cost.
	MeterProvider metric.MeterProvider
	// Propagator writes the context of a span into the headers of events, and reads it.
	// The default is W3C traceparent and tracestate, without baggage. Recorded events
	// stay for ever, so think twice before you add baggage.
	Propagator propagation.TextMapPropagator
	// NestWithin makes a reaction a child of the command whose event it reacts to,
	// instead of only linking it, if the event is younger than this duration. The default
	// 0 means never.
	NestWithin time.Duration
	// StreamIDs puts the ids of streams and of process instances on spans. They may be
	// e-mail addresses. The default leaves them out.
	StreamIDs bool
	// Tenants lists the tenants that spans and metrics name. All others are "other". If
	// it is empty, there is no tenant attribute. See [Telemetry.Tenant].
	Tenants []string
	// Rejection returns a code for the error of a rejected command, such as
	// "insufficient_funds", for its span. There should be few codes, without user data.
	// If it is nil, or the code is empty, there is none. It must be safe for concurrent
	// use.
	Rejection func(error) string
	// Now returns the current time, to compute the age of events. The default is
	// time.Now.
	Now func() time.Time
}

// Telemetry makes spans and metrics. [New] makes one. It is safe for concurrent use, and
// one is enough for a program. The zero Telemetry is not usable.
type Telemetry struct {
	tracer      trace.Tracer // nil: no spans
	instruments *instruments // nil: no metrics
	propagator  propagation.TextMapPropagator
	nestWithin  time.Duration
	streamIDs   bool
	rejection   func(error) string
	now         func() time.Time
	watched     *watched

	tenant   []attribute.KeyValue  // on everything; one at most
	tenants  map[string]*Telemetry // by id; "" is for all others
	labels   labels
	commands copied[[2]string, *measured] // by stream type and command
	starts   [3]copied[string, *start]    // by call and stream type
}

// New returns a Telemetry with the settings c. It leaves out metrics that cannot be made,
// and reports them to the error handler of package otel.
func New(c Config) *Telemetry {
	if c.TracerProvider == nil {
		c.TracerProvider = otel.GetTracerProvider()
	}
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	if c.Propagator == nil {
		c.Propagator = propagation.TraceContext{}
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // a shell has a clock
	}
	t := &Telemetry{
		propagator: c.Propagator, nestWithin: c.NestWithin, streamIDs: c.StreamIDs, rejection: c.Rejection, now: c.Now,
		watched: &watched{},
	}
	if _, off := c.TracerProvider.(notrace.TracerProvider); !off {
		t.tracer = c.TracerProvider.Tracer(scope)
	}
	if _, off := c.MeterProvider.(nometric.MeterProvider); !off {
		meter := c.MeterProvider.Meter(scope)
		t.instruments = newInstruments(meter)
		t.watched.register(meter)
	}
	if len(c.Tenants) > 0 {
		t.tenants = map[string]*Telemetry{}
		for _, id := range append([]string{""}, c.Tenants...) {
			t.tenants[id] = t.of(id)
		}
	}
	return t
}

// Tenant returns a Telemetry whose spans and metrics have the attribute evolve.tenant:
// id, if [Config].Tenants lists it, and "other" otherwise. Without Tenants, it returns t.
// If [Telemetry.Store] has returned a store, its tenants have the attribute already.
func (t *Telemetry) Tenant(id string) *Telemetry {
	switch of, ok := t.tenants[id]; {
	case t.tenants == nil:
		return t
	case ok && id != "":
		return of
	}
	return t.tenants[""]
}

// of returns a copy of t for a tenant, where "" means all others.
func (t *Telemetry) of(id string) *Telemetry {
	if id == "" {
		id = "other"
	}
	return &Telemetry{
		tracer: t.tracer, instruments: t.instruments, propagator: t.propagator, nestWithin: t.nestWithin,
		streamIDs: t.streamIDs, rejection: t.rejection, now: t.now, watched: t.watched, tenants: t.tenants,
		tenant: []attribute.KeyValue{attribute.String(keyTenant, id)},
	}
}

// activeKey is the context key of the span that was begun last.
type activeKey struct{}

// active is a span that was begun here, and its context.
type active struct {
	context.Context //nolint:containedctx // it is a context, in one allocation

	about any        // what it is about: a runner.Kind, or one of the kinds below
	span  trace.Span // nil: it could not be made
}

// Value returns a itself for activeKey.
func (a *active) Value(key any) any {
	if key == (activeKey{}) {
		return a
	}
	return a.Context.Value(key)
}

// activeOf returns the span that was begun last, or nil if there is none.
func activeOf(ctx context.Context) *active {
	a, _ := ctx.Value(activeKey{}).(*active)
	return a
}

// begin starts a span, which [Telemetry.end] ends with the same about. If that fails,
// there is no span, and the observed code continues.
func (t *Telemetry) begin(ctx context.Context, about any, name string, options ...trace.SpanStartOption) (began context.Context) {
	defer func() {
		if v := recover(); v != nil {
			otel.Handle(fmt.Errorf("otelevolve: begin the span %q: panic: %v", name, v))
			began = &active{ctx, about, nil}
		}
	}()
	spanned, span := t.tracer.Start(ctx, name, options...)
	return &active{spanned, about, span}
}

// skips reports whether the span that was begun last is not recorded. Then its children
// are not begun.
func skips(ctx context.Context) bool {
	a := activeOf(ctx)
	return a != nil && a.span != nil && !a.span.IsRecording()
}

// spanOf returns the span about something, if it is the one that was begun last.
func spanOf(ctx context.Context, about any) trace.Span {
	if a := activeOf(ctx); a != nil && a.about == about {
		return a.span
	}
	return nil
}
