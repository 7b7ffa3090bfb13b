package otelevolve

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/evolvego/evolve/decider/runner"
)

// mostLinks is the most links of a span.
const mostLinks = 128

// Runner returns an observer of runners and groups, for [runner.Runner.WithObserver]. It
// records the metrics evolve.command, load, append, conflicts and snapshots, and makes
// the spans handle, load and batch.
func (t *Telemetry) Runner() runner.Observer {
	if t.tracer == nil {
		return commands{t, new(atomic.Pointer[measured])}
	}
	return tracedCommands{commands{t, new(atomic.Pointer[measured])}}
}

// commands observes a runner.
type commands struct {
	t    *Telemetry
	last *atomic.Pointer[measured]
}

// tracedCommands also makes spans.
type tracedCommands struct{ commands }

var _ runner.Beginner = tracedCommands{}

// Begin begins a span.
func (c tracedCommands) Begin(ctx context.Context, n runner.Notice) context.Context {
	is := c.measured(n.Stream.Type, n.Command)
	start := is.handle
	switch n.Kind { //nolint:exhaustive // the others do not begin
	case runner.StreamLoaded:
		if start = is.load; skips(ctx) {
			return ctx
		}
	case runner.BatchHandled:
		start = is.batch
	}
	options := start.options
	if links, ok := ctx.Value(linksKey{}).([]trace.Link); ok && n.Kind == runner.BatchHandled {
		options = append(slices.Clip(options), trace.WithLinks(links...))
	}
	return c.t.begin(ctx, n.Kind, start.name, options...)
}

// Observe records n, and ends its span.
func (c commands) Observe(ctx context.Context, n runner.Notice) {
	t := c.t
	outcome := ""
	switch n.Kind {
	case runner.CommandHandled:
		outcome = outcomeOf(n.Err, n.Replayed, n.Events)
	case runner.EventsAppended, runner.ConflictFound:
		outcome = appendOutcome(n.Err, n.Replayed)
	case runner.ObserverFailed:
		otel.Handle(n.Err)
	case runner.StreamLoaded, runner.CommandRetried, runner.SnapshotSaved, runner.SnapshotMissed, runner.BatchHandled:
	}
	if t.tracer != nil {
		defer t.trace(ctx, &n, outcome) // after the metrics, so that their exemplars name the span
	}
	if t.instruments != nil {
		c.measure(ctx, &n, outcome)
	}
}

// measure records n.
func (c commands) measure(ctx context.Context, n *runner.Notice, outcome string) {
	t, m, of := c.t, c.t.instruments, n.Stream.Type
	switch n.Kind {
	case runner.CommandHandled:
		fault := ""
		if outcome == failed {
			fault = errorType(n.Err)
		}
		is := c.measured(of, n.Command)
		m.commandDuration.Record(ctx, n.Took.Seconds(), t.byCommand(is, outcome, fault).record...)
		m.commandAttempts.Record(ctx, int64(n.Attempt), is.stream.record...)
	case runner.StreamLoaded:
		o := c.measured(of, n.Command).stream.record
		m.loadDuration.Record(ctx, n.Took.Seconds(), o...)
		m.loadEvents.Record(ctx, int64(n.Events), o...)
	case runner.EventsAppended, runner.ConflictFound:
		is := c.measured(of, n.Command)
		o := t.byAppend(is, outcome).record
		m.appendDuration.Record(ctx, n.Took.Seconds(), o...)
		m.appendEvents.Record(ctx, int64(n.Events), o...)
		if n.Kind == runner.ConflictFound {
			m.conflicts.Add(ctx, 1, is.stream.add...)
		}
	case runner.SnapshotSaved, runner.SnapshotMissed:
		result := "saved"
		switch {
		case n.Kind == runner.SnapshotMissed:
			result = "missed"
		case n.Err != nil:
			result = failed
		}
		m.snapshots.Add(ctx, 1, t.byName(keyStreamType, of, keyResult, result).add...)
	case runner.CommandRetried, runner.BatchHandled, runner.ObserverFailed:
	}
}

// trace ends the span of n, or adds n as an event to the span that it belongs to.
func (t *Telemetry) trace(ctx context.Context, n *runner.Notice, outcome string) {
	switch n.Kind {
	case runner.CommandHandled, runner.StreamLoaded, runner.BatchHandled:
		if span := spanOf(ctx, n.Kind); span != nil {
			defer span.End()
			if span.IsRecording() {
				t.describe(span, n, outcome)
			}
		}
	case runner.ConflictFound:
		t.event(ctx, "conflict", number(keyAttempt, uint64(n.Attempt))) //nolint:gosec // not negative
	case runner.CommandRetried:
		t.event(ctx, "retry", number(keyAttempt, uint64(n.Attempt)), wait(n.Took)) //nolint:gosec // not negative
	case runner.SnapshotMissed:
		t.event(ctx, "snapshot missed")
	case runner.EventsAppended, runner.SnapshotSaved, runner.ObserverFailed:
	}
}

func wait(d time.Duration) attribute.KeyValue { return attribute.Float64(keyWait, d.Seconds()) }

// event adds an event to the span of the command or the batch that ctx belongs to.
func (t *Telemetry) event(ctx context.Context, name string, attributes ...attribute.KeyValue) {
	a := activeOf(ctx)
	if a == nil || a.span == nil || a.about != runner.CommandHandled && a.about != runner.BatchHandled {
		return
	}
	a.span.AddEvent(name, trace.WithAttributes(attributes...))
}

// describe sets the attributes and the status of a span that ends.
func (t *Telemetry) describe(span trace.Span, n *runner.Notice, outcome string) {
	attributes := make([]attribute.KeyValue, 0, 4) // an attribute has 64 bytes
	attributes = append(attributes, attribute.Int(keyEvents, n.Events), number(keyVersion, n.Version))
	if t.streamIDs {
		attributes = append(attributes, attribute.String(keyStreamID, n.Stream.ID))
	}
	fault := n.Err != nil
	switch n.Kind { //nolint:exhaustive // the others have no span
	case runner.StreamLoaded:
		snapshot := "none"
		if n.Origin == runner.FromSnapshot {
			snapshot = "hit"
		}
		attributes = append(attributes, attribute.String(keySnapshot, snapshot), attribute.Bool(keyCache, n.Origin == runner.FromCache))
	case runner.BatchHandled:
		attributes = append(attributes, attribute.Int(keyAttempts, n.Attempt))
	default:
		attributes = append(attributes, attribute.Int(keyAttempts, n.Attempt), attribute.String(keyOutcome, outcome))
		fault = isFault(outcome)
	}
	span.SetAttributes(attributes...)
	if fault {
		t.fail(span, outcome, n.Err)
	}
	if outcome == rejected && t.rejection != nil {
		if code := t.rejection(n.Err); code != "" {
			span.SetAttributes(attribute.String(keyRejection, code))
		}
	}
}

// fail marks span as an error, without the text of err.
func (t *Telemetry) fail(span trace.Span, outcome string, err error) {
	if outcome == "" {
		outcome = failed
	}
	kind := errorType(err)
	span.SetAttributes(attribute.String(keyErrorType, kind))
	span.SetStatus(codes.Error, outcome+": "+kind)
}

// linksKey is the context key of the links of a batch to its callers.
type linksKey struct{}

// Group says which trace a batch of a group belongs to. Use it with
// [runner.Group.WithContext]. The span of a batch with one caller is a child of the span
// of its command. With several callers it begins a trace, with links to the commands,
// because a span has only one parent.
func (t *Telemetry) Group(callers []context.Context) context.Context {
	if len(callers) == 1 {
		return callers[0]
	}
	var links linking
	for _, ctx := range callers {
		links.add(trace.SpanContextFromContext(ctx))
	}
	return context.WithValue(context.Background(), linksKey{}, links.all)
}

// linking collects distinct links, up to the limit of a span.
type linking struct {
	all  []trace.Link
	seen map[spanID]struct{}
}

type spanID struct {
	trace trace.TraceID
	span  trace.SpanID
}

// add adds a link, if c is a span, and reports whether there is room for more.
func (l *linking) add(c trace.SpanContext) bool {
	if !c.IsValid() {
		return true
	}
	if l.seen == nil {
		l.seen = map[spanID]struct{}{}
	}
	id := spanID{c.TraceID(), c.SpanID()}
	if _, ok := l.seen[id]; !ok {
		l.seen[id] = struct{}{}
		l.all = append(l.all, trace.Link{SpanContext: c})
	}
	return len(l.all) < mostLinks
}
