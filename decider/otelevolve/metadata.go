package otelevolve

import (
	"context"
	"maps"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/evolvego/evolve/store"
)

// The headers of W3C Trace Context in events.
const (
	traceparent = "traceparent"
	tracestate  = "tracestate"
)

// mostHeader limits the length of a header from a context. Longer headers would be in
// every event, so they are left out.
const mostHeader = 512

// Metadata returns a function for [runner.Runner.WithMetadata]. It returns the metadata
// of from, plus the headers that identify the span of the command. If from is nil, there
// are only the headers. Without a span there are no headers. If from returns a
// traceparent, it stays, and nothing is added. Headers of the propagator that are longer
// than 512 bytes are left out.
func (t *Telemetry) Metadata(from func(context.Context) store.Metadata) func(context.Context) store.Metadata {
	return func(ctx context.Context) store.Metadata {
		var m store.Metadata
		if from != nil {
			m = from(ctx)
		}
		if _, ok := m.Headers[traceparent]; ok || !trace.SpanContextFromContext(ctx).IsValid() {
			return m
		}
		headers := headers{}
		t.propagator.Inject(ctx, headers)
		if len(m.Headers) > 0 {
			was := m.Headers
			m.Headers = maps.Clone(was)
			maps.Copy(m.Headers, headers)
			return m
		}
		m.Headers = headers
		return m
	}
}

// headers is a carrier for a propagator. The names are in lower case.
type headers map[string]string

var _ propagation.TextMapCarrier = headers{}

// Get returns the header called key.
func (h headers) Get(key string) string { return h[strings.ToLower(key)] }

// Set sets the header called key, unless its value is empty or too long.
func (h headers) Set(key, value string) {
	if value != "" && len(value) <= mostHeader {
		h[strings.ToLower(key)] = value
	}
}

// Keys returns the names of the headers.
func (h headers) Keys() []string {
	keys := make([]string, 0, len(h))
	for key := range h {
		keys = append(keys, key)
	}
	return keys
}

// origin returns the span that made e. It is invalid if e does not name one.
func (t *Telemetry) origin(e *store.Recorded) trace.SpanContext {
	if len(e.Meta.Headers) == 0 {
		return trace.SpanContext{}
	}
	ctx := t.propagator.Extract(context.Background(), headers(e.Meta.Headers))
	return trace.SpanContextFromContext(ctx)
}

// FromEvent returns ctx with the span that made e as a remote parent, for your own code
// that reads events. If e does not name a span, it returns ctx. If [Config].Propagator
// handles baggage, the result has the baggage of e too.
func (t *Telemetry) FromEvent(ctx context.Context, e *store.Recorded) context.Context {
	if len(e.Meta.Headers) == 0 {
		return ctx
	}
	return t.propagator.Extract(ctx, headers(e.Meta.Headers))
}
