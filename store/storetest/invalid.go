package storetest

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/internal/judge"
)

func invalidClauses() []clause {
	return []clause{
		{"streams", refusesStreams},
		{"expected versions, including the zero Expected", refusesExpected},
		{"batches that are empty or too large", refusesBatches},
		{"events", refusesEvents},
		{"too much data", refusesMuchData},
		{"negative limits", refusesLimits},
		{"an invalid stream has no events to read", readsNoInvalidStream},
	}
}

// badText is a text that every field refuses.
type badText struct{ what, text string }

// badTexts returns texts that no field accepts.
func badTexts() []badText {
	return []badText{
		{"with NUL", "a\x00b"},
		{"NUL", "\x00"},
		{"not UTF-8", "a\xffb"},
		{"half a rune", "\xe6\x97"},
		{"a surrogate", "\xed\xa0\x80"},
	}
}

// badNames returns texts that no name may be.
func badNames() []badText {
	return append(badTexts(),
		badText{"empty", ""},
		badText{"too long", strings.Repeat("n", store.MaxName+1)},
		badText{"too long in bytes", strings.Repeat("日", store.MaxName/3+1)})
}

// refused fails unless the append returns an *InvalidError about field and leaves
// nothing: s keeps the events before, and no id is taken.
func (t *check) refused(what string, s store.Stream, expected store.Expected, events []store.Event, field string, before []store.Event) {
	t.Helper()
	_, err := t.store.Append(t.ctx, s, expected, events)
	t.wantInvalid(fmt.Sprintf("%s, %s", appendCall(s, expected, events), what), err, field)
	if s.Validate() == nil {
		t.wantStream(t.store, s, before)
	}
}

func refusesStreams(t *check) {
	events := newEvents(1)
	for _, bad := range badNames() {
		t.refused("type "+bad.what, store.Stream{Type: bad.text, ID: "id"}, store.Any, events, "stream.type", nil)
		t.refused("id "+bad.what, store.Stream{Type: "Account", ID: bad.text}, store.Any, events, "stream.id", nil)
	}
	t.append(t.store, newStream("valid"), store.NoStream, events...)
}

func refusesExpected(t *check) {
	existing, before := t.filled(t.store, "existing", 2)
	missing := newStream("missing")
	events := newEvents(1)
	for _, expected := range []store.Expected{0, store.Any - 1, -1 << 63, store.Expected(store.MaxVersion) + 1, 1<<63 - 1} {
		what := fmt.Sprintf("Expected(%d)", int64(expected))
		t.refused(what, existing, expected, events, "expected", before)
		t.refused(what, missing, expected, events, "expected", nil)
	}
	t.wantNoStream(t.store, missing, "invalid appends")
	t.append(t.store, missing, store.NoStream, events...)
}

func refusesBatches(t *check) {
	s, before := t.filled(t.store, "batch", 1)
	missing := newStream("missing")
	tests := []struct {
		what   string
		events []store.Event
		field  string
	}{
		{"nil", nil, "events"},
		{"empty", []store.Event{}, "events"},
		{"one too many", newEvents(store.MaxBatch + 1), "events"},
	}
	twice := newEvents(3)
	twice[2].ID = twice[0].ID
	tests = append(tests, struct {
		what   string
		events []store.Event
		field  string
	}{"a repeated id", twice, "events[2].id"})
	for _, tt := range tests {
		for _, expected := range []store.Expected{store.Any, store.NoStream} {
			t.refused(tt.what, s, expected, tt.events, tt.field, before)
			t.refused(tt.what, missing, expected, tt.events, tt.field, nil)
		}
	}
	t.wantNoStream(t.store, missing, "invalid batches")
	t.append(t.store, s, store.Exactly(1), twice[:2]...)
}

func refusesEvents(t *check) {
	s, before := t.filled(t.store, "events", 1)
	missing := newStream("missing")
	valid := newEvents(3)
	for _, tt := range badEvents() {
		events := judge.Clone(valid)
		tt.change(&events[1])
		field := "events[1]." + tt.field
		t.refused(tt.what, s, store.Exactly(1), events, field, before)
		t.refused(tt.what, missing, store.NoStream, events, field, nil)
		t.refused(tt.what, missing, store.NoStream, events[1:2], "events[0]."+tt.field, nil)
	}
	t.wantNoStream(t.store, missing, "invalid events")
	t.append(t.store, missing, store.NoStream, valid...)
	t.wantStream(t.store, missing, valid)
}

// badEvent is a change that makes the given field of an event invalid.
type badEvent struct {
	what, field string
	change      func(e *store.Event)
}

func badEvents() []badEvent {
	var bad []badEvent
	for _, n := range badNames() {
		bad = append(bad,
			badEvent{"id " + n.what, "id", func(e *store.Event) { e.ID = n.text }},
			badEvent{"type " + n.what, "type", func(e *store.Event) { e.Type = n.text }})
	}
	for _, x := range badTexts() {
		bad = append(bad,
			badEvent{"content type " + x.what, "content type", func(e *store.Event) { e.ContentType = x.text }},
			badEvent{"correlation id " + x.what, "correlation id", func(e *store.Event) { e.Meta.CorrelationID = x.text }},
			badEvent{"causation id " + x.what, "causation id", func(e *store.Event) { e.Meta.CausationID = x.text }},
			badEvent{"actor id " + x.what, "actor id", func(e *store.Event) { e.Meta.ActorID = x.text }},
			badEvent{"header key " + x.what, "header key", func(e *store.Event) { e.Meta.Headers[x.text] = "v" }},
			badEvent{"header " + x.what, "header key", func(e *store.Event) { e.Meta.Headers = map[string]string{x.text: x.text} }},
			badEvent{"header value " + x.what, "header k", func(e *store.Event) { e.Meta.Headers["k"] = x.text }})
	}
	long, half := strings.Repeat("m", store.MaxMetadata+1), strings.Repeat("m", store.MaxMetadata/2+1)
	return append(bad,
		badEvent{"content type too long", "content type", func(e *store.Event) { e.ContentType = long[:store.MaxName+1] }},
		badEvent{"correlation id too long", "correlation id", func(e *store.Event) { e.Meta.CorrelationID = long }},
		badEvent{"causation id too long", "causation id", func(e *store.Event) { e.Meta.CausationID = long }},
		badEvent{"actor id too long", "actor id", func(e *store.Event) { e.Meta.ActorID = long }},
		badEvent{"header too long", "header k", func(e *store.Event) { e.Meta.Headers["k"] = long }},
		badEvent{"header key too long", "header key", func(e *store.Event) { e.Meta.Headers[long] = "" }},
		badEvent{"header key empty", "headers", func(e *store.Event) { e.Meta.Headers[""] = "v" }},
		badEvent{"metadata too long in total", "metadata", func(e *store.Event) { e.Meta.ActorID, e.Meta.CausationID = half, half }},
		badEvent{"headers too long in total", "metadata", func(e *store.Event) { e.Meta.Headers = map[string]string{"a": half, "b": half} }},
		badEvent{"data too long", "data", func(e *store.Event) { e.Data = make([]byte, store.MaxData+1) }},
		badEvent{"both a value and data", "value", func(e *store.Event) { e.Value = 1 }})
}

func refusesMuchData(t *check) {
	s, before := t.filled(t.store, "much data", 1)
	events := newEvents(store.MaxBatchData/store.MaxData + 1)
	data := make([]byte, store.MaxData)
	for i := range events {
		events[i].Data = data
	}
	events[0].Data = data[:1]
	t.refused("one byte too many", s, store.Any, events, "events", before)
	small := slices.Clone(events)
	for i := range small {
		small[i].Data = nil
	}
	t.append(t.store, s, store.Exactly(1), small...)
}

func refusesLimits(t *check) {
	s, _ := t.filled(t.store, "limits", 2)
	for _, limit := range []int{-1, -1000, math.MinInt} {
		for _, stream := range []store.Stream{s, newStream("missing")} {
			o := store.ReadOptions{Limit: limit}
			_, err := t.store.Read(t.ctx, stream, o)
			t.wantInvalid(judge.ReadCall(stream, o), err, "limit")
		}
	}
}

// readsNoInvalidStream accepts both an *InvalidError and an empty page, but no other
// error.
func readsNoInvalidStream(t *check) {
	for _, bad := range badNames() {
		for _, s := range []store.Stream{{Type: bad.text, ID: "id"}, {Type: "Account", ID: bad.text}} {
			page, err := t.store.Read(t.ctx, s, store.ReadOptions{})
			if err != nil {
				t.wantInvalid(judge.ReadCall(s, store.ReadOptions{}), err, "")
			} else if len(page.Events) != 0 || page.Head != 0 || !page.End {
				t.Fatalf("%s = %d events, Head %d, End %t; want an empty page or an *InvalidError",
					judge.ReadCall(s, store.ReadOptions{}), len(page.Events), page.Head, page.End)
			}
		}
	}
}
