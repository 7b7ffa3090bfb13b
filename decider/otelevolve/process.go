package otelevolve

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/store"
)

// Process returns an observer for [process.Runtime.WithObserver]. It records the metrics
// evolve.process of events, and makes a span for each reaction, with the spans of its
// commands as children. [Telemetry.WatchProcess] records the metrics of progress.
func (t *Telemetry) Process() process.Observer {
	if t.tracer == nil {
		return reactions{t}
	}
	return tracedReactions{reactions{t}}
}

// reactions observes a process.
type reactions struct{ t *Telemetry }

// tracedReactions also makes spans.
type tracedReactions struct{ reactions }

var _ process.Beginner = tracedReactions{}

// Begin begins the span of a reaction.
func (r tracedReactions) Begin(ctx context.Context, n process.Notice, cause *store.Recorded) context.Context {
	attributes := append(consumer(n.Process), messageID(n.EventID), number(keyPosition, n.Position))
	if r.t.streamIDs {
		attributes = append(attributes, attribute.String(keyInstance, n.Instance))
	}
	options := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(append(attributes, r.t.tenant...)...),
	}
	origin := r.t.origin(cause)
	if origin.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: origin}))
	}
	if origin.IsValid() && r.t.nestWithin > 0 && r.t.now().Sub(cause.RecordedAt) < r.t.nestWithin {
		ctx = trace.ContextWithRemoteSpanContext(ctx, origin)
	} else {
		options = append(options, trace.WithNewRoot())
	}
	return r.t.begin(ctx, process.Reacted, "react "+n.Process, options...)
}

// Observe records n, and ends its span.
func (r reactions) Observe(ctx context.Context, n process.Notice) {
	if n.Kind == process.Reacted || n.Kind == process.ReactionFailed {
		if span := spanOf(ctx, process.Reacted); span != nil {
			defer span.End()
			if n.Err != nil {
				r.t.fail(span, "", n.Err)
			} else {
				span.SetAttributes(attribute.Int(keyCommands, n.Commands), attribute.Int(keyTimers, n.Timers))
			}
		}
	}
	if r.t.instruments != nil {
		r.t.measureReaction(ctx, &n)
	}
}

// measureReaction records n.
func (t *Telemetry) measureReaction(ctx context.Context, n *process.Notice) {
	m := t.instruments
	by := func(key, value string) *options { return t.byName(keyProcess, n.Process, key, value) }
	switch n.Kind {
	case process.Reacted:
		m.processReactions.Add(ctx, 1, by(keyOutcome, "reacted").add...)
		m.processCommands.Add(ctx, int64(n.Commands), by("", "").add...)
	case process.ReactionFailed:
		m.processReactions.Add(ctx, 1, by(keyOutcome, failed).add...)
	case process.RunFailed:
		m.processFailures.Add(ctx, 1, by(keyReason, reasonOf(n.Err)).add...)
	case process.OwnerBegan, process.OwnerEnded, process.TookOver, process.TimerFired, process.InstanceFailed,
		process.InstanceQuarantined, process.InstanceReleased, process.InputSkipped, process.InstanceAbandoned:
	}
}
