package runner

import (
	"context"
	"maps"

	"github.com/evolvego/evolve/store"
)

// WithMetadata returns a copy of r whose events carry what from returns for the
// context of their call: who asks, what it belongs to, a trace. It is called once a
// call, whatever is tried again, and must be safe for concurrent use. What the option
// [Metadata] sets wins, field by field, and header by header. Nil is none.
func (r *Runner[C, S, E]) WithMetadata(from func(context.Context) store.Metadata) *Runner[C, S, E] {
	c := *r
	c.metadata = from
	return &c
}

// stamp completes what the events of f carry.
func (r *Runner[C, S, E]) stamp(ctx context.Context, f *flight[S]) {
	if r.metadata != nil {
		f.o.meta = merge(r.metadata(ctx), f.o.meta)
	}
	if f.o.mark != "" && f.o.command != "" {
		f.o.meta = merge(f.o.meta, store.Metadata{Headers: map[string]string{FingerprintHeader: f.o.mark}})
	}
}

// merge returns m with what over sets.
func merge(m, over store.Metadata) store.Metadata {
	if over.CorrelationID != "" {
		m.CorrelationID = over.CorrelationID
	}
	if over.CausationID != "" {
		m.CausationID = over.CausationID
	}
	if over.ActorID != "" {
		m.ActorID = over.ActorID
	}
	switch {
	case len(m.Headers) == 0:
		m.Headers = over.Headers
	case len(over.Headers) > 0:
		m.Headers = maps.Clone(m.Headers)
		maps.Copy(m.Headers, over.Headers)
	}
	return m
}
