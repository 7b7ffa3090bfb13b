package storetest

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/evolvego/evolve/store"
)

func hasFinder(st store.Store) bool {
	_, ok := st.(store.Finder)
	return ok
}

func finderClauses() []clause {
	return []clause{
		{"an event is found by its id, with all its fields", findWhole},
		{"an unused id is not found, byte for byte", findMissing},
		{"the caller owns a found event", findAliases},
		{"streams are listed by type and id, in byte order, with their last events", listOrder},
		{"a type and a prefix select streams, byte for byte", listChooses},
		{"pages follow one another, and the last one has End set", listPages},
		{"types are listed once, in byte order", listTypes},
		{"a stream without events is not listed", listRefused},
		{"invalid arguments are refused", findRefuses},
		{"nothing is found with an ended context", findEnded},
		{"tenants are separate", findTenants},
	}
}

func (t *check) find(st store.Store, id string) (store.Recorded, bool) {
	t.Helper()
	got, found, err := as[store.Finder](t, st).FindEvent(t.ctx, id)
	if err != nil {
		t.Fatalf("FindEvent(%+q) failed: %v", id, err)
	}
	return got, found
}

func (t *check) list(st store.Store, o store.StreamsOptions) store.StreamsPage {
	t.Helper()
	page, err := as[store.Finder](t, st).ListStreams(t.ctx, o)
	if err != nil {
		t.Fatalf("ListStreams(%+.200q) failed: %v", fmt.Sprint(o), err)
	}
	return page
}

// wantStreams lists the streams in want that o selects, page by page, and compares them
// with want.
func (t *check) wantStreams(st store.Store, o store.StreamsOptions, want []store.StreamInfo) {
	t.Helper()
	call := fmt.Sprintf("ListStreams(%+.200q)", fmt.Sprintf("%+v", o))
	var got []store.StreamInfo
	for pages := 0; ; pages++ {
		page := t.list(st, o)
		got = append(got, page.Streams...)
		switch {
		case o.Limit > 0 && len(page.Streams) > o.Limit:
			t.Fatalf("%s = %d streams, more than the limit", call, len(page.Streams))
		case len(page.Streams) == 0 && (pages > 0 || !page.End):
			t.Fatalf("%s: page %d has no streams, so the previous page was the last one, but its End was false", call, pages+1)
		case page.End:
			t.sameStreams(call, got, want)
			return
		case len(got) > len(want):
			t.sameStreams(call, got, want)
		}
		o.After = page.Streams[len(page.Streams)-1].Stream
	}
}

func (t *check) sameStreams(call string, got, want []store.StreamInfo) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Fatalf("%s lists %d streams, want %d: %+v is missing", call, len(got), len(want), want[i])
		case i >= len(want):
			t.Fatalf("%s lists %d streams, want %d: %+v is superfluous", call, len(got), len(want), got[i])
		case !reflect.DeepEqual(got[i], want[i]):
			t.Fatalf("%s: stream %d of %d is\n %+v, want\n %+v", call, i+1, len(want), got[i], want[i])
		}
	}
}

// named appends n events to each of streams, and returns their infos in list order.
func (t *check) named(st store.Store, n int, streams ...store.Stream) []store.StreamInfo {
	t.Helper()
	all := make([]store.StreamInfo, 0, len(streams))
	for i, s := range streams {
		events := newEvents(n)
		events[n-1].Type = fmt.Sprintf("Noted%d", i%3)
		t.append(st, s, store.NoStream, events...)
		last := t.allOf(st, s, n)[n-1]
		all = append(all, store.StreamInfo{
			Stream: s, Version: last.Version, Position: last.Position, EventType: last.Type, RecordedAt: last.RecordedAt,
		})
	}
	slices.SortFunc(all, func(a, b store.StreamInfo) int { return a.Stream.Compare(b.Stream) })
	return all
}

func findWhole(t *check) {
	s, events := t.filled(t.store, "found", 3)
	other, more := t.filled(t.store, "found too", 1)
	want := append(t.allOf(t.store, s, 3), t.allOf(t.store, other, 1)...)
	for i, e := range append(events, more...) {
		got, found := t.find(t.store, e.ID)
		if !found || !reflect.DeepEqual(got, want[i]) {
			t.Fatalf("FindEvent(%q) = %+v, %t; want the event that Read returns: %+v", e.ID, got, found, want[i])
		}
	}
}

func findMissing(t *check) {
	s := newStream("missing")
	ids := fresh(newTag())
	for i, id := range ids {
		if got, found := t.find(t.store, id); found {
			t.Fatalf("FindEvent(%+q) = %+v; no event has this id", id, got)
		}
		e := newEvent("named")
		e.ID = id
		t.append(t.store, s, store.Any, e)
		if got, found := t.find(t.store, id); !found || got.ID != id || got.Version != uint64(i+1) {
			t.Fatalf("FindEvent(%+q) = %+q at version %d, %t; want the event at version %d", id, got.ID, got.Version, found, i+1)
		}
	}
}

func findAliases(t *check) {
	s, events := t.filled(t.store, "aliased", 1)
	got, _ := t.find(t.store, events[0].ID)
	if len(got.Data) == 0 || got.Meta.Headers == nil {
		t.Fatalf("FindEvent(%q) = %+v; want its data and headers", events[0].ID, got)
	}
	got.Data[0] ^= 0xff
	got.Meta.Headers["data"] = "changed"
	again := t.all(t.store, s)[0]
	if string(again.Data) != string(events[0].Data) || again.Meta.Headers["data"] != events[0].Meta.Headers["data"] {
		t.Fatalf("after the caller changed the result of FindEvent(%q), the event is %+v", events[0].ID, again)
	}
}

// listedNames returns names for types and ids whose order databases often change.
func listedNames() []string {
	return []string{"a", "A", "b", "B", "a ", " a", "a-b", "a/b", "a_b", "a%b", "ab", "aB", "é", "e\u0301", "z", "Z", "1", "10", "2", "ß", "日本", "\U0010ffff", "\uffff", "\x01", "%", "_", "a\uffff", "a\U0010ffff"}
}

func (t *check) listed(st store.Store) []store.StreamInfo {
	t.Helper()
	var streams []store.Stream
	for _, typ := range []string{"T", "a", "A", "é", "a/b", "U"} {
		for _, id := range listedNames() {
			streams = append(streams, store.Stream{Type: typ, ID: id})
		}
	}
	return t.named(st, 2, streams...)
}

func listOrder(t *check) {
	st := t.open()
	t.wantStreams(st, store.StreamsOptions{}, nil)
	all := t.listed(st)
	t.wantStreams(st, store.StreamsOptions{}, all)
	// One stream grows, and the list must show its new version.
	at := &all[len(all)/2]
	e := newEvent("more")
	e.Type = "Later"
	got := t.append(st, at.Stream, store.Exactly(at.Version), e)
	last := t.allOf(st, at.Stream, 3)[2]
	at.Version, at.Position, at.EventType, at.RecordedAt = got.Version, last.Position, "Later", last.RecordedAt
	t.wantStreams(st, store.StreamsOptions{}, all)
}

// chosen returns the streams in all that match o, ignoring After.
func chosen(all []store.StreamInfo, o store.StreamsOptions) []store.StreamInfo {
	return slices.DeleteFunc(slices.Clone(all), func(i store.StreamInfo) bool { return !o.Matches(i.Stream) })
}

func listChooses(t *check) {
	st := t.open()
	all := t.listed(st)
	for _, typ := range []string{"", "T", "a", "A", "é", "missing", "%"} {
		for _, prefix := range append(listedNames(), "", "e", "missing", `\`) {
			o := store.StreamsOptions{Type: typ, IDPrefix: prefix}
			t.wantStreams(st, o, chosen(all, o))
		}
	}
}

func listPages(t *check) {
	st := t.open()
	all := t.listed(st)
	for _, o := range []store.StreamsOptions{
		{Limit: 1},
		{Limit: 7},
		{Limit: len(all)},
		{Limit: len(all) - 1},
		{Limit: math.MaxInt},
		{Limit: 3, Type: "a"},
		{Limit: 2, IDPrefix: "a"},
		{Limit: 1, Type: "T", IDPrefix: "a"},
		{After: all[3].Stream},
		{Limit: 5, After: store.Stream{Type: "B", ID: "between"}},
		{After: store.Stream{Type: "T", ID: "a0"}},
		{After: store.Stream{Type: "A", ID: "z"}, Type: "T"},
		{After: store.Stream{Type: "a", ID: "a"}, Type: "T"},
		{After: store.Stream{Type: "T", ID: "b"}, IDPrefix: "a"},
		{After: all[len(all)-1].Stream},
	} {
		t.wantStreams(st, o, chosen(all, o))
	}
}

func listTypes(t *check) {
	st := t.open()
	want := func(want ...string) {
		t.Helper()
		got, err := as[store.Finder](t, st).StreamTypes(t.ctx)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("StreamTypes() = %+q, %s; want %+q", got, answer(err), want)
		}
	}
	want()
	names := alike()
	for i, typ := range names {
		t.append(st, store.Stream{Type: typ, ID: "1"}, store.NoStream, newEvent("1"))
		if i%4 == 0 {
			t.append(st, store.Stream{Type: typ, ID: "2"}, store.NoStream, newEvent("2"))
		}
	}
	want(names...)
}

func listRefused(t *check) {
	st := t.open()
	s := newStream("refused")
	if _, err := st.Append(t.ctx, s, store.Exactly(4), newEvents(1)); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("an append to a missing stream that expects version 4 = %s, want a conflict", answer(err))
	}
	t.read(st, s, store.ReadOptions{})
	t.wantStreams(st, store.StreamsOptions{}, nil)
	if types, err := as[store.Finder](t, st).StreamTypes(t.ctx); err != nil || len(types) > 0 {
		t.Fatalf("StreamTypes() of a store without events = %q, %s", types, answer(err))
	}
}

func findRefuses(t *check) {
	st := as[store.Finder](t, t.store)
	list := func(o store.StreamsOptions) error { return second(st.ListStreams(t.ctx, o)) }
	for _, bad := range badNames() {
		_, _, err := st.FindEvent(t.ctx, bad.text)
		t.wantInvalid(fmt.Sprintf("FindEvent(%+.40q)", bad.text), err, "id")
		if bad.text == "" {
			continue
		}
		t.wantInvalid(fmt.Sprintf("ListStreams of type %+.40q", bad.text), list(store.StreamsOptions{Type: bad.text}), "type")
		t.wantInvalid(fmt.Sprintf("ListStreams of prefix %+.40q", bad.text), list(store.StreamsOptions{IDPrefix: bad.text}), "id prefix")
		t.wantInvalid(fmt.Sprintf("ListStreams after %+.40q", bad.text), list(store.StreamsOptions{After: store.Stream{Type: "T", ID: bad.text}}), "after.id")
		t.wantInvalid(fmt.Sprintf("ListStreams after %+.40q", bad.text), list(store.StreamsOptions{After: store.Stream{Type: bad.text, ID: "1"}}), "after.type")
	}
	t.wantInvalid("ListStreams after a stream without an id", list(store.StreamsOptions{After: store.Stream{Type: "T"}}), "after.id")
	t.wantInvalid("ListStreams after a stream without a type", list(store.StreamsOptions{After: store.Stream{ID: "1"}}), "after.type")
	t.wantInvalid("ListStreams with a negative limit", list(store.StreamsOptions{Limit: -1}), "limit")
}

func findEnded(t *check) {
	st := as[store.Finder](t, t.store)
	for cause, ctx := range t.ended() {
		_, _, found := st.FindEvent(ctx, store.NewID())
		for call, err := range map[string]error{
			"FindEvent": found, "ListStreams": second(st.ListStreams(ctx, store.StreamsOptions{})), "StreamTypes": second(st.StreamTypes(ctx)),
		} {
			if !errors.Is(err, cause) {
				t.Fatalf("%s with an ended context = %s, want %v", call, answer(err), cause)
			}
		}
	}
}

func findTenants(t *check) {
	if !hasTenants(t.store) {
		t.Skipf("%T has no tenants", t.store)
	}
	a, b := t.newTenants()
	s, events := t.filled(a, "of a", 1)
	if got, found := t.find(b, events[0].ID); found {
		t.Fatalf("FindEvent(%q) of a tenant without events = %+v, an event of another tenant", events[0].ID, got)
	}
	t.wantStreams(b, store.StreamsOptions{}, nil)
	if types, err := as[store.Finder](t, b).StreamTypes(t.ctx); err != nil || len(types) > 0 {
		t.Fatalf("StreamTypes() of a tenant without events = %q, %s", types, answer(err))
	}
	ofB := t.named(b, 3, s)
	t.wantStreams(b, store.StreamsOptions{}, ofB)
	if page := t.list(a, store.StreamsOptions{}); len(page.Streams) != 1 || page.Streams[0].Version != 1 {
		t.Fatalf("ListStreams of a tenant with one stream at version 1 = %+v", page.Streams)
	}
}
