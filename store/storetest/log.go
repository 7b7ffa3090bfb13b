package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/samber/lo"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/internal/judge"
)

// logStore is a store that has a log.
type logStore interface {
	store.Store
	store.Log
}

func hasLog(st store.Store) bool {
	_, ok := st.(store.Log)
	return ok
}

func logClauses() []clause {
	return []clause{
		{"an empty log", emptyLog},
		{"positions strictly increase and agree with the versions", positionsIncrease},
		{"appended events are in the log at once", logIsCurrent},
		{"refused events are not in the log", logHasNoRefused},
		{"an event reads the same in the log and in its stream", logIsTheStreams},
		{"pages of every size cover everything, forward", logForward},
		{"pages of every size cover everything, backward", logBackward},
		{"reading from beyond the head", logFromBeyond},
		{"the zero limit is the default, and large ones are possible", logLimits},
		{"a negative limit is refused", logRefusesLimits},
		{"resuming at the last Next finds exactly the new events", logGoesOn},
		{"a filter selects exactly the matching events", logFilters},
		{"a filter finds few events among many", logFiltersFar},
		{"a filter compares names byte for byte", logFiltersNames},
		{"events with more bytes than fit into a page are read to the end", largeLogPages},
		{"the caller can change a page", logPagesAreNotKept},
		{"a read with an ended context fails with the error of the context", logEnded},
		{"a reader that has seen a position never finds a new event at or below it", logIsGapSafe},
		{"a reader never sees part of a batch", logBatchesAreWhole},
		{"the events of one append have consecutive positions", logBatchesAreConsecutive},
	}
}

// openLog opens an empty store for this clause alone.
func (t *check) openLog() logStore {
	t.Helper()
	return as[logStore](t, t.open())
}

// as returns st as a T. The store that was opened first is one.
func as[T any](t *check, st store.Store) T {
	t.Helper()
	v, ok := st.(T)
	if !ok {
		t.Fatalf("%T lacks a capability that the store opened first has", st)
	}
	return v
}

// mixed appends n events to several streams of several types, in batches of 1 to 3.
func (t *check) mixed(st logStore, n int) {
	t.Helper()
	tag := newTag()
	for i := 0; n > 0; i++ {
		s := store.Stream{Type: []string{"Account", "Order", "Account_"}[i%3], ID: tag + string(rune('a'+i%4))}
		events := newEvents(min(n, 1+i%3))
		for j := range events {
			events[j].Type = []string{"Opened", "Closed"}[(i+j)%2]
		}
		t.append(st, s, store.Any, events...)
		n -= len(events)
	}
}

func logCall(o store.LogOptions) string { return fmt.Sprintf("ReadAll(%+q)", fmt.Sprintf("%+v", o)) }

// readLog reads pages from o on until the end, and checks each page.
func readLog(ctx context.Context, log store.Log, o store.LogOptions) ([]store.Recorded, error) {
	var all []store.Recorded
	for {
		page, err := log.ReadAll(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("%s failed: %w", logCall(o), err)
		}
		if diff := differLogPage(o, &page); diff != "" {
			return nil, fmt.Errorf("%s: %s", logCall(o), diff)
		}
		all = append(all, page.Events...)
		if page.End {
			return all, nil
		}
		o.From = page.Next
	}
}

// log reads the log from o on. It fails if a read does not succeed.
func (t *check) log(log store.Log, o store.LogOptions) []store.Recorded {
	t.Helper()
	all, err := readLog(t.ctx, log, o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return all
}

// logOf reads the whole log, which must have n events.
func (t *check) logOf(log store.Log, n int) []store.Recorded {
	t.Helper()
	all := t.log(log, store.LogOptions{})
	if len(all) != n {
		t.Fatalf("the log has %d events, want %d", len(all), n)
	}
	return all
}

// differLogPage returns how page differs from what o asks for, or "" if it does not.
func differLogPage(o store.LogOptions, page *store.Page) string {
	if n := uint64(len(page.Events)); n > judge.Limit(o.Limit) {
		return fmt.Sprintf("%d events, want at most %d", n, judge.Limit(o.Limit))
	}
	if o.Backward {
		return differBackward(o, page)
	}
	last := max(o.From, 1) - 1
	for i := range page.Events {
		e := &page.Events[i]
		if e.Position <= last || e.Position > page.Head {
			return fmt.Sprintf("event %d of the page is %s, want a position above %d and at most the Head %d", i+1, name(e), last, page.Head)
		}
		if !matches(&o.Filter, e) {
			return fmt.Sprintf("event %d of the page is of type %q and %s, which the filter does not match", i+1, e.Type, name(e))
		}
		last = e.Position
	}
	switch {
	case len(page.Events) > 0 && page.Next <= last, page.Next < o.From:
		return fmt.Sprintf("Next is %d, want more than %d", page.Next, last)
	case !page.End && page.Next <= o.From:
		return fmt.Sprintf("End is false and Next is %d: reading on would never end", page.Next)
	case !page.End && len(page.Events) == 0 && isAll(&o.Filter):
		return "no events and End is false: without a filter a page may be empty only at the end"
	}
	return ""
}

func differBackward(o store.LogOptions, page *store.Page) string {
	from := o.From
	if from == 0 {
		from = store.MaxVersion
	}
	for i := range page.Events {
		e := &page.Events[i]
		if e.Position > from || e.Position > page.Head || e.Position == 0 {
			return fmt.Sprintf("event %d of the page is %s, want a position from 1 to %d, at most the Head %d", i+1, name(e), from, page.Head)
		}
		if !matches(&o.Filter, e) {
			return fmt.Sprintf("event %d of the page is of type %q and %s, which the filter does not match", i+1, e.Type, name(e))
		}
		from = e.Position - 1
	}
	switch {
	case page.End && page.Next != 0:
		return fmt.Sprintf("Next is %d at the end backward, want 0", page.Next)
	case !page.End && (page.Next == 0 || len(page.Events) > 0 && page.Next > from || o.From > 0 && page.Next >= o.From):
		return fmt.Sprintf("Next is %d backward and End false, want 1 to %d, and less than %d", page.Next, from, o.From)
	case !page.End && len(page.Events) == 0 && isAll(&o.Filter):
		return "no events and End is false: without a filter a page may be empty only at the end"
	}
	return ""
}

func isAll(f *store.Filter) bool {
	return len(f.StreamTypes) == 0 && f.IDPrefix == "" && len(f.EventTypes) == 0
}

// matches is the definition of a filter.
func matches(f *store.Filter, e *store.Recorded) bool {
	if len(f.StreamTypes) > 0 && !slices.Contains(f.StreamTypes, e.Stream.Type) {
		return false
	}
	if len(f.EventTypes) > 0 && !slices.Contains(f.EventTypes, e.Type) {
		return false
	}
	return len(e.Stream.ID) >= len(f.IDPrefix) && e.Stream.ID[:len(f.IDPrefix)] == f.IDPrefix
}

// choose returns the events that o selects from all, the whole log in forward order.
func choose(all []store.Recorded, o store.LogOptions) []store.Recorded {
	var chosen []store.Recorded
	for i := range all {
		p := all[i].Position
		if matches(&o.Filter, &all[i]) && (!o.Backward && p >= o.From || o.Backward && (p <= o.From || o.From == 0)) {
			chosen = append(chosen, all[i])
		}
	}
	if o.Backward {
		slices.Reverse(chosen)
	}
	return chosen
}

// wantLog fails unless the pages from o on have the events that o selects from all, and
// every page has the right Head.
func (t *check) wantLog(log store.Log, o store.LogOptions, all []store.Recorded) {
	t.Helper()
	if diff := differAll(t.log(log, o), choose(all, o)); diff != "" {
		t.Fatalf("%s and the following pages: %s", logCall(o), diff)
	}
	page, err := log.ReadAll(t.ctx, o)
	head := uint64(0)
	if len(all) > 0 {
		head = all[len(all)-1].Position
	}
	if err != nil || page.Head != head {
		t.Fatalf("%s = %s, Head %d; want Head %d, the last position of the log", logCall(o), answer(err), page.Head, head)
	}
	left := len(choose(all, o))
	if end := len(page.Events) == left; isAll(&o.Filter) && page.End != end {
		t.Fatalf("%s: %d of %d events and End %t, want %t", logCall(o), len(page.Events), left, page.End, end)
	}
}

// wantHead fails unless Head returns want.
func (t *check) wantHead(log store.Log, want uint64) {
	t.Helper()
	if got, err := log.Head(t.ctx); err != nil || got != want {
		t.Fatalf("Head() = %d, %s; want %d, the position of the last event in the log", got, answer(err), want)
	}
}

func emptyLog(t *check) {
	st := t.openLog()
	t.wantHead(st, 0)
	for _, from := range []uint64{0, 1, 7} {
		for _, backward := range []bool{false, true} {
			o := store.LogOptions{From: from, Limit: 2, Backward: backward}
			t.wantLog(st, o, nil)
		}
	}
	t.wantNoStream(st, newStream("empty"), "nothing")
	t.wantHead(st, 0)
}

func positionsIncrease(t *check) {
	st := t.openLog()
	t.mixed(st, 30)
	versions := make(map[store.Stream]uint64)
	all := t.logOf(st, 30) // fails if the positions do not increase
	for i := range all {
		e := &all[i]
		if e.Version != versions[e.Stream]+1 {
			t.Fatalf("%s comes after version %d in the log", name(e), versions[e.Stream])
		}
		versions[e.Stream]++
	}
}

func logIsCurrent(t *check) {
	st := t.openLog()
	for i := range 10 {
		s, events := newStream("current"), newEvents(1+i%3)
		got := t.append(st, s, store.NoStream, events...)
		t.wantHead(st, got.Position)
		page, err := st.ReadAll(t.ctx, store.LogOptions{From: got.Position})
		if err != nil || len(page.Events) != 1 || page.Events[0].ID != events[len(events)-1].ID || page.Head != got.Position || !page.End {
			t.Fatalf("ReadAll from %d, the position of the last append =  %d events, Head %d, End %t, %s; want the last event, Head %d, End true",
				got.Position, len(page.Events), page.Head, page.End, answer(err), got.Position)
		}
	}
}

func logHasNoRefused(t *check) {
	st := t.openLog()
	s, events := t.filled(st, "refused", 2)
	all := t.logOf(st, 2)
	batch := newEvents(2)
	attempts := []struct {
		s        store.Stream
		expected store.Expected
		events   []store.Event
	}{
		{s, store.NoStream, batch},
		{s, store.Exactly(3), batch},
		{newStream("missing"), store.Exists, batch},
		{newStream("missing"), store.Any, append(batch, events...)},
		{s, 0, batch},
		{s, store.Any, nil},
	}
	for _, a := range attempts {
		if got, err := st.Append(t.ctx, a.s, a.expected, a.events); !store.Definite(err) {
			t.Fatalf("%s = %+v, %s; want a refusal", appendCall(a.s, a.expected, a.events), got, answer(err))
		}
		if got, err := st.Append(t.ctx, s, store.Any, events); err != nil || !got.Replayed {
			t.Fatalf("%s again = %+v, %s; want a replay", appendCall(s, store.Any, events), got, answer(err))
		}
		t.wantLog(st, store.LogOptions{}, all)
		t.wantHead(st, all[1].Position)
	}
	t.append(st, s, store.Exactly(2), batch...)
	t.logOf(st, 4)
}

func logIsTheStreams(t *check) {
	st := t.openLog()
	t.mixed(st, 20)
	all := t.log(st, store.LogOptions{Limit: 3})
	for s, want := range lo.GroupBy(all, func(r store.Recorded) store.Stream { return r.Stream }) {
		if diff := differAll(t.all(st, s), want); diff != "" {
			t.Fatalf("stream %s, compared with its events in the log: %s", s, diff)
		}
	}
	if len(all) != 20 {
		t.Fatalf("the log has %d events, want 20", len(all))
	}
}

func logEnded(t *check) {
	st := t.openLog()
	t.mixed(st, 3)
	for cause, ctx := range t.ended() {
		if _, err := st.Head(ctx); err != nil && !errors.Is(err, cause) {
			t.Fatalf("Head with an ended context = %v, want %v", err, cause)
		}
		if _, err := st.ReadAll(ctx, store.LogOptions{}); err != nil && !errors.Is(err, cause) {
			t.Fatalf("ReadAll with an ended context = %v, want %v", err, cause)
		}
	}
}
