package storetest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/internal/judge"
)

// wantConflict fails unless err is the *ConflictError want.
func (t *check) wantConflict(call string, err error, want store.ConflictError) {
	t.Helper()
	got, ok := judge.IsA[*store.ConflictError](err, store.ErrConflict)
	if !ok {
		t.Fatalf("%s = %s, want a *ConflictError that matches ErrConflict", call, answer(err))
	}
	if *got != want {
		t.Fatalf("%s = %+v, want %+v", call, *got, want)
	}
}

// wantDuplicate fails unless err is the *DuplicateError want.
func (t *check) wantDuplicate(call string, err error, want store.DuplicateError) {
	t.Helper()
	got, ok := judge.IsA[*store.DuplicateError](err, store.ErrDuplicate)
	if !ok {
		t.Fatalf("%s = %s, want a *DuplicateError that matches ErrDuplicate", call, answer(err))
	}
	if *got != want {
		t.Fatalf("%s = %+v, want %+v", call, *got, want)
	}
}

// wantInvalid fails unless err is an *InvalidError about field. If field is empty, any
// field will do.
func (t *check) wantInvalid(call string, err error, field string) {
	t.Helper()
	got, ok := judge.IsA[*store.InvalidError](err, store.ErrInvalid)
	if !ok {
		t.Fatalf("%s = %s, want an *InvalidError that matches ErrInvalid, about %s", call, answer(err), field)
	}
	if field != "" && got.Field != field {
		t.Fatalf("%s = %v, want it to name the field %q, not %q", call, err, field, got.Field)
	}
}

// wantStream fails unless s has exactly these events, with the versions from 1 on.
func (t *check) wantStream(st store.Store, s store.Stream, want []store.Event) {
	t.Helper()
	if diff := differStream(t.all(st, s), s, want); diff != "" {
		t.Fatalf("stream %q, %q: %s", s.Type, s.ID, diff)
	}
}

// wantNoStream fails unless s has no events and there is no sign that it ever had any.
func (t *check) wantNoStream(st store.Store, s store.Stream, why string) {
	t.Helper()
	for _, backward := range []bool{false, true} {
		o := store.ReadOptions{Backward: backward}
		if page := t.read(st, s, o); len(page.Events) != 0 || page.Head != 0 || !page.End {
			t.Fatalf("%s after %s = %d events, Head %d, End %t; want no events, Head 0, End true",
				judge.ReadCall(s, o), why, len(page.Events), page.Head, page.End)
		}
	}
	events := newEvents(1)
	_, err := st.Append(t.ctx, s, store.Exists, events)
	t.wantConflict(appendCall(s, store.Exists, events)+" after "+why, err, store.ConflictError{Stream: s, Expected: store.Exists})
}

// differStream returns how got differs from stream s with the events want, or "" if it
// does not.
func differStream(got []store.Recorded, s store.Stream, want []store.Event) string {
	for i := range min(len(got), len(want)) {
		if diff := differ(&got[i], s, uint64(i+1), &want[i]); diff != "" {
			return fmt.Sprintf("event %d of %d: %s", i+1, len(want), diff)
		}
	}
	if len(got) != len(want) {
		return fmt.Sprintf("has %d events, want %d", len(got), len(want))
	}
	return ""
}

// differ returns how got differs from the recorded form of want, or "" if it does not.
func differ(got *store.Recorded, s store.Stream, version uint64, want *store.Event) string {
	contentType := want.ContentType
	if contentType == "" {
		contentType = store.OctetStream
	}
	switch {
	case got.Stream != s:
		return fmt.Sprintf("Stream is %+q, want %+q", got.Stream, s)
	case got.Version != version:
		return fmt.Sprintf("Version is %d, want %d", got.Version, version)
	case got.ID != want.ID:
		return fmt.Sprintf("ID is %+q (data %s), want %+q (data %s)", got.ID, excerpt(got.Data), want.ID, excerpt(want.Data))
	case got.Type != want.Type:
		return fmt.Sprintf("Type is %+q, want %+q", got.Type, want.Type)
	case got.Schema != want.Schema:
		return fmt.Sprintf("Schema is %d, want %d", got.Schema, want.Schema)
	case got.ContentType != contentType:
		return fmt.Sprintf("ContentType is %+q, want %+q", got.ContentType, contentType)
	case !bytes.Equal(got.Data, want.Data):
		return fmt.Sprintf("Data is %s, want %s", excerpt(got.Data), excerpt(want.Data))
	case !got.Time.Truncate(time.Millisecond).Equal(want.Time.Truncate(time.Millisecond)):
		return fmt.Sprintf("Time is %s, want %s, to the millisecond", got.Time, want.Time)
	case got.RecordedAt.IsZero():
		return "RecordedAt is the zero time"
	}
	return differMeta(&got.Meta, &want.Meta)
}

func differMeta(got, want *store.Metadata) string {
	switch {
	case got.CorrelationID != want.CorrelationID:
		return fmt.Sprintf("CorrelationID is %+q, want %+q", got.CorrelationID, want.CorrelationID)
	case got.CausationID != want.CausationID:
		return fmt.Sprintf("CausationID is %+q, want %+q", got.CausationID, want.CausationID)
	case got.ActorID != want.ActorID:
		return fmt.Sprintf("ActorID is %+q, want %+q", got.ActorID, want.ActorID)
	case !maps.Equal(got.Headers, want.Headers):
		return fmt.Sprintf("Headers are %.200q, want %.200q", got.Headers, want.Headers)
	}
	return ""
}

// differRecorded returns how two reads of one event differ, or "" if they do not.
func differRecorded(got, want *store.Recorded) string {
	if diff := differ(got, want.Stream, want.Version, &want.Event); diff != "" {
		return diff
	}
	switch {
	case got.Position != want.Position:
		return fmt.Sprintf("Position is %d, want %d", got.Position, want.Position)
	case !got.Time.Equal(want.Time):
		return fmt.Sprintf("Time is %s, want %s", got.Time, want.Time)
	case !got.RecordedAt.Equal(want.RecordedAt):
		return fmt.Sprintf("RecordedAt is %s, want %s", got.RecordedAt, want.RecordedAt)
	}
	return ""
}

// differAll returns how two reads of the same events differ, or "" if they do not.
func differAll(got, want []store.Recorded) string {
	for i := range min(len(got), len(want)) {
		if diff := differRecorded(&got[i], &want[i]); diff != "" {
			return fmt.Sprintf("event %d of %d: %s", i+1, len(want), diff)
		}
	}
	switch {
	case len(got) < len(want):
		return fmt.Sprintf("%d events, want %d: the first missing one is %s", len(got), len(want), name(&want[len(got)]))
	case len(got) > len(want):
		return fmt.Sprintf("%d events, want %d: the first superfluous one is %s", len(got), len(want), name(&got[len(want)]))
	}
	return ""
}

// answer describes how a call ended.
func answer(err error) string {
	if err == nil {
		return "success"
	}
	return fmt.Sprintf("%T %v", err, err)
}

// name identifies event r in messages.
func name(r *store.Recorded) string {
	return fmt.Sprintf("version %d of %+q at position %d", r.Version, r.Stream, r.Position)
}

// excerpt returns data for a message.
func excerpt(data []byte) string {
	if len(data) > 64 {
		return fmt.Sprintf("%q… (%d bytes)", data[:64], len(data))
	}
	return fmt.Sprintf("%q", data)
}

// keep returns events that share no memory with these.
func keep(events []store.Recorded) []store.Recorded {
	events = slices.Clone(events)
	for i := range events {
		events[i].Event = judge.Clone([]store.Event{events[i].Event})[0]
	}
	return events
}
