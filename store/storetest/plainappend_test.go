package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/evolvego/evolve/store"
)

// validate is store.ValidateAppend without the checks that a bug forgets.
func (p *plain) validate(s store.Stream, expected store.Expected, events []store.Event) error {
	err := store.ValidateAppend(s, expected, events)
	var invalid *store.InvalidError
	if !errors.As(err, &invalid) {
		return nil
	}
	field := invalid.Field[strings.LastIndexByte(invalid.Field, '.')+1:]
	switch {
	case p.is("invalid arguments return an untyped error"):
		return fmt.Errorf("invalid %s", field)
	case p.is("an invalid argument names no field"):
		return &store.InvalidError{Field: "argument", Reason: "is wrong"}
	case p.is("zero Expected means Any") && expected == 0, p.is("zero Expected means Exists") && expected == 0 && p.exists(s),
		p.is("empty batch is accepted") && len(events) == 0,
		p.is("too much data is accepted") && field == "events" && strings.Contains(invalid.Reason, "bytes"),
		p.is("streams are not validated") && strings.HasPrefix(invalid.Field, "stream"),
		p.is("headers are not validated") && strings.HasPrefix(field, "header"),
		p.is("UTF-8 is not checked") && strings.Contains(invalid.Reason, "UTF-8"),
		p.is("NUL is not checked") && strings.Contains(invalid.Reason, "NUL"),
		p.is("repeated id is accepted") && strings.HasPrefix(invalid.Reason, "is the same as"):
		return nil
	case p.is("an invalid append reserves ids"):
		p.mu.Lock()
		defer p.mu.Unlock()
		for i := range events {
			p.reserved[events[i].ID] = true
		}
	}
	return err
}

// exists reports whether s has events.
func (p *plain) exists(s store.Stream) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.version(s) > 0
}

// key returns s as a bug sees it.
func (p *plain) key(s store.Stream) store.Stream {
	switch p.bug {
	case "stream type and id are joined":
		s.Type, s.ID, _ = strings.Cut(s.Type+"-"+s.ID, "-")
	}
	s.Type, s.ID = p.letter("stream types", s.Type), p.letter("stream ids", s.ID)
	return s
}

func (p *plain) Append(ctx context.Context, s store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	return p.append(ctx, s, expected, events, nil)
}

func (p *plain) append(ctx context.Context, s store.Stream, expected store.Expected, events []store.Event, claims []store.Claim) (store.Appended, error) {
	if err := p.validate(s, expected, events); err != nil {
		if p.is("an invalid append keeps the claims") {
			p.mu.Lock()
			p.makeClaims(s, claims)
			p.mu.Unlock()
		}
		return store.Appended{}, err
	}
	if done, err := p.turn.joined(ctx, p, func() { _, _ = p.record(ctx, s, events) }); done {
		return store.Appended{Version: uint64(len(events))}, err
	}
	defer p.turn.RUnlock()
	contended := p.calls.Add(1) > 1
	defer p.calls.Add(-1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if strings.HasSuffix(p.bug, "when busy") {
		for range 20 {
			runtime.Gosched() // lets others come in the meantime
		}
	}
	if p.refuses.Load() {
		return p.refusesToWrite(ctx, s, events, claims)
	}
	if err := p.ready(ctx); err != nil {
		if p.is("recorded despite an ended context") {
			_, _ = p.record(ctx, p.key(s), events)
		}
		if p.is("claimed despite an ended context") {
			p.makeClaims(s, claims)
		}
		return store.Appended{}, err
	}
	s = p.key(s)
	if p.is("claims checked first") {
		if err := p.checkClaims(s, claims); err != nil {
			return store.Appended{}, err
		}
	}
	if answered, got, err := p.known(s, expected, events); answered {
		if p.is("a replay claims again") && err == nil || p.is("a duplicate keeps the claims") && err != nil {
			p.makeClaims(s, claims)
		}
		return got, err
	}
	if p.is("claims checked before the version") {
		if err := p.checkClaims(s, claims); err != nil {
			return store.Appended{}, err
		}
	}
	if p.is("a conflict keeps the claims") {
		p.makeClaims(s, claims)
	}
	if p.is("ids checked before the lock") {
		p.pause()
	}
	if err := p.expect(s, expected, contended); err != nil {
		return store.Appended{}, p.refused(s, events, err)
	}
	if p.is("version checked before the lock") {
		p.pause()
	}
	if err := p.checkClaims(s, claims); err != nil {
		if p.is("a refused claim is recorded") {
			_, _ = p.record(ctx, s, events)
		}
		return store.Appended{}, p.refused(s, events, err)
	}
	if p.is("claims checked before the lock") {
		p.pause()
	}
	if p.is("claims made before the append") {
		p.makeClaims(s, claims)
		if p.pause(); ctx.Err() != nil {
			return store.Appended{}, ctx.Err()
		}
	}
	p.quiet = p.is("a claiming append wakes nobody") && len(claims) > 0
	got, err := p.record(ctx, s, events)
	if p.is("claims made after the append") {
		if p.pause(); ctx.Err() != nil {
			return got, ctx.Err()
		}
	}
	if !p.is("claims made before the append") {
		p.makeClaims(s, claims)
	}
	return got, err
}

// known handles an append with ids that are already recorded.
func (p *plain) known(s store.Stream, expected store.Expected, events []store.Event) (bool, store.Appended, error) {
	first := p.firstTaken(s, events)
	if first == nil {
		return false, store.Appended{}, nil
	}
	duplicate := &store.DuplicateError{Stream: s, EventID: first.ID, In: first.Stream, Version: first.Version}
	switch p.bug {
	case "a duplicate reports the wrong stream":
		duplicate.In = s
	case "a duplicate reports the last id":
		duplicate.EventID = events[len(events)-1].ID
	case "untyped duplicate error":
		return true, store.Appended{}, fmt.Errorf("%w: %s", store.ErrDuplicate, first.ID)
	case "a duplicate is a conflict":
		return true, store.Appended{}, &store.ConflictError{Stream: s, Expected: expected, Actual: p.version(s)}
	case "conflict before duplicate":
		if !expected.Matches(p.version(s)) {
			return false, store.Appended{}, nil
		}
	}
	last, all := first, true
	for i := range events {
		r := p.ids[p.id(events[i].ID)]
		if p.is("only the first 100 are compared") && i >= 100 {
			break
		}
		next := r != nil && r.Version == first.Version+uint64(i) || p.is("recorded events in any order are a replay")
		same := r != nil && r.Stream == s && next && p.same(r, &events[i])
		if all = all && same; same {
			last = r
		}
	}
	if p.is("only the first id is compared") && first.Stream == s {
		all = true
	}
	if p.is("only whole batches are replayed") && first.Version != 1 {
		all = false
	}
	if !all || p.is("a replay is refused") {
		if p.is("a duplicate reserves ids") {
			p.reserve(events)
		}
		return true, store.Appended{}, duplicate
	}
	got := store.Appended{Version: last.Version, Position: last.Position, Replayed: !p.is("a replay is not reported")}
	switch {
	case p.is("a replay returns the head"):
		got.Version = p.version(s)
	case p.is("a replay must match expected") && !expected.Matches(p.version(s)):
		return true, store.Appended{}, &store.ConflictError{Stream: s, Expected: expected, Actual: p.version(s)}
	case p.is("a replay records again"):
		return false, store.Appended{}, nil
	}
	return true, got, nil
}

func (p *plain) reserve(events []store.Event) {
	for i := range events {
		p.reserved[events[i].ID] = true
	}
}

func (p *plain) firstTaken(s store.Stream, events []store.Event) *store.Recorded {
	for i := range events {
		if p.reserved[events[i].ID] {
			return &store.Recorded{Event: events[i], Stream: s}
		}
		if p.is("ids after the 100th are not looked up") && i >= 100 {
			break
		}
		r := p.ids[p.id(events[i].ID)]
		if p.is("ids unique only in the stream") && r != nil && r.Stream != s {
			continue
		}
		if r != nil && !p.is("event ids are not checked") {
			return r
		}
	}
	return nil
}

// id returns id as a bug sees it.
func (p *plain) id(id string) string { return p.letter("event ids", id) }

func (p *plain) same(r *store.Recorded, e *store.Event) bool {
	o := *e
	switch p.bug {
	case "different data is the same event":
		o.Data = r.Data
	case "a different type is the same event":
		o.Type = r.Type
	case "different metadata makes a different event":
		if !maps.Equal(r.Meta.Headers, e.Meta.Headers) || r.Meta.ActorID != e.Meta.ActorID {
			return false
		}
	}
	return r.Same(&o)
}

func (p *plain) version(s store.Stream) uint64 {
	return uint64(len(p.streams[s])) + p.created[s]
}

// expect returns the conflict of expected with s, or nil.
func (p *plain) expect(s store.Stream, expected store.Expected, contended bool) error {
	actual := p.version(s)
	n, exact := expected.Version()
	conflict := &store.ConflictError{Stream: s, Expected: expected, Actual: actual}
	switch {
	case p.is("NoStream is not checked") && expected == store.NoStream,
		p.is("too high versions are accepted") && exact && n > actual && actual > 0,
		p.is("too low versions are accepted") && exact && n < actual,
		p.is("Exactly creates a stream") && exact && actual == 0,
		p.is("Exists creates a stream") && expected == store.Exists:
		return nil
	case p.is("Any means NoStream") && expected == store.Any && actual > 2:
		return conflict
	case p.is("a conflict when busy") && contended:
		return conflict
	case p.is("untyped error when busy") && contended:
		return errors.New("serialization failure")
	case expected.Matches(actual):
		return nil
	}
	switch {
	case p.is("a conflict reports the expected version as actual"):
		conflict.Actual = n
	case p.is("a conflict reports a version too high"):
		conflict.Actual++
	case p.is("a conflict reports another expectation"):
		conflict.Expected = store.Exactly(actual)
	case p.is("untyped conflict"), p.is("untyped conflict when busy") && contended:
		return fmt.Errorf("%w: duplicate key", store.ErrConflict)
	}
	return conflict
}

// refused does what a bug does on a refused append.
func (p *plain) refused(s store.Stream, events []store.Event, err error) error {
	switch p.bug {
	case "a refusal leaves a stream":
		if p.version(s) == 0 {
			p.created[s] = 1
		}
	case "a refusal leaves a gap":
		p.created[s]++
	case "a refusal keeps the batch":
		for i := range events {
			p.held[events[i].ID] = p.kept(events, i, time.Now())
		}
	case "a refusal reserves ids":
		p.reserve(events)
	case "a refusal is in the log":
		p.position++
		p.log = append(p.log, &store.Recorded{Event: events[0], Stream: s, Version: 1, Position: p.position})
	}
	return err
}

// record appends events to s and to the log. Positions have gaps.
func (p *plain) record(ctx context.Context, s store.Stream, events []store.Event) (store.Appended, error) {
	now := time.Now()
	first := p.position
	step := uint64(1)
	if p.is("positions of a batch have gaps") {
		step = 2
	}
	p.position += step*uint64(len(events)) + 1 // positions have gaps between batches
	if p.is("commits become visible out of order") {
		p.letPass(first)
	}
	if p.is("positions go down") {
		first = 1<<20 - p.position
	}
	events = p.batch(events)
	for i := range events {
		if p.is("half recorded when the context ends") && i > 0 {
			if p.pause(); ctx.Err() != nil {
				return store.Appended{}, ctx.Err()
			}
		}
		if p.is("half a batch visible") && i > 0 {
			p.pause()
		}
		if p.is("a large batch in two transactions") && i == 100 {
			if p.pause(); ctx.Err() != nil {
				return store.Appended{}, ctx.Err()
			}
		}
		r := &store.Recorded{Event: p.kept(events, i, now), Stream: s, Version: p.version(s) + 1, Position: first + step*uint64(i) + 1, RecordedAt: now}
		if p.is("batches mix in the log") && i > 0 {
			p.pause()
			p.position++
			r.Position = p.position
		}
		p.place(r)
		if !p.is("ids after the 100th are not reserved") || i < 100 {
			p.ids[p.id(r.ID)] = r
		}
		p.streams[s] = append(p.streams[s], r)
		p.list(r, i)
	}
	slices.SortFunc(p.log, func(a, b *store.Recorded) int { return int(a.Position) - int(b.Position) })
	if !p.quiet && (!p.is("a wake-up is lost") || len(p.log)%7 != 0) {
		p.notify()
	}
	got := store.Appended{Version: p.version(s), Position: first + step*uint64(len(events)-1) + 1}
	switch {
	case p.is("returns the first version"):
		got.Version -= uint64(len(events)) - 1
	case p.is("returns no position"):
		got.Position = 0
	case p.is("reports a replay"):
		got.Replayed = true
	case p.is("success without recording") && ctx.Err() != nil:
		p.streams[s] = p.streams[s][:len(p.streams[s])-len(events)]
	case p.is("errors come one call late") && ctx.Err() != nil:
		return store.Appended{}, errors.New("commit failed")
	}
	return got, nil
}
