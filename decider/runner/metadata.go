package runner

import (
	"context"
	"maps"

	"github.com/evolvego/evolve/store"
)

// WithMetadata returns a copy of r whose events carry the metadata that from returns for
// the context of their call: the actor, the correlation, a trace. from is called once per
// call, however often the call is retried, and must be safe for concurrent use. The
// option [Metadata] overrides it, field by field and header by header. If from is nil,
// there is none.
func (r *Runner[C, S, E]) WithMetadata(from func(context.Context) store.Metadata) *Runner[C, S, E] {
	c := *r
	c.metadata = from
	return &c
}

// stamp completes the metadata of the events of f.
func (r *Runner[C, S, E]) stamp(ctx context.Context, f *flight[S]) {
	if r.metadata != nil {
		f.o.meta = merge(r.metadata(ctx), f.o.meta)
	}
	if f.o.mark != "" && f.o.command != "" {
		f.o.meta = merge(f.o.meta, store.Metadata{Headers: map[string]string{FingerprintHeader: f.o.mark}})
	}
}

// merge returns m overridden by the fields that over sets.
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
