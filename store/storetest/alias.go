package storetest

import (
	"errors"
	"reflect"
	"strings"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/internal/judge"
)

func aliasClauses() []clause {
	return []clause{
		{"the caller can change the events after Append", inputsAreNotKept},
		{"the caller can change refused events and append them", refusedIsNotKept},
		{"Append changes none of its arguments", inputsAreNotChanged},
		{"the caller can change a page", pagesAreNotKept},
		{"a page with ReadOnly has the same events", readOnlyIsTheSame},
		{"a page in a Buffer has the same events", bufferIsTheSame},
		{"the caller can change a page in a Buffer", bufferIsNotKept},
	}
}

// spoil changes everything that the events point to.
func spoil(events []store.Event) {
	for i := range events {
		spoilEvent(&events[i])
	}
}

func spoilEvent(e *store.Event) {
	data := e.Data[:cap(e.Data)] // bytes after Data in the same array do not belong to the caller either
	for i := range data {
		data[i] ^= 0xff
	}
	for key := range e.Meta.Headers {
		e.Meta.Headers[key] = "spoilt"
	}
	if e.Meta.Headers != nil {
		e.Meta.Headers["spoilt"] = "spoilt"
	}
	*e = store.Event{ID: "spoilt", Data: e.Data, Meta: store.Metadata{Headers: e.Meta.Headers}}
}

// spoilPage changes everything that page points to.
func spoilPage(page *store.Page) {
	events := page.Events[:cap(page.Events)]
	for i := range events {
		spoilEvent(&events[i].Event)
		events[i] = store.Recorded{Event: events[i].Event}
	}
}

func inputsAreNotKept(t *check) {
	for _, n := range []int{1, 2, 3, 70} {
		s := newStream("aliased")
		for _, expected := range []store.Expected{store.NoStream, store.Any} {
			events := newEvents(n)
			want := judge.Clone(events)
			at := len(t.all(t.store, s))
			t.append(t.store, s, expected, events...)
			spoil(events)
			for i, got := range t.all(t.store, s)[at:] {
				if diff := differ(&got, s, uint64(at+i+1), &want[i]); diff != "" {
					t.Fatalf("after changing the %d events passed to Append, event %d in the store differs: %s", n, i+1, diff)
				}
			}
		}
	}
}

func refusedIsNotKept(t *check) {
	s, before := t.filled(t.store, "refused", 1)
	events := newEvents(2)
	_, err := t.store.Append(t.ctx, s, store.Exactly(7), events)
	t.wantConflict(appendCall(s, store.Exactly(7), events), err, store.ConflictError{Stream: s, Expected: store.Exactly(7), Actual: 1})
	events[0].Data[0] ^= 0xff
	events[1].Meta.Headers["new"] = "value"
	want := judge.Clone(events)
	t.append(t.store, s, store.Exactly(1), events...)
	t.wantStream(t.store, s, append(before, want...))
}

func inputsAreNotChanged(t *check) {
	s := newStream("arguments")
	events := newEvents(4)
	events[0].ContentType = ""
	events[1].Time = time.Time{}
	events[2].Data, events[2].Meta.Headers = nil, nil
	events[3].Data = append(make([]byte, 0, 100), "spare"...)
	spare := events[3].Data[:100]
	for _, c := range []struct {
		expected store.Expected
		err      error
	}{{store.Exactly(3), store.ErrConflict}, {store.NoStream, nil}, {store.NoStream, nil}, {store.Expected(0), store.ErrInvalid}} {
		want, call := judge.Clone(events), appendCall(s, c.expected, events)
		if _, err := t.store.Append(t.ctx, s, c.expected, events); !errors.Is(err, c.err) {
			t.Fatalf("%s = %s, want %s", call, answer(err), answer(c.err))
		}
		if !reflect.DeepEqual(events, want) {
			t.Fatalf("%s changed the caller's events from %+v to %+v", call, want, events)
		}
	}
	if strings.Trim(string(spare[5:]), "\x00") != "" {
		t.Fatalf("Append wrote past the end of an event's Data: %q", spare)
	}
}

func pagesAreNotKept(t *check) {
	s, events := t.filled(t.store, "pages", 5)
	for _, o := range []store.ReadOptions{{}, {Limit: 2}, {Backward: true}, {From: 3}, {From: 2, Limit: 1, Backward: true}} {
		for range 2 {
			page := t.read(t.store, s, o)
			spoilPage(&page)
			if diff := differStream(t.all(t.store, s), s, events); diff != "" {
				t.Fatalf("after changing a page of %s, the store differs: %s", judge.ReadCall(s, o), diff)
			}
		}
	}
}

// readOnlyIsTheSame compares whole reads, because one page may be shorter with ReadOnly
// than without.
func readOnlyIsTheSame(t *check) {
	s, _ := t.filled(t.store, "read only", 5)
	for i, o := range []store.ReadOptions{{}, {Limit: 2}, {Backward: true}, {From: 3}, {From: 99}, {From: 2, Limit: 1, Backward: true}} {
		head := uint64(5 + 7*i)
		want := t.readPages(s, o, head)
		o.ReadOnly = true
		got := t.readPages(s, o, head)
		if diff := differAll(got, want); diff != "" {
			t.Fatalf("%s and the following pages, compared with the same reads without ReadOnly: %s", judge.ReadCall(s, o), diff)
		}
		t.append(t.store, s, store.Any, newEvents(7)...)
		if diff := differAll(got, want); diff != "" {
			t.Fatalf("pages of %s, read before an append and compared after it: %s", judge.ReadCall(s, o), diff)
		}
	}
}

// usedBuffer returns room for n events, in which there are others.
func usedBuffer(n int) []store.Recorded {
	buffer := make([]store.Recorded, n)
	for i, e := range newEvents(n) {
		e.Value, e.Meta.ActorID = "of the page before", "of the page before"
		buffer[i] = store.Recorded{Event: e, Stream: newStream("before"), Version: 1 << 40, Position: 1 << 40, RecordedAt: e.Time}
	}
	return buffer
}

// bufferIsTheSame reads page by page into one buffer, which has room for a part of a page,
// or for more than that.
func bufferIsTheSame(t *check) {
	s, events := t.filled(t.store, "buffer", 5)
	plain := newEvents(2)
	plain[0].Data, plain[0].Meta, plain[0].Schema = nil, store.Metadata{}, 0
	events = append(events, plain...)
	t.append(t.store, s, store.Any, plain...)
	for _, o := range []store.ReadOptions{{}, {Limit: 2}, {Backward: true}, {From: 3}, {From: 99}, {From: 2, Limit: 1, Backward: true}} {
		want := t.readPages(s, o, uint64(len(events)))
		for _, room := range []int{1, 3, 9} {
			for _, used := range []int{0, room} {
				for _, readOnly := range []bool{false, true} {
					o.ReadOnly, o.Buffer = readOnly, usedBuffer(room)[:used]
					got := t.readPages(s, o, uint64(len(events)))
					if diff := differAll(got, want); diff != "" {
						t.Fatalf("%s and the pages after it, ReadOnly: %t, with a Buffer of %d events and room for %d, against the same without: %s",
							judge.ReadCall(s, o), readOnly, used, room, diff)
					}
				}
			}
		}
	}
}

func bufferIsNotKept(t *check) {
	s, events := t.filled(t.store, "buffer changed", 5)
	for _, o := range []store.ReadOptions{{}, {Limit: 2}, {Backward: true}, {From: 3}} {
		o.Buffer = usedBuffer(7)
		for range 2 {
			page := t.read(t.store, s, o)
			spoilPage(&page)
			clear(o.Buffer)
			if diff := differStream(t.all(t.store, s), s, events); diff != "" {
				t.Fatalf("the page of %s in a Buffer was changed, and now the store is: %s", judge.ReadCall(s, o), diff)
			}
		}
	}
}
