package storetest_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/evolvego/evolve/store"
)

func (p *plain) FindEvent(ctx context.Context, id string) (store.Recorded, bool, error) {
	switch err := store.ValidateEventID(id); {
	case err != nil && p.is("invalid arguments return an untyped error"):
		return store.Recorded{}, false, errors.New("bad request")
	case err != nil && !p.is("the id of FindEvent is not validated"):
		return store.Recorded{}, false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx); err != nil {
		return store.Recorded{}, false, err
	}
	of := p
	if p.is("events of any tenant are found") {
		for _, other := range p.tenants {
			if other.ids[id] != nil {
				of = other
			}
		}
	}
	var found *store.Recorded
	for known, r := range of.ids {
		if p.letter("found ids", known) == p.letter("found ids", id) && (found == nil || known == id) {
			found = r
		}
	}
	switch {
	case found == nil && p.is("a missing event is an error"):
		return store.Recorded{}, false, errors.New("a missing stream is a no-rows error")
	case found == nil:
		return store.Recorded{}, p.is("a missing event is found"), nil
	case p.is("only new events are found") && found.Position+1 < p.position:
		return store.Recorded{}, false, nil
	}
	r := *found
	if !p.is("a found event aliases the store") {
		r.Data, r.Meta.Headers = bytes.Clone(r.Data), maps.Clone(r.Meta.Headers)
	}
	switch p.bug {
	case "a found event has no metadata":
		r.Meta = store.Metadata{}
	case "a found event has no position":
		r.Position = 0
	}
	return r, true, nil
}

// validateList is o.Validate without the checks that a bug forgets.
func (p *plain) validateList(o store.StreamsOptions) error {
	err := o.Validate()
	var invalid *store.InvalidError
	if errors.As(err, &invalid) && p.is("a list is not checked for its "+invalid.Field) {
		return nil
	}
	return err
}

// chooses is o.Matches as a bug sees it.
func (p *plain) chooses(o *store.StreamsOptions, s store.Stream) bool {
	switch p.bug {
	case "a list ignores its type":
		o.Type = ""
	case "a list folds its type":
		if strings.EqualFold(o.Type, s.Type) {
			s.Type = o.Type
		}
	case "a list folds its prefix":
		s.ID, o.IDPrefix = strings.ToLower(s.ID), strings.ToLower(o.IDPrefix)
	case "a prefix is a pattern":
		if before, after, ok := strings.Cut(o.IDPrefix, "%"); ok {
			o.IDPrefix = before + after
		}
	case "a prefix without a type is ignored":
		if o.Type == "" {
			o.IDPrefix = ""
		}
	case "a page begins with After":
		if o.After == s {
			return true
		}
	case "a page begins after an id":
		if o.After.ID >= s.ID {
			return false
		}
	case "After must exist":
		if len(p.streams[o.After]) == 0 {
			o.After = store.Stream{}
		}
	}
	return o.Matches(s)
}

func (p *plain) ListStreams(ctx context.Context, o store.StreamsOptions) (store.StreamsPage, error) {
	if err := p.validateList(o); err != nil {
		return store.StreamsPage{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx); err != nil {
		return store.StreamsPage{}, err
	}
	if p.is("streams of any tenant are listed") {
		p = p.tenants[store.DefaultTenant]
	}
	var page store.StreamsPage
	for s, events := range p.streams {
		if asked := o; len(events) > 0 && p.chooses(&asked, s) {
			page.Streams = append(page.Streams, p.info(s, events))
		}
	}
	if p.is("a stream that was refused is listed") && len(p.streams) == 0 {
		page.Streams = append(page.Streams, store.StreamInfo{Stream: store.Stream{Type: "T", ID: "1"}})
	}
	slices.SortFunc(page.Streams, p.order)
	limit := min(cmp.Or(max(o.Limit, 0), store.DefaultLimit), store.DefaultLimit)
	page.End = len(page.Streams) <= limit
	switch {
	case p.is("a page of streams ignores its limit"):
		return page, nil
	case p.is("a full page is not the last") && len(page.Streams) == limit, p.is("no page is the last"):
		page.End = false
	case p.is("the first page is the last"):
		page.End = true
	}
	page.Streams = page.Streams[:min(limit, len(page.Streams))]
	return page, nil
}

// info returns the info of a stream, as a bug sees it.
func (p *plain) info(s store.Stream, events []*store.Recorded) store.StreamInfo {
	last := events[len(events)-1]
	if p.is("a list returns the first event") {
		last = events[0]
	}
	i := store.StreamInfo{Stream: s, Version: last.Version, Position: last.Position, EventType: last.Type, RecordedAt: last.RecordedAt}
	switch p.bug {
	case "a list returns no type":
		i.EventType = ""
	case "a list returns no time":
		i.RecordedAt = last.Time
	case "a list returns no position":
		i.Position = 0
	}
	return i
}

func (p *plain) order(a, b store.StreamInfo) int {
	switch p.bug {
	case "streams are listed by id":
		return cmp.Or(strings.Compare(a.Stream.ID, b.Stream.ID), a.Stream.Compare(b.Stream))
	case "streams are listed by a language":
		return cmp.Or(strings.Compare(strings.ToLower(a.Stream.Type), strings.ToLower(b.Stream.Type)), a.Stream.Compare(b.Stream))
	case "streams are listed by position":
		return cmp.Compare(a.Position, b.Position)
	}
	return a.Stream.Compare(b.Stream)
}

func (p *plain) StreamTypes(ctx context.Context) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx); err != nil {
		return nil, err
	}
	of := []*plain{p}
	if p.is("types of any tenant are listed") {
		of = slices.Collect(maps.Values(p.tenants))
	}
	var types []string
	for _, tenant := range of {
		for s := range tenant.streams {
			types = append(types, p.letter("listed types", s.Type))
		}
	}
	if p.is("types of streams that were refused are listed") && len(p.streams) == 0 {
		types = append(types, "T")
	}
	slices.Sort(types)
	if p.is("types are listed for each stream") {
		return types, nil
	}
	if types = slices.Compact(types); p.is("types are in any order") {
		slices.Reverse(types)
	}
	return types, nil
}

// finderBugs returns the bugs that the clauses of a finder must find.
func finderBugs() map[string][]string {
	unchecked := []string{"the id of FindEvent is not validated", "invalid arguments return an untyped error"}
	for _, field := range []string{"type", "id prefix", "after.type", "after.id", "limit"} {
		unchecked = append(unchecked, "a list is not checked for its "+field)
	}
	return map[string][]string{
		"Finder/an event is found by its id, with all its fields": {
			"a found event has no metadata", "a found event has no position", "only new events are found",
		},
		"Finder/an unused id is not found, byte for byte": append(letters("found ids"), "a missing event is an error", "a missing event is found"),
		"Finder/the caller owns a found event":            {"a found event aliases the store", "a found event has no metadata"},
		"Finder/streams are listed by type and id, in byte order, with their last events": {
			"streams are listed by id", "streams are listed by a language", "streams are listed by position",
			"a list returns the first event", "a list returns no type", "a list returns no time", "a list returns no position",
		},
		"Finder/a type and a prefix select streams, byte for byte": {
			"a list ignores its type", "a list folds its type", "a list folds its prefix", "a prefix is a pattern", "a prefix without a type is ignored",
		},
		"Finder/pages follow one another, and the last one has End set": {
			"a page begins with After", "a page begins after an id", "After must exist", "a page of streams ignores its limit",
			"a full page is not the last", "no page is the last", "the first page is the last",
		},
		"Finder/types are listed once, in byte order": append(letters("listed types"), "types are listed for each stream", "types are in any order"),
		"Finder/a stream without events is not listed": {
			"a stream that was refused is listed", "types of streams that were refused are listed",
		},
		"Finder/invalid arguments are refused":          unchecked,
		"Finder/nothing is found with an ended context": {"context ignored", "context hidden"},
		"Finder/tenants are separate": {
			"events of any tenant are found", "streams of any tenant are listed", "types of any tenant are listed", "tenants share streams",
		},
	}
}
