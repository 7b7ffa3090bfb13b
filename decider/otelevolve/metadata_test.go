package otelevolve_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider/otelevolve"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

type metadata = func(context.Context) store.Metadata

// spanContexts draws the context of a span.
func spanContexts() *rapid.Generator[trace.SpanContext] {
	return rapid.Custom(func(t *rapid.T) trace.SpanContext {
		var c trace.SpanContextConfig
		for i := range c.TraceID {
			c.TraceID[i] = rapid.Byte().Draw(t, "trace")
		}
		for i := range c.SpanID {
			c.SpanID[i] = rapid.Byte().Draw(t, "span")
		}
		c.TraceID[0], c.SpanID[0] = 1, 1 // all zero is invalid
		c.TraceFlags = trace.TraceFlags(rapid.ByteRange(0, 1).Draw(t, "flags"))
		var state trace.TraceState
		for i := range rapid.IntRange(0, 8).Draw(t, "states") {
			state, _ = state.Insert(fmt.Sprint("vendor", i), rapid.StringMatching(`[a-z]{1,120}`).Draw(t, "state"))
		}
		c.TraceState = state
		return trace.NewSpanContext(c)
	})
}

// travelLaw checks that the span in a context is the span of an event that was recorded
// with it, after a round trip through a store.
func travelLaw(t *rapid.T, tb rapid.TB, plant func(metadata) metadata) {
	tel := otelevolve.New(otelevolve.Config{TracerProvider: tracenoop.NewTracerProvider()})
	want := spanContexts().Draw(t, "span")
	own := map[string]string{"region": "eu"}
	from := func(context.Context) store.Metadata { return store.Metadata{ActorID: "ann", Headers: own} }
	st := memory.New()
	ctx := trace.ContextWithSpanContext(context.Background(), want)
	run := newAccounts(st).WithMetadata(plant(tel.Metadata(from)))
	for range 2 {
		if _, err := run.Handle(ctx, "a", deposit{1}); err != nil {
			tb.Fatalf("Handle = %v", err)
		}
	}
	page, err := st.Read(context.Background(), store.Stream{Type: "Account", ID: "a"}, store.ReadOptions{})
	if err != nil {
		tb.Fatalf("Read = %v", err)
	}
	for i := range page.Events {
		meta := page.Events[i].Meta
		got := trace.SpanContextFromContext(tel.FromEvent(context.Background(), &page.Events[i]))
		if got.TraceID() != want.TraceID() || got.SpanID() != want.SpanID() || got.TraceFlags() != want.TraceFlags() || !got.IsRemote() {
			tb.Fatalf("the event belongs to %+v, want %+v: headers %v", got, want, meta.Headers)
		}
		state := want.TraceState().String()
		if len(state) > 512 {
			state = ""
		}
		if got.TraceState().String() != state {
			tb.Fatalf("the state of the trace is %q, want %q", got.TraceState(), state)
		}
		if meta.ActorID != "ann" || meta.Headers["region"] != "eu" {
			tb.Fatalf("the user's metadata is lost: %+v", meta)
		}
		for key := range meta.Headers {
			if key != strings.ToLower(key) {
				tb.Fatalf("the header %q is not in lower case", key)
			}
		}
	}
	if !maps.Equal(own, map[string]string{"region": "eu"}) {
		tb.Fatalf("the user's map has changed: %v", own)
	}
}

func TestContextTravels(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { travelLaw(t, t, func(m metadata) metadata { return m }) })
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	tel := otelevolve.New(otelevolve.Config{})
	if m := tel.Metadata(nil)(t.Context()); len(m.Headers) != 0 {
		t.Errorf("without a span the headers are %v", m.Headers)
	}
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}}))
	theirs := func(context.Context) store.Metadata {
		return store.Metadata{Headers: map[string]string{"traceparent": "00-theirs"}}
	}
	if m := tel.Metadata(theirs)(ctx); len(m.Headers) != 1 || m.Headers["traceparent"] != "00-theirs" {
		t.Errorf("of an event that has a traceparent the headers are %v", m.Headers)
	}
	// The option of a call wins.
	st := memory.New()
	run := newAccounts(st).WithMetadata(tel.Metadata(nil))
	if _, err := run.Handle(ctx, "a", deposit{1}, runner.Metadata(theirs(ctx))); err != nil {
		t.Fatal(err)
	}
	page, err := st.Read(ctx, store.Stream{Type: "Account", ID: "a"}, store.ReadOptions{})
	if err != nil || page.Events[0].Meta.Headers["traceparent"] != "00-theirs" {
		t.Errorf("Metadata of the call: %v, %v", page.Events[0].Meta.Headers, err)
	}
	// Baggage is only added on request.
	member, err := baggage.NewMember("user", "ann")
	if err != nil {
		t.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	ctx = baggage.ContextWithBaggage(ctx, bag)
	if m := tel.Metadata(nil)(ctx); m.Headers["baggage"] != "" {
		t.Errorf("the headers are %v", m.Headers)
	}
	tel = otelevolve.New(otelevolve.Config{Propagator: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})})
	if m := tel.Metadata(nil)(ctx); m.Headers["baggage"] != "user=ann" {
		t.Errorf("with the propagator of baggage the headers are %v", m.Headers)
	}
}

// TestHostileHeaders checks that an event with arbitrary headers does no harm.
func TestHostileHeaders(t *testing.T) {
	t.Parallel()
	tel := otelevolve.New(otelevolve.Config{})
	rapid.Check(t, func(t *rapid.T) {
		parent := rapid.OneOf(rapid.String(), rapid.StringMatching(`[0-9a-f]{2}-[0-9a-f]{30,33}-[0-9a-f]{15,17}-[0-9a-f]{1,3}`)).Draw(t, "traceparent")
		e := &store.Recorded{Event: store.Event{Meta: store.Metadata{Headers: map[string]string{
			"traceparent": parent, "tracestate": rapid.String().Draw(t, "tracestate"), "baggage": rapid.String().Draw(t, "baggage"),
		}}}}
		if c := trace.SpanContextFromContext(tel.FromEvent(context.Background(), e)); c.IsValid() && !strings.Contains(parent, c.SpanID().String()) {
			t.Fatalf("%q is the span %v", parent, c)
		}
	})
}
