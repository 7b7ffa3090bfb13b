package otelevolve

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/capability"
)

// call is a store call that has a span.
type call uint8

const (
	appending call = iota
	reading
	readingAll
)

// String returns the name of the span.
func (c call) String() string { return [...]string{"append", "read", "read_all"}[c] }

// Store returns st with a span for each append, read and page of the log. The result has
// exactly the capabilities of st, except its transactions: pass st itself to code that
// needs them, such as the targets of projections and processes. A subscription has no
// span, because it would last for hours.
//
// Store knows the sets of capabilities of evolve's stores. It returns a store with
// another set unchanged, and reports that to the error handler of package otel. It also
// returns st unchanged if there are no spans.
func (t *Telemetry) Store(st store.Store) store.Store {
	if t.tracer == nil {
		return st
	}
	set := capability.Of(st)
	set.Store = tracedStore{t, st}
	if set.Log != nil {
		set.Log = tracedLog{set.Log, t}
	}
	if set.Claims != nil {
		set.Claims = tracedClaims{set.Claims, t}
	}
	if set.Tenants != nil {
		set.Tenants = tracedTenants{set.Tenants, t}
	}
	traced := composed(set)
	if traced == nil {
		otel.Handle(fmt.Errorf("otelevolve: a %T has another set of capabilities than the stores of evolve: its calls get no spans", st))
		return st
	}
	return traced
}

// within calls do inside the span of a call about a stream type, and sets its result on
// the span.
func (t *Telemetry) within(ctx context.Context, c call, s store.Stream, do func(context.Context) (result, error)) {
	if skips(ctx) {
		_, _ = do(ctx)
		return
	}
	start := t.start(c, s.Type)
	ctx = t.begin(ctx, c, start.name, start.options...)
	span := spanOf(ctx, c)
	if span == nil {
		_, _ = do(ctx)
		return
	}
	defer span.End()
	r, err := do(ctx)
	if !span.IsRecording() {
		return
	}
	attributes := r.attributes()
	if t.streamIDs && s.ID != "" {
		attributes = append(attributes, attribute.String(keyStreamID, s.ID))
	}
	fault, outcome := err != nil, ""
	if c == appending {
		outcome = appendOutcome(err, r.replayed)
		attributes = append(attributes, attribute.String(keyOutcome, outcome), attribute.String(keyExpected, r.expected))
		fault = err != nil && (!store.Definite(err) || errors.Is(err, store.ErrClosed))
	}
	span.SetAttributes(attributes...)
	if fault {
		t.fail(span, outcome, err)
	}
}

// result is the result of a call.
type result struct {
	events            int
	version, position uint64 // 0: there is none
	expected          string
	replayed          bool
}

func (r *result) attributes() []attribute.KeyValue {
	attributes := append(make([]attribute.KeyValue, 0, 5), attribute.Int(keyEvents, r.events))
	if r.version > 0 {
		attributes = append(attributes, number(keyVersion, r.version))
	}
	if r.position > 0 {
		attributes = append(attributes, number(keyPosition, r.position))
	}
	return attributes
}

type tracedStore struct {
	t  *Telemetry
	st store.Store
}

func (s tracedStore) Append(ctx context.Context, of store.Stream, e store.Expected, events []store.Event) (store.Appended, error) {
	return s.t.appends(ctx, of, e, events, func(ctx context.Context) (store.Appended, error) {
		return s.st.Append(ctx, of, e, events)
	})
}

// appends is an append, with a span.
func (t *Telemetry) appends(
	ctx context.Context, of store.Stream, e store.Expected, events []store.Event, do func(context.Context) (store.Appended, error),
) (a store.Appended, err error) {
	t.within(ctx, appending, of, func(ctx context.Context) (result, error) {
		a, err = do(ctx)
		return result{len(events), a.Version, a.Position, e.String(), a.Replayed}, err
	})
	return a, err
}

func (s tracedStore) Read(ctx context.Context, of store.Stream, o store.ReadOptions) (page store.Page, err error) {
	s.t.within(ctx, reading, of, func(ctx context.Context) (result, error) {
		page, err = s.st.Read(ctx, of, o)
		return result{events: len(page.Events), version: page.Head}, err
	})
	return page, err
}

type tracedLog struct {
	store.Log

	t *Telemetry
}

func (l tracedLog) ReadAll(ctx context.Context, o store.LogOptions) (page store.Page, err error) {
	l.t.within(ctx, readingAll, store.Stream{}, func(ctx context.Context) (result, error) {
		page, err = l.Log.ReadAll(ctx, o)
		return result{events: len(page.Events), position: page.Head}, err
	})
	return page, err
}

type tracedClaims struct {
	store.Claims

	t *Telemetry
}

func (c tracedClaims) AppendClaiming(
	ctx context.Context, of store.Stream, e store.Expected, events []store.Event, claims []store.Claim,
) (store.Appended, error) {
	return c.t.appends(ctx, of, e, events, func(ctx context.Context) (store.Appended, error) {
		return c.Claims.AppendClaiming(ctx, of, e, events, claims)
	})
}

type tracedTenants struct {
	store.Tenants

	t *Telemetry
}

func (s tracedTenants) Tenant(id string) (store.Store, error) {
	st, err := s.Tenants.Tenant(id)
	if err != nil {
		return st, err
	}
	return s.t.Tenant(id).Store(st), nil
}
