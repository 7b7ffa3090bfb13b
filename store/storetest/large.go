package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/internal/judge"
)

// largeBatch is the size of a batch that a store may be tempted to write, or to look
// up, in parts.
const largeBatch = 250

// heavy returns events that together exceed 4 MiB, the maximum size of a message in
// many protocols.
func heavy() []store.Event {
	events := newEvents(6)
	for i := range events {
		events[i].Data = bytes.Repeat([]byte{byte(i), 0xff}, 1<<19)
	}
	return events
}

// largePages reads events that are too large for a single page of some stores.
func largePages(t *check) {
	s, events := newStream("heavy"), heavy()
	for i := range events {
		t.append(t.store, s, store.Exactly(uint64(i)), events[i])
	}
	want := t.all(t.store, s)
	if diff := differStream(want, s, events); diff != "" {
		t.Fatalf("a stream of %d events of 1 MiB, read to the end: %s", len(events), diff)
	}
	for _, o := range []store.ReadOptions{{}, {Limit: 5}, {From: 2}, {Backward: true}, {Backward: true, From: 5}, {ReadOnly: true}} {
		got := t.readPages(s, o, uint64(len(events)))
		if diff := differAll(got, chooseVersions(want, o)); diff != "" {
			t.Fatalf("%s of events of 1 MiB, and the following pages: %s", judge.ReadCall(s, o), diff)
		}
	}
}

// chooseVersions returns the events of all that a read with o and its following pages
// returns.
func chooseVersions(all []store.Recorded, o store.ReadOptions) (chosen []store.Recorded) {
	for i := range all {
		r := &all[i]
		switch {
		case !o.Backward && r.Version >= o.From:
			chosen = append(chosen, *r)
		case o.Backward && (o.From == 0 || r.Version <= o.From):
			chosen = append([]store.Recorded{*r}, chosen...)
		}
	}
	return chosen
}

func largeLogPages(t *check) {
	st := t.openLog()
	events := heavy()
	for i := range events {
		t.append(st, newStream("heavy "+strconv.Itoa(i%2)), store.Any, events[i])
	}
	all := t.logOf(st, len(events))
	for _, o := range []store.LogOptions{{}, {Limit: 5}, {Backward: true}, {Filter: store.Filter{EventTypes: []string{"Noted"}}}} {
		t.wantLog(st, o, all)
	}
	f := t.subscribe(st, store.LogOptions{})
	defer f.cancel()
	t.wantFeed(f, all)
	more := heavy()
	for i := range more {
		t.append(st, newStream("heavy"), store.Any, more[i])
	}
	got, err := f.until(more[len(more)-1].ID)
	t.must(err)
	if diff := differAll(got, t.log(st, store.LogOptions{From: all[len(all)-1].Position + 1})); diff != "" {
		t.Fatalf("a subscription to events of 1 MiB: %s", diff)
	}
	t.closeFeed(f)
}

// largeBatchesAreWhole reads a stream, and the log, while large batches are appended.
func largeBatchesAreWhole(t *check) {
	s := newStream("large batches")
	log, hasLog := t.store.(store.Log)
	o := store.LogOptions{Filter: store.Filter{IDPrefix: s.ID}}
	count := 0
	write := func(int) error {
		_, err := t.store.Append(t.ctx, s, store.Any, newEvents(largeBatch))
		return err
	}
	read := func(i int) error {
		page, err := t.store.Read(t.ctx, s, store.ReadOptions{Backward: true, Limit: 1})
		if err != nil || page.Head%largeBatch != 0 {
			return fmt.Errorf("a stream of batches of %d events has %d events, %s", largeBatch, page.Head, answer(err))
		}
		if !hasLog || i > 0 {
			return nil
		}
		logged, err := log.ReadAll(t.ctx, o)
		o.From, count = logged.Next, count+len(logged.Events)
		if err != nil || logged.End && count%largeBatch != 0 {
			return fmt.Errorf("a page of the log ends after %d events, inside a batch of %d, %s", count, largeBatch, answer(err))
		}
		return nil
	}
	t.against(2, 2, t.times(10), write, read)
}

// largeBatchEnds appends large batches under contexts that end at any moment.
func largeBatchEnds(t *check) {
	latency := 10 * t.latency()
	s := newStream("large batch ends")
	var all []store.Event
	for n := range t.times(40) {
		events := newEvents(largeBatch)
		ctx, cancel := t.ending(n, latency)
		err := t.appendUnder(ctx, s, events, len(all))
		cancel()
		t.must(err)
		all = append(all, events...)
		got, err := t.store.Append(t.ctx, s, store.Any, events)
		if err != nil || got.Version != uint64(len(all)) {
			t.Fatalf("%s again, after its context ended = %+v, %s; want version %d, recorded or replayed",
				appendCall(s, store.Any, events), got, answer(err), len(all))
		}
	}
	t.wantStream(t.store, s, all)
}

// largeBatchIDs checks that an id that is already recorded is found at every index of a
// large batch.
func largeBatchIDs(t *check) {
	s, taken := t.filled(t.store, "large batch", largeBatch)
	other := newStream("other")
	for _, at := range []int{0, 1, 99, 100, 101, 127, 128, 200, largeBatch - 1} {
		single := taken[at : at+1]
		_, err := t.store.Append(t.ctx, other, store.Any, single)
		want := store.DuplicateError{Stream: other, EventID: taken[at].ID, In: s, Version: uint64(at + 1)}
		t.wantDuplicate(fmt.Sprintf("Append to another stream of the id of event %d of a batch of %d", at+1, largeBatch), err, want)
		batch := newEvents(largeBatch)
		batch[at] = single[0]
		_, err = t.store.Append(t.ctx, other, store.Any, batch)
		t.wantDuplicate(fmt.Sprintf("Append of %d events, where event %d has an id that is already recorded", largeBatch, at+1), err, want)
		again := judge.Clone(taken)
		again[at].Data = []byte("other data")
		_, err = t.store.Append(t.ctx, s, store.Any, again)
		want = store.DuplicateError{Stream: s, EventID: taken[0].ID, In: s, Version: 1}
		t.wantDuplicate(fmt.Sprintf("Append of %d recorded events, where event %d has other data", largeBatch, at+1), err, want)
	}
	t.wantNoStream(t.store, other, "duplicates")
	got, err := t.store.Append(t.ctx, s, store.Any, taken)
	if err != nil || !got.Replayed || got.Version != largeBatch {
		t.Fatalf("%s again = %+v, %s; want version %d, replayed", appendCall(s, store.Any, taken), got, answer(err), largeBatch)
	}
	t.wantStream(t.store, s, taken)
}

// logFiltersFar filters for a few events at the beginning, in the middle and at the end
// of many that do not match.
func logFiltersFar(t *check) {
	const most = 500
	st := t.openLog()
	rare := func(n int) store.Event {
		e := newEvent(strconv.Itoa(n))
		e.Type = "Rare"
		return e
	}
	for i := range 3 {
		t.append(st, store.Stream{Type: "Rare", ID: "rare"}, store.Any, rare(2*i), rare(2*i+1))
		for range 3 {
			t.append(st, newStream("many"), store.NoStream, newEvents(most)...)
		}
	}
	t.append(st, store.Stream{Type: "Rare", ID: "rare"}, store.Any, rare(6))
	want := t.allOf(st, store.Stream{Type: "Rare", ID: "rare"}, 7)
	for _, filter := range []store.Filter{{EventTypes: []string{"Rare"}}, {StreamTypes: []string{"Rare"}}, {IDPrefix: "rare"}} {
		for _, backward := range []bool{false, true} {
			o := store.LogOptions{Filter: filter, Backward: backward}
			if diff := differAll(t.log(st, o), choose(want, o)); diff != "" {
				t.Fatalf("%s of few events among %d: %s", logCall(o), 9*most, diff)
			}
		}
		f := t.subscribe(st, store.LogOptions{Filter: filter})
		t.wantFeed(f, want)
		t.closeFeed(f)
	}
}

// logFiltersNames filters by names that are nearly equal.
func logFiltersNames(t *check) {
	st := t.openLog()
	names := alike()
	for _, name := range names {
		e := newEvent(name)
		e.Type = name
		t.append(st, store.Stream{Type: name, ID: name}, store.NoStream, e)
	}
	all := t.logOf(st, len(names))
	for _, name := range names {
		for _, filter := range []store.Filter{{EventTypes: []string{name}}, {StreamTypes: []string{name}}, {IDPrefix: name}} {
			o := store.LogOptions{Filter: filter}
			if diff := differAll(t.log(st, o), choose(all, o)); diff != "" {
				t.Fatalf("%s: %s", logCall(o), diff)
			}
		}
	}
}

// subscribeWakes waits for events that are appended in every possible way.
func subscribeWakes(t *check) {
	st := t.openLog()
	f := t.subscribe(st, store.LogOptions{})
	defer f.cancel()
	s := newStream("wakes")
	ways := map[string]func(ctx context.Context, events []store.Event) error{
		"Append": func(ctx context.Context, events []store.Event) error {
			_, err := st.Append(ctx, s, store.Any, events)
			return err
		},
	}
	if claims, ok := st.(store.Claims); ok {
		ways["AppendClaiming"] = func(ctx context.Context, events []store.Event) error {
			_, err := claims.AppendClaiming(ctx, s, store.Any, events, take(newKey()))
			return err
		}
	}
	if update, ok := updateOf(st); ok {
		ways["Update"] = func(ctx context.Context, events []store.Event) error {
			return update(ctx, func(tx store.Tx) error {
				_, err := tx.Append(s, store.Any, events)
				return err
			})
		}
	}
	if hasTenants(st) {
		ways["Append through Tenant"] = func(ctx context.Context, events []store.Event) error {
			_, err := t.tenant(st, store.DefaultTenant).Append(ctx, s, store.Any, events)
			return err
		}
	}
	for what, do := range ways {
		for range 3 {
			events := newEvents(2)
			if err := do(t.ctx, events); err != nil {
				t.Fatalf("%s failed: %v", what, err)
			}
			if _, err := f.until(events[1].ID); err != nil {
				t.Fatalf("after %s: %v", what, errors.Join(err))
			}
		}
	}
	t.closeFeed(f)
}
