package storetest

import (
	"fmt"
	"slices"

	"github.com/samber/lo"

	"github.com/evolvego/evolve/store"
)

func appendClauses() []clause {
	return []clause{
		{"versions are 1 to n without a gap", versionsHaveNoGap},
		{"returns the version and position of the last event", appendTellsWhere},
		{"a batch keeps its order", batchKeepsOrder},
		{"NoStream creates a stream once", noStreamCreatesOnce},
		{"Exactly accepts one version, and a refusal leaves no gap", exactlyAcceptsOne},
		{"Exactly of a version does not create a missing stream", exactlyNeverCreates},
		{"Exists accepts an existing stream and creates none", existsNeverCreates},
		{"Any accepts everything", anyAcceptsAll},
		{"a refused batch records nothing and reserves no id", refusalLeavesNothing},
		{"streams are kept apart", streamsAreApart},
		{"streams are kept apart, byte for byte", streamsToTheLetter},
	}
}

func versionsHaveNoGap(t *check) {
	s := newStream("versions")
	var all []store.Event
	for _, n := range []int{1, 3, 1, 7, 2} {
		events := newEvents(n)
		expected := store.Exactly(uint64(len(all)))
		all = append(all, events...)
		t.append(t.store, s, expected, events...)
		t.wantStream(t.store, s, all)
	}
}

func appendTellsWhere(t *check) {
	s := newStream("where")
	_, hasLog := t.store.(store.Log)
	last := store.Appended{}
	for _, n := range []int{2, 1, 5} {
		events := newEvents(n)
		got := t.append(t.store, s, store.Any, events...)
		call := appendCall(s, store.Any, events)
		page := t.read(t.store, s, store.ReadOptions{From: got.Version})
		switch {
		case got.Version != last.Version+uint64(n):
			t.Fatalf("%s at version %d = version %d, want %d", call, last.Version, got.Version, last.Version+uint64(n))
		case len(page.Events) != 1 || page.Events[0].ID != events[n-1].ID:
			t.Fatalf("%s = version %d, but the stream has the events %q from there on, want only the last event of the batch, %q",
				call, got.Version, lo.Map(page.Events, func(r store.Recorded, _ int) string { return r.ID }), events[n-1].ID)
		case page.Events[0].Position != got.Position:
			t.Fatalf("%s = position %d, but the event is read with position %d", call, got.Position, page.Events[0].Position)
		case !hasLog && got.Position != 0:
			t.Fatalf("%s = position %d, want 0: the store has no log", call, got.Position)
		case hasLog && got.Position <= last.Position:
			t.Fatalf("%s = position %d, want more than %d, the position of the previous append", call, got.Position, last.Position)
		}
		last = got
	}
}

func batchKeepsOrder(t *check) {
	s := newStream("order")
	events := newEvents(50)
	slices.Reverse(events)
	t.append(t.store, s, store.NoStream, events...)
	t.wantStream(t.store, s, events)
}

func noStreamCreatesOnce(t *check) {
	s, events := t.filled(t.store, "create", 2)
	for range 2 {
		second := newEvents(1)
		_, err := t.store.Append(t.ctx, s, store.NoStream, second)
		t.wantConflict(appendCall(s, store.NoStream, second)+" on a stream that exists", err,
			store.ConflictError{Stream: s, Expected: store.NoStream, Actual: 2})
		t.wantStream(t.store, s, events)
	}
}

func exactlyAcceptsOne(t *check) {
	s, events := t.filled(t.store, "exactly", 3)
	for _, version := range []uint64{0, 1, 2, 4, 5, 6, 1 << 31, 1 << 32, 1<<32 + 3, store.MaxVersion} {
		expected := store.Exactly(version)
		batch := newEvents(2)
		_, err := t.store.Append(t.ctx, s, expected, batch)
		t.wantConflict(appendCall(s, expected, batch)+" at version 3", err,
			store.ConflictError{Stream: s, Expected: expected, Actual: 3})
		t.wantStream(t.store, s, events)
	}
	more := newEvents(1)
	t.append(t.store, s, store.Exactly(3), more...)
	t.wantStream(t.store, s, append(events, more...))
}

func exactlyNeverCreates(t *check) {
	s := newStream("never exactly")
	for _, version := range []uint64{1, 2, store.MaxVersion} {
		events := newEvents(1)
		_, err := t.store.Append(t.ctx, s, store.Exactly(version), events)
		call := appendCall(s, store.Exactly(version), events)
		t.wantConflict(call, err, store.ConflictError{Stream: s, Expected: store.Exactly(version)})
		t.wantNoStream(t.store, s, call)
	}
}

func existsNeverCreates(t *check) {
	s := newStream("exists")
	t.wantNoStream(t.store, s, "nothing")
	events := newEvents(3)
	t.append(t.store, s, store.NoStream, events[0])
	t.append(t.store, s, store.Exists, events[1:]...)
	t.wantStream(t.store, s, events)
}

func anyAcceptsAll(t *check) {
	s := newStream("any")
	events := newEvents(4)
	t.append(t.store, s, store.Any, events[:3]...)
	t.append(t.store, s, store.Any, events[3:]...)
	t.wantStream(t.store, s, events)
}

func refusalLeavesNothing(t *check) {
	missing := newStream("refused")
	existing, before := t.filled(t.store, "taken", 2)
	batch := newEvents(3)
	for _, expected := range []store.Expected{store.Exactly(1), store.Exists} {
		_, err := t.store.Append(t.ctx, missing, expected, batch)
		t.wantConflict(appendCall(missing, expected, batch), err, store.ConflictError{Stream: missing, Expected: expected})
	}
	for _, expected := range []store.Expected{store.Exactly(1), store.Exactly(3), store.NoStream} {
		_, err := t.store.Append(t.ctx, existing, expected, batch)
		t.wantConflict(appendCall(existing, expected, batch), err,
			store.ConflictError{Stream: existing, Expected: expected, Actual: 2})
	}
	t.wantNoStream(t.store, missing, "refused appends")
	t.wantStream(t.store, existing, before)
	t.append(t.store, missing, store.NoStream, batch...)
	t.wantStream(t.store, missing, batch)
}

// streamsAreApart writes to streams that become the same if the store joins type and
// id, ignores case or normalizes Unicode.
func streamsAreApart(t *check) {
	tag := store.NewID()
	var streams []store.Stream
	for _, sep := range []string{"/", "-", ":", ".", "_", " ", "|", "$", "\x1f"} {
		streams = append(streams,
			store.Stream{Type: "a", ID: "b" + sep + tag},
			store.Stream{Type: "a" + sep + "b", ID: tag},
			store.Stream{Type: "a" + sep, ID: "b" + sep + tag},
			store.Stream{Type: "a", ID: sep + "b" + sep + tag})
	}
	streams = append(streams, store.Stream{Type: "A", ID: tag}, store.Stream{Type: "a", ID: tag},
		store.Stream{Type: "ab", ID: tag}, store.Stream{Type: "a", ID: "b" + tag})
	for i, s := range streams {
		events := newEvents(2)
		events[0].Data = fmt.Append(nil, i)
		t.append(t.store, s, store.NoStream, events...)
		t.wantStream(t.store, s, events)
	}
}

func streamsToTheLetter(t *check) {
	tag := newTag()
	var streams []store.Stream
	for _, name := range fresh(tag) {
		streams = append(streams, store.Stream{Type: name, ID: tag}, store.Stream{Type: tag, ID: name})
	}
	events := make([][]store.Event, len(streams))
	for i, s := range streams {
		events[i] = newEvents(1)
		t.append(t.store, s, store.NoStream, events[i]...)
	}
	for i, s := range streams {
		t.wantStream(t.store, s, events[i])
	}
}
