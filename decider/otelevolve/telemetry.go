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

// scope names what makes the spans and metrics.
const scope = "github.com/evolvego/evolve/decider/otelevolve"

// Config is what [New] can be told. The zero Config is the global providers and the
// defaults.
type Config struct {
	// TracerProvider makes the spans; nil: the global one. With the one of package noop
	// there are no spans, and no cost.
	TracerProvider trace.TracerProvider
	// MeterProvider makes the metrics; nil: the global one. With the one of package noop
	// there are no metrics, and no cost.
	MeterProvider metric.MeterProvider
	// Propagator writes the context of a span into the headers of events, and reads
	// it; nil: W3C traceparent and tracestate, without baggage. What is appended stays
	// for ever, so think twice before you add baggage.
	Propagator propagation.TextMapPropagator
	// NestWithin makes the reaction of a process a child of the command whose event it
	// reacts to, and not only link it, if the event is younger than that. 0: never.
	NestWithin time.Duration
	// StreamIDs puts the ids of streams and of process instances on spans. They may be
	// e-mail addresses; false leaves them out.
	StreamIDs bool
	// Tenants are those that spans and metrics name; all others are "other". Empty:
	// tenants are not told apart. See [Telemetry.Tenant].
	Tenants []string
	// Rejection returns a code for the error of a rejected command, such as
	// "insufficient_funds", for its span: one of few, without anything of the user. Nil,
	// or an empty code: none. It must be safe for concurrent use.
	Rejection func(error) string
	// Now returns the time by which events are young; nil: time.Now.
	Now func() time.Time
}

// Telemetry makes spans and metrics. [New] makes it. It is safe for concurrent use, and one
// is enough for a program. The zero Telemetry is not usable.
type Telemetry struct {
	tracer      trace.Tracer // nil: no spans
	instruments *instruments // nil: no metrics
	propagator  propagation.TextMapPropagator
	nestWithin  time.Duration
	streamIDs   bool
	rejection   func(error) string
	now         func() time.Time
	watched     *watched

	tenant   []attribute.KeyValue  // of everything; none or one
	tenants  map[string]*Telemetry // by id; "": of all others
	labels   labels
	commands copied[[2]string, *measured] // by stream type and command
	starts   [3]copied[string, *start]    // by call and stream type
}

// New returns a Telemetry as c says. Metrics that cannot be made are left out, and the
// handler of errors of package otel is told.
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

// Tenant returns a Telemetry whose spans and metrics have the attribute evolve.tenant: the
// id, if [Config].Tenants has it, else "other". Without Tenants, that is t. The store of a tenant, of a store that
// [Telemetry.Store] has returned, has that one already.
func (t *Telemetry) Tenant(id string) *Telemetry {
	switch of, ok := t.tenants[id]; {
	case t.tenants == nil:
		return t
	case ok && id != "":
		return of
	}
	return t.tenants[""]
}

// of returns a copy of t for a tenant; "": all others.
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

// activeKey is where a context has the span that we began last.
type activeKey struct{}

// active is a span that we began, and the context that has it.
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

// activeOf returns the span that we began last, nil if there is none.
func activeOf(ctx context.Context) *active {
	a, _ := ctx.Value(activeKey{}).(*active)
	return a
}

// begin starts a span, whose end is [Telemetry.end] with the same about. If that fails,
// there is no span, and the code that is watched goes on.
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

// skips reports whether the span that we began last is not recorded: then those below it
// are not begun.
func skips(ctx context.Context) bool {
	a := activeOf(ctx)
	return a != nil && a.span != nil && !a.span.IsRecording()
}

// spanOf returns the span that is about something, if it is the one that we began last and
// there is one.
func spanOf(ctx context.Context, about any) trace.Span {
	if a := activeOf(ctx); a != nil && a.about == about {
		return a.span
	}
	return nil
}
