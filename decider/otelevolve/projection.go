package otelevolve

import (
	"context"
	"errors"
	"iter"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
)

// farBehind is the lag, in positions of the log, beyond which a batch has no links.
const farBehind = 10_000

// Projection returns an observer for [projection.Projection.WithObserver]. It records the
// metrics evolve.projection of events, and makes a span for each transaction.
// [Telemetry.WatchProjection] records the metrics of progress.
func (t *Telemetry) Projection() projection.Observer {
	if t.tracer == nil {
		return batches{t}
	}
	return tracedBatches{batches{t}}
}

// batches observes a projection.
type batches struct{ t *Telemetry }

// tracedBatches also makes spans.
type tracedBatches struct{ batches }

var _ projection.Beginner = tracedBatches{}

// Begin begins the span of a transaction.
func (b tracedBatches) Begin(ctx context.Context, n projection.Notice, events iter.Seq[*store.Recorded]) context.Context {
	behind := n.Head - min(n.Position, n.Head)
	rebuild := n.Building && !n.Live || behind > farBehind
	attributes := append(consumer(n.Build), batchCount(n.Events), number(keyPosition, n.Position), number(keyLag, behind),
		attribute.Bool(keyRebuild, rebuild))
	options := []trace.SpanStartOption{
		trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(append(attributes, b.t.tenant...)...),
	}
	if !rebuild {
		var links linking
		for e := range events {
			if !links.add(b.t.origin(e)) {
				break
			}
		}
		options = append(options, trace.WithLinks(links.all...))
	}
	return b.t.begin(ctx, projection.BatchApplied, "process "+n.Build, options...)
}

// Observe records n, and ends its span.
func (b batches) Observe(ctx context.Context, n projection.Notice) {
	if n.Kind == projection.BatchApplied || n.Kind == projection.BatchFailed {
		if span := spanOf(ctx, projection.BatchApplied); span != nil {
			defer span.End()
			if n.Err != nil {
				b.t.fail(span, "", n.Err)
			}
			if n.Events > 0 { // the transaction may hold fewer than it began with
				span.SetAttributes(batchCount(n.Events), number(keyPosition, n.Position))
			}
		}
	}
	if n.Kind == projection.EventParked {
		if span := spanOf(ctx, projection.BatchApplied); span != nil {
			b.t.fail(span, "parked", n.Err)
		}
	}
	if b.t.instruments != nil {
		b.t.measureBatch(ctx, &n)
	}
}

// measureBatch records n.
func (t *Telemetry) measureBatch(ctx context.Context, n *projection.Notice) {
	m := t.instruments
	by := func(key, value string) *options { return t.byName(keyProjection, n.Build, key, value) }
	switch n.Kind {
	case projection.BatchApplied:
		m.projectionBatch.Record(ctx, n.Took.Seconds(), by("", "").record...)
		m.projectionEvents.Add(ctx, int64(n.Events-n.Parked), by(keyResult, "applied").add...)
		if n.Parked > 0 {
			m.projectionEvents.Add(ctx, int64(n.Parked), by(keyResult, "parked").add...)
		}
	case projection.EventFailed, projection.EventParked:
		m.projectionFailures.Add(ctx, 1, by(keyReason, "event").add...)
	case projection.RunFailed:
		m.projectionFailures.Add(ctx, 1, by(keyReason, reasonOf(n.Err)).add...)
	case projection.OwnerBegan:
		m.projectionTakeovers.Add(ctx, 1, by("", "").add...)
	case projection.OwnerEnded, projection.KeyFreed, projection.BuildReady, projection.BatchFailed:
	}
}

// reasonOf returns why a projection or a process has failed, as one of a few words.
func reasonOf(err error) string {
	if errors.Is(err, store.ErrLogDiverged) {
		return "diverged"
	}
	return "other"
}
