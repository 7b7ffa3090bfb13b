package storetest

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/internal/judge"
)

func fidelityClauses() []clause {
	return []clause{
		{"data comes back byte for byte", keepsData},
		{"1 MiB of data comes back", keepsLargeData},
		{"names come back byte for byte", keepsNames},
		{"metadata comes back byte for byte", keepsMetadata},
		{"metadata comes back up to its limit", keepsLargeMetadata},
		{"every schema number comes back", keepsSchema},
		{"an empty content type is stored as application octet-stream", emptyContentType},
		{"times come back to the millisecond", keepsTimes},
		{"the zero time is stored as the time of recording", zeroTime},
		{"the time of recording is about now", recordedNow},
		{"a batch of 1000 comes back or is refused as invalid", keepsLargeBatch},
		{"a value comes back or is refused as invalid", keepsValue},
		{"an event never changes", neverChanges},
	}
}

func keepsData(t *check) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	s := newStream("data")
	var events []store.Event
	for _, data := range [][]byte{
		nil,
		{},
		{0},
		{0, 0},
		{0xff},
		every, []byte("\xed\xa0\x80"), []byte("\\x00"), []byte("null"), []byte("{}"), []byte(`{"a": 1, "a":1.0}`),
		[]byte(" \n"), []byte("\ufeff"), bytes.Repeat(every, 20),
	} {
		e := newEvent("")
		e.Data = data
		e.ContentType = "application/json"
		events = append(events, e)
	}
	t.append(t.store, s, store.NoStream, events...)
	t.wantStream(t.store, s, events)
}

func keepsLargeData(t *check) {
	s, e := newStream("large data"), newEvent("")
	e.Data = make([]byte, 1<<20)
	for i := range e.Data {
		e.Data[i] = byte(i * i >> 3)
	}
	t.append(t.store, s, store.NoStream, newEvent("before"), e, newEvent("after"))
	got := t.allOf(t.store, s, 3)
	if diff := differ(&got[1], s, 2, &e); diff != "" {
		t.Fatalf("event of 1 MiB: %s", diff)
	}
}

func keepsNames(t *check) {
	for _, name := range fresh(newTag()) {
		s := store.Stream{Type: name, ID: name}
		events := newEvents(2)
		events[0].Type = name
		events[0].ContentType = name
		events[1].ID = name
		t.append(t.store, s, store.Any, events...)
		t.wantStream(t.store, s, events)
	}
}

func keepsMetadata(t *check) {
	s := newStream("metadata")
	var events []store.Event
	all := map[string]string{"empty": ""}
	for _, text := range append(strange(), "") {
		e := newEvent(text)
		e.Meta = store.Metadata{CorrelationID: text, CausationID: text + "!", ActorID: "!" + text, Headers: map[string]string{"key": text}}
		if text != "" {
			e.Meta.Headers[text] = "value"
			all[text] = text
		}
		events = append(events, e)
	}
	for _, meta := range []store.Metadata{{}, {Headers: map[string]string{}}, {Headers: all}, {ActorID: "only"}} {
		e := newEvent("")
		e.Meta = meta
		events = append(events, e)
	}
	t.append(t.store, s, store.NoStream, events...)
	t.wantStream(t.store, s, events)
}

func keepsLargeMetadata(t *check) {
	s, e := newStream("large metadata"), newEvent("")
	third := strings.Repeat("m", store.MaxMetadata/4)
	e.Meta = store.Metadata{CorrelationID: third, ActorID: third, Headers: map[string]string{third: third}}
	t.append(t.store, s, store.NoStream, e)
	t.wantStream(t.store, s, []store.Event{e})
}

func keepsSchema(t *check) {
	s, events := newStream("schema"), newEvents(5)
	for i, schema := range []uint32{0, 1, 2, math.MaxInt32 + 1, math.MaxUint32} {
		events[i].Schema = schema
	}
	t.append(t.store, s, store.NoStream, events...)
	t.wantStream(t.store, s, events)
}

func emptyContentType(t *check) {
	s, events := newStream("content type"), newEvents(1)
	events[0].ContentType = ""
	t.append(t.store, s, store.NoStream, events...)
	if got := t.allOf(t.store, s, 1)[0].ContentType; got != "application/octet-stream" {
		t.Fatalf("an event without a content type has %q, want application/octet-stream", got)
	}
}

func keepsTimes(t *check) {
	s := newStream("times")
	var events []store.Event
	for _, at := range []time.Time{
		time.Date(2024, 2, 29, 23, 59, 59, 999_000_000, time.UTC),
		time.Date(2024, 3, 31, 2, 30, 0, 1_000_000, time.FixedZone("", 2*3600)),
		time.Date(2024, 1, 1, 0, 0, 0, 500_999_999, time.FixedZone("", -(11*3600+30*60))),
		time.Date(1970, 1, 1, 0, 0, 1, 0, time.UTC),
		time.Date(2200, 12, 31, 0, 0, 0, 7_000_000, time.UTC),
		time.Now(),
	} {
		e := newEvent(at.String())
		e.Time = at
		events = append(events, e)
	}
	t.append(t.store, s, store.NoStream, events...)
	t.wantStream(t.store, s, events)
}

func zeroTime(t *check) {
	s, events := newStream("zero time"), newEvents(2)
	events[0].Time, events[1].Time = time.Time{}, time.Time{}.Local()
	t.append(t.store, s, store.NoStream, events...)
	for _, got := range t.allOf(t.store, s, 2) {
		if !got.Time.Truncate(time.Millisecond).Equal(got.RecordedAt.Truncate(time.Millisecond)) || got.Time.IsZero() {
			t.Fatalf("an event with the zero time has Time %s, want its RecordedAt %s", got.Time, got.RecordedAt)
		}
	}
}

func recordedNow(t *check) {
	before := time.Now()
	s, _ := t.filled(t.store, "now", 1)
	got := t.allOf(t.store, s, 1)[0].RecordedAt
	const apart = time.Hour // allowed difference between the clocks of store and client
	if got.Before(before.Add(-apart)) || got.After(time.Now().Add(apart)) {
		t.Fatalf("an event appended at %s has RecordedAt %s, want about the same time", before, got)
	}
}

func keepsLargeBatch(t *check) {
	s, events := newStream("large batch"), newEvents(1000)
	if _, err := t.store.Append(t.ctx, s, store.NoStream, events); err != nil {
		t.wantInvalid(appendCall(s, store.NoStream, events), err, "events")
		t.wantNoStream(t.store, s, "a refused batch")
		return
	}
	t.wantStream(t.store, s, events)
}

func keepsValue(t *check) {
	s, events := newStream("value"), newEvents(2)
	value := &struct{ Owner string }{"ann"}
	events[1].Data, events[1].Value = nil, value
	if _, err := t.store.Append(t.ctx, s, store.NoStream, events); err != nil {
		t.wantInvalid(appendCall(s, store.NoStream, events)+" with a Value", err, "")
		t.wantNoStream(t.store, s, "a refused value")
		return
	}
	for range 2 {
		got := t.all(t.store, s)
		if diff := differStream(got, s, events); diff != "" {
			t.Fatalf("stream with a Value: %s", diff)
		}
		if got[0].Value != nil || got[1].Value != any(value) {
			t.Fatalf("Values are %v and %p, want nil and %p: the same value for every reader", got[0].Value, got[1].Value, value)
		}
	}
	if value.Owner != "ann" {
		t.Fatalf("the store changed the Value")
	}
}

func neverChanges(t *check) {
	s, _ := t.filled(t.store, "never changes", 3)
	first := t.allOf(t.store, s, 3)
	t.append(t.store, s, store.Exactly(3), newEvents(3)...)
	refused := newEvents(1)
	if _, err := t.store.Append(t.ctx, s, store.NoStream, refused); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("%s = %v, want a conflict", appendCall(s, store.NoStream, refused), err)
	}
	for range 3 {
		if diff := differAll(t.allOf(t.store, s, 6)[:3], first); diff != "" {
			t.Fatalf("an event that is read again differs: %s", diff)
		}
	}
	for i, want := range first {
		o := store.ReadOptions{From: uint64(i + 1), Limit: 1, Backward: i%2 == 1}
		if diff := differAll(t.read(t.store, s, o).Events, []store.Recorded{want}); diff != "" {
			t.Fatalf("%s: %s", judge.ReadCall(s, o), diff)
		}
	}
}
