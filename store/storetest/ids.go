package storetest

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/internal/judge"
)

func idClauses() []clause {
	return []clause{
		{"a repeated batch is replayed, whatever it expects", sameBatchIsReplayed},
		{"consecutive events of several appends are replayed", neighboursAreReplayed},
		{"a replay ignores metadata and time, and keeps the originals", replayIgnoresMeta},
		{"a recorded id is a duplicate, and nothing is written", takenIDIsDuplicate},
		{"a recorded id is reported before a conflict", duplicateBeforeConflict},
		{"a duplicate reserves no other id of its batch", duplicateReservesNothing},
		{"ids are compared byte for byte", idsToTheLetter},
		{"a recorded id is found anywhere in a large batch", largeBatchIDs},
		{"exactly one of several concurrent appends of a batch records it", oneRecordsTheBatch},
		{"exactly one of several streams gets an id that is appended to all concurrently", oneStreamGetsTheID},
	}
}

// wantReplay fails unless appending events again returns first.
func (t *check) wantReplay(s store.Stream, expected store.Expected, events []store.Event, first store.Appended) {
	t.Helper()
	first.Replayed = true
	got, err := t.store.Append(t.ctx, s, expected, events)
	if err != nil || got != first {
		t.Fatalf("%s of recorded events =  %+v, %v; want %+v", appendCall(s, expected, events), got, err, first)
	}
}

func sameBatchIsReplayed(t *check) {
	s := newStream("replay")
	all := newEvents(6)
	first := t.append(t.store, s, store.NoStream, all[:3]...)
	second := t.append(t.store, s, store.Exactly(3), all[3:5]...)
	third := t.append(t.store, s, store.Exactly(5), all[5])
	for _, expected := range []store.Expected{
		store.NoStream, store.Exactly(1), store.Exactly(3), store.Exactly(6), store.Exactly(99), store.Exists, store.Any,
	} {
		t.wantReplay(s, expected, all[:3], first)
		t.wantReplay(s, expected, all[3:5], second)
		t.wantReplay(s, expected, all[5:], third)
	}
	t.wantStream(t.store, s, all)
}

func neighboursAreReplayed(t *check) {
	s := newStream("neighbours")
	all := newEvents(5)
	t.append(t.store, s, store.NoStream, all[:2]...)
	t.append(t.store, s, store.Exactly(2), all[2:]...)
	recorded := t.allOf(t.store, s, 5)
	for from := range all {
		for to := from + 1; to <= len(all); to++ {
			last := recorded[to-1]
			t.wantReplay(s, store.Exactly(uint64(from)), all[from:to],
				store.Appended{Version: last.Version, Position: last.Position})
		}
	}
	t.wantStream(t.store, s, all)
}

func replayIgnoresMeta(t *check) {
	s := newStream("other metadata")
	events := newEvents(2)
	events[0].ContentType = ""
	events[1].Data = nil
	first := t.append(t.store, s, store.NoStream, events...)
	again := judge.Clone(events)
	again[0].Meta = store.Metadata{ActorID: "somebody else"}
	again[0].ContentType = store.OctetStream
	again[0].Time = time.Time{}
	again[1].Data = []byte{}
	again[1].Time = again[1].Time.Add(time.Hour)
	t.wantReplay(s, store.NoStream, again, first)
	t.wantStream(t.store, s, events)
}

func takenIDIsDuplicate(t *check) {
	s, taken := t.filled(t.store, "taken", 4)
	other, _ := t.filled(t.store, "other", 1)
	missing := newStream("missing")
	changed := func(change func(e *store.Event)) []store.Event {
		events := judge.Clone(taken[2:3])
		change(&events[0])
		return events
	}
	fresh := newEvents(2)
	tests := []struct {
		name   string
		to     store.Stream
		events []store.Event
		id     int // index in taken of the first id that is already recorded
	}{
		{"in another stream", other, taken, 0},
		{"in a missing stream", missing, taken[1:], 1},
		{"followed by a new event", s, append(slices.Clone(taken), fresh[0]), 0},
		{"after a new event", s, append(fresh[:1:1], taken...), 0},
		{"with a new event in between", s, []store.Event{taken[1], fresh[0], taken[2]}, 1},
		{"the last one, after new events", s, []store.Event{fresh[0], fresh[1], taken[3]}, 3},
		{"in another order", s, []store.Event{taken[1], taken[0]}, 1},
		{"with one left out", s, []store.Event{taken[1], taken[3]}, 1},
		{"with another type", s, changed(func(e *store.Event) { e.Type = "Changed" }), 2},
		{"with another schema", s, changed(func(e *store.Event) { e.Schema++ }), 2},
		{"with another content type", s, changed(func(e *store.Event) { e.ContentType = "text/html" }), 2},
		{"with other data", s, changed(func(e *store.Event) { e.Data = []byte("changed") }), 2},
		{"with no data", s, changed(func(e *store.Event) { e.Data = nil }), 2},
		{"the second one with other data", s, append(slices.Clone(taken[1:2]), changed(func(e *store.Event) { e.Data = []byte("2") })...), 1},
	}
	before := t.all(t.store, other)
	for _, tt := range tests {
		_, err := t.store.Append(t.ctx, tt.to, store.Any, tt.events)
		t.wantDuplicate(appendCall(tt.to, store.Any, tt.events)+" of a taken id "+tt.name, err,
			store.DuplicateError{Stream: tt.to, EventID: taken[tt.id].ID, In: s, Version: uint64(tt.id + 1)})
		t.wantStream(t.store, s, taken)
		if diff := differAll(t.all(t.store, other), before); diff != "" {
			t.Fatalf("after the duplicate %s, stream %s: %s", tt.name, other, diff)
		}
	}
	t.wantNoStream(t.store, missing, "a duplicate")
}

func duplicateBeforeConflict(t *check) {
	s, taken := t.filled(t.store, "duplicate", 2)
	batch := append(slices.Clone(taken), newEvent("new"))
	for _, expected := range []store.Expected{store.NoStream, store.Exactly(1), store.Exactly(2), store.Exactly(9)} {
		_, err := t.store.Append(t.ctx, s, expected, batch)
		t.wantDuplicate(appendCall(s, expected, batch)+" of a batch that is recorded in part", err,
			store.DuplicateError{Stream: s, EventID: taken[0].ID, In: s, Version: 1})
	}
	t.wantStream(t.store, s, taken)
}

func duplicateReservesNothing(t *check) {
	s, taken := t.filled(t.store, "duplicate", 1)
	batch := newEvents(3)
	for _, at := range []int{0, 1, 3} {
		mixed := slices.Insert(slices.Clone(batch), at, taken[0])
		_, err := t.store.Append(t.ctx, s, store.Exactly(1), mixed)
		t.wantDuplicate(appendCall(s, store.Exactly(1), mixed), err,
			store.DuplicateError{Stream: s, EventID: taken[0].ID, In: s, Version: 1})
	}
	t.append(t.store, s, store.Exactly(1), batch...)
	t.wantStream(t.store, s, append(taken, batch...))
}

func idsToTheLetter(t *check) {
	s := newStream("letters")
	var events []store.Event
	for _, id := range fresh(newTag()) {
		e := newEvent("")
		e.ID = id
		events = append(events, e)
	}
	var single, batch []store.Event // appended one by one, and then as a batch
	for i := range events {
		if i%4 < 2 {
			t.append(t.store, s, store.Any, events[i])
			single = append(single, events[i])
		} else {
			batch = append(batch, events[i])
		}
	}
	t.append(t.store, s, store.Any, batch...)
	t.wantStream(t.store, s, append(single, batch...))
}

func oneRecordsTheBatch(t *check) {
	for round := range t.times(20) {
		s, events := newStream("one of many"), newEvents(3)
		var before []store.Event
		if round%2 == 1 {
			s, before = t.filled(t.store, "one of many", 2)
		}
		expected := []store.Expected{store.NoStream, store.Exactly(2), store.Any, store.Any}[round%4]
		var recorded atomic.Int64
		answers := make([]store.Appended, 8)
		t.together(len(answers), func(i int) error {
			got, err := t.store.Append(t.ctx, s, expected, events)
			if err != nil {
				return fmt.Errorf("%s, 8 times concurrently: %w; want the first result, replayed", appendCall(s, expected, events), err)
			}
			if !got.Replayed {
				recorded.Add(1)
			}
			got.Replayed = false
			answers[i] = got
			return nil
		})
		if n := recorded.Load(); n != 1 {
			t.Fatalf("%s, 8 times concurrently: %d results were not Replayed, want 1", appendCall(s, expected, events), n)
		}
		for _, got := range answers {
			if got != answers[0] {
				t.Fatalf("%s, 8 times concurrently: %+v and %+v, want the same from all", appendCall(s, expected, events), answers[0], got)
			}
		}
		t.wantStream(t.store, s, append(before, events...))
	}
}

func oneStreamGetsTheID(t *check) {
	for range t.times(20) {
		events := newEvents(2)
		streams := make([]store.Stream, 8)
		won := make([]bool, len(streams))
		t.together(len(streams), func(i int) error {
			streams[i] = newStream("contender")
			_, err := t.store.Append(t.ctx, streams[i], store.NoStream, events)
			if _, ok := judge.IsA[*store.DuplicateError](err, store.ErrDuplicate); err != nil && !ok {
				return fmt.Errorf("%s of ids that others append concurrently =  %s, want a *DuplicateError",
					appendCall(streams[i], store.NoStream, events), answer(err))
			}
			won[i] = err == nil
			return nil
		})
		winners := 0
		for i, s := range streams {
			if won[i] {
				winners++
				t.wantStream(t.store, s, events)
			} else {
				t.wantNoStream(t.store, s, "a duplicate")
			}
		}
		if winners != 1 {
			t.Fatalf("one batch appended to 8 streams concurrently:  %d succeeded, want 1", winners)
		}
	}
}
