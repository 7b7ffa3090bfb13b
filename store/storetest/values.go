package storetest

import (
	"errors"

	"github.com/evolvego/evolve/store"
)

func readsValues(st store.Store) bool { _, ok := st.(store.ValueReader); return ok }

func valueClauses() []clause {
	return []clause{
		{"values are those of the events, from any version on", valuesAreThose},
		{"a missing stream has no values", missingHasNoValues},
		{"values do not change while the stream grows", valuesStay},
		{"values of an invalid stream, and with an ended context", valuesRefused},
	}
}

// valued returns n events. Those for which chosen returns true have a Value.
func valued(n int, chosen func(i int) bool) []store.Event {
	events := newEvents(n)
	for i := range events {
		if chosen(i) {
			events[i].Data, events[i].Value = nil, "value of "+events[i].ID
		}
	}
	return events
}

// lent reads the values of s from a version on into one slice.
func (t *check) lent(s store.Stream, from uint64) (values []any, head uint64) {
	t.Helper()
	v, err := t.store.(store.ValueReader).ReadValues(t.ctx, s, from) //nolint:errcheck,forcetypeassert // readsValues
	if err != nil {
		t.Fatalf("ReadValues(%s, %d): %v", s, from, err)
	}
	for part := v.Next(); part != nil; part = v.Next() {
		if len(part) == 0 {
			t.Fatalf("ReadValues(%s, %d): a part without values", s, from)
		}
		values = append(values, part...)
	}
	return values, v.Head
}

// wantValues fails unless the values of s are those of events, or of the first of them.
func (t *check) wantValues(s store.Stream, from uint64, events []store.Event) {
	t.Helper()
	values, head := t.lent(s, from)
	rest := events[min(max(from, 1)-1, uint64(len(events))):]
	if head != uint64(len(events)) || len(values) > len(rest) {
		t.Fatalf("ReadValues(%s, %d): %d values, of version %d: want at most %d, of version %d", s, from, len(values), head, len(rest), len(events))
	}
	for i := range values {
		if values[i] != rest[i].Value {
			t.Fatalf("ReadValues(%s, %d): value %d is %v, want %v", s, from, i, values[i], rest[i].Value)
		}
	}
}

// valuesAreThose appends batches of different lengths, with values, with data and with
// both.
func valuesAreThose(t *check) {
	for name, chosen := range map[string]func(i int) bool{
		"all":     func(int) bool { return true },
		"none":    func(int) bool { return false },
		"mixed":   func(i int) bool { return i%3 != 1 },
		"first":   func(i int) bool { return i < 3 },
		"last":    func(i int) bool { return i > 3 },
		"between": func(i int) bool { return i > 6 && i < 20 },
	} {
		events, s := valued(40, chosen), newStream("values "+name)
		for at, n := 0, 1; at < len(events); at, n = at+n, n+1 {
			n = min(n, len(events)-at)
			t.append(t.store, s, store.Any, events[at:at+n]...)
		}
		for from := range uint64(len(events) + 3) {
			t.wantValues(s, from, events)
		}
		if values, _ := t.lent(s, 0); name == "all" && len(values) < len(events) {
			t.Fatalf("ReadValues returned %d of %d values, although all events have one", len(values), len(events))
		}
	}
}

func missingHasNoValues(t *check) {
	for _, from := range []uint64{0, 1, 7} {
		if values, head := t.lent(newStream("no values"), from); len(values) > 0 || head != 0 {
			t.Fatalf("ReadValues(%d) of a missing stream: %d values, head %d", from, len(values), head)
		}
	}
}

func valuesStay(t *check) {
	s, other, all := newStream("values stay"), newStream("other values"), func(int) bool { return true }
	t.append(t.store, other, store.NoStream, valued(1, all)...)
	var events []store.Event
	for n := range 12 {
		next := valued(n+1, all)
		events = append(events, next...)
		t.append(t.store, s, store.Any, next...)
		before, err := t.store.(store.ValueReader).ReadValues(t.ctx, s, 1) //nolint:errcheck,forcetypeassert // readsValues
		if err != nil {
			t.Fatalf("ReadValues(%s, 1): %v", s, err)
		}
		more := valued(n+2, all)
		t.append(t.store, s, store.Any, more...)
		t.lent(other, 1)
		at := 0
		for part := before.Next(); part != nil; part = before.Next() {
			for _, value := range part {
				if at == len(events) || value != events[at].Value {
					t.Fatalf("after an append and another read, value %d of an earlier read is %v, of %d", at, value, len(events))
				}
				at++
			}
		}
		events = append(events, more...)
		t.wantValues(s, uint64(n), events)
	}
}

func valuesRefused(t *check) {
	reader := t.store.(store.ValueReader) //nolint:errcheck,forcetypeassert // readsValues
	_, err := reader.ReadValues(t.ctx, store.Stream{Type: "Account"}, 1)
	t.wantInvalid("ReadValues of a stream without an id", err, "")
	for cause, ctx := range t.ended() {
		if _, err := reader.ReadValues(ctx, newStream("ended"), 1); !errors.Is(err, cause) {
			t.Fatalf("ReadValues with an ended context = %v, want %v", err, cause)
		}
	}
}
