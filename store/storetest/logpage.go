package storetest

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/evolvego/evolve/store"
)

func logForward(t *check) { logPages(t, false) }

func logBackward(t *check) { logPages(t, true) }

func logPages(t *check, backward bool) {
	const n = 9
	st := t.openLog()
	t.mixed(st, n)
	all := t.logOf(st, n)
	froms := []uint64{0, 1, all[n-1].Position + 1}
	for i := range all {
		froms = append(froms, all[i].Position)
	}
	for limit := range n + 2 {
		for _, from := range froms {
			t.wantLog(st, store.LogOptions{From: from, Limit: limit, Backward: backward}, all)
		}
	}
}

func logFromBeyond(t *check) {
	st := t.openLog()
	t.mixed(st, 3)
	all := t.logOf(st, 3)
	head := all[2].Position
	for _, from := range []uint64{head + 1, head + 100, 1 << 32, store.MaxVersion, math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64} {
		for _, limit := range []int{0, 1, 2} {
			t.wantLog(st, store.LogOptions{From: from, Limit: limit}, all)
			t.wantLog(st, store.LogOptions{From: from, Limit: limit, Backward: true}, all)
		}
	}
}

func logLimits(t *check) {
	st := t.openLog()
	for left := store.DefaultLimit + 5; left > 0; left -= 201 {
		t.append(st, newStream("limits"), store.Any, newEvents(min(left, 201))...)
	}
	all := t.logOf(st, store.DefaultLimit+5)
	for _, limit := range []int{0, 1 << 20, math.MaxInt} {
		t.wantLog(st, store.LogOptions{Limit: limit}, all)
		t.wantLog(st, store.LogOptions{Limit: limit, Backward: true}, all)
	}
}

func logRefusesLimits(t *check) {
	st := t.openLog()
	for _, n := range []int{0, 2} {
		t.mixed(st, n)
		for _, limit := range []int{-1, math.MinInt} {
			o := store.LogOptions{Limit: limit}
			_, err := st.ReadAll(t.ctx, o)
			t.wantInvalid(logCall(o), err, "limit")
		}
	}
}

func logGoesOn(t *check) {
	st := t.openLog()
	filters := []store.Filter{{}, {StreamTypes: []string{"Order"}}, {EventTypes: []string{"Closed"}}, {IDPrefix: "nobody"}}
	next := make([]uint64, len(filters))
	seen := make([][]store.Recorded, len(filters))
	for _, n := range []int{0, 1, 7, 2, 5} {
		t.mixed(st, n)
		all := t.log(st, store.LogOptions{})
		for i, f := range filters {
			for end := false; !end; {
				o := store.LogOptions{From: next[i], Limit: 2, Filter: f}
				page, err := st.ReadAll(t.ctx, o)
				if err != nil {
					t.Fatalf("%s failed: %v", logCall(o), err)
				}
				if diff := differLogPage(o, &page); diff != "" {
					t.Fatalf("%s: %s", logCall(o), diff)
				}
				seen[i], next[i], end = append(seen[i], page.Events...), page.Next, page.End
			}
			if diff := differAll(seen[i], choose(all, store.LogOptions{Filter: f})); diff != "" {
				t.Fatalf("pages from Next to Next with filter %+v while the log grows: %s", f, diff)
			}
		}
	}
}

// logFilters tries all combinations of filters, on names that look like patterns,
// prefixes or other cases of each other.
func logFilters(t *check) {
	st := t.openLog()
	ids := []string{"acc-1", "acc_1", "acc%1", "acc", "Acc-1", "acc\\_1", "a", "*", "acc-*", "\u00e9", "e\u0301", "acc.1.2", "acc>", "'acc", " acc"}
	for i, id := range ids {
		for _, typ := range []string{"Account", "account", "Account_", "A"} {
			events := newEvents(2)
			events[0].Type = []string{"Opened", "opened", "Open", "O%"}[i%4]
			t.append(st, store.Stream{Type: typ, ID: id}, store.NoStream, events...)
		}
	}
	all := t.logOf(st, len(ids)*8)
	for _, types := range [][]string{nil, {}, {"Account"}, {"A", "account"}, {"Account_"}, {"%"}, {"Account", "Account"}} {
		for _, prefix := range append(slices.Clone(ids), "", "%", "_", "acc-", "acc_", "a%", "ac", "e", "acc-1 ", "\\", "'") {
			for _, events := range [][]string{nil, {"Opened"}, {"opened", "O%", "Noted"}, {"O_"}} {
				f := store.Filter{StreamTypes: types, IDPrefix: prefix, EventTypes: events}
				t.wantLog(st, store.LogOptions{Filter: f}, all)
			}
		}
	}
	for _, f := range []store.Filter{{IDPrefix: "acc_"}, {StreamTypes: []string{"A"}}, {EventTypes: []string{"Open"}}, {IDPrefix: "nobody"}} {
		for _, from := range []uint64{0, all[13].Position, all[50].Position + 1} {
			for _, limit := range []int{1, 3, 0} {
				t.wantLog(st, store.LogOptions{From: from, Limit: limit, Filter: f}, all)
				t.wantLog(st, store.LogOptions{From: from, Limit: limit, Filter: f, Backward: true}, all)
			}
		}
	}
}

func logPagesAreNotKept(t *check) {
	st := t.openLog()
	t.mixed(st, 6)
	kept := t.logOf(st, 6)
	all := keep(kept)
	for _, o := range []store.LogOptions{{}, {Limit: 2}, {Backward: true}, {Filter: store.Filter{StreamTypes: []string{"Account"}}}} {
		page, err := st.ReadAll(t.ctx, o)
		if err != nil {
			t.Fatalf("%s failed: %v", logCall(o), err)
		}
		spoilPage(&page)
		if diff := differAll(t.log(st, store.LogOptions{}), all); diff != "" {
			t.Fatalf("after changing a page of %s, the log differs: %s", logCall(o), diff)
		}
		if diff := differAll(kept, all); diff != "" {
			t.Fatalf("after changing a page of %s, a page that was read before differs: %s", logCall(o), diff)
		}
	}
}

// logIsGapSafe runs readers that follow the log from Next to Next while many writers
// append, and then compares what each reader has seen with the whole log. An event that
// appeared at or below the position of a reader is missing from what the reader saw.
func logIsGapSafe(t *check) {
	const writers = 8
	st := t.openLog()
	var streams [writers]store.Stream
	for i := range streams {
		streams[i] = newStream("writer")
		streams[i].Type = []string{"Account", "Order"}[i%2]
	}
	readers := []follower{
		{}, {o: store.LogOptions{Limit: 3}}, {o: store.LogOptions{Filter: store.Filter{StreamTypes: []string{"Order"}}}},
	}
	asked := slices.Clone(readers)
	t.against(writers, len(readers), t.times(40), func(i int) error {
		events := newEvents(1 + i%4)
		got, err := st.Append(t.ctx, streams[i], store.Any, events)
		if err != nil {
			return fmt.Errorf("%s failed: %w", appendCall(streams[i], store.Any, events), err)
		}
		if head, err := st.Head(t.ctx); err != nil || head < got.Position {
			return fmt.Errorf("Head() = %d, %s after an append at position %d", head, answer(err), got.Position)
		}
		return nil
	}, func(i int) error { return readers[i].read(t.ctx, st) })
	all := t.log(st, store.LogOptions{})
	for i := range readers {
		r := &readers[i]
		for r.end = false; !r.end; {
			t.must(r.read(t.ctx, st))
		}
		if diff := differAll(readers[i].seen, choose(all, asked[i].o)); diff != "" {
			t.Fatalf("a reader that followed %s while others appended, compared with the log at the end: %s", logCall(asked[i].o), diff)
		}
	}
}

// follower reads a log from Next to Next.
type follower struct {
	o    store.LogOptions
	seen []store.Recorded
	end  bool
}

// read reads the next page.
func (f *follower) read(ctx context.Context, log store.Log) error {
	page, err := log.ReadAll(ctx, f.o)
	if err != nil {
		return fmt.Errorf("%s failed: %w", logCall(f.o), err)
	}
	if diff := differLogPage(f.o, &page); diff != "" {
		return fmt.Errorf("%s while others append: %s", logCall(f.o), diff)
	}
	f.seen, f.o.From, f.end = append(f.seen, page.Events...), page.Next, page.End
	return nil
}

func logBatchesAreWhole(t *check) {
	const batch = 4
	st := t.openLog()
	s := newStream("whole")
	t.against(3, 1, t.times(20), func(int) error {
		if _, err := st.Append(t.ctx, s, store.Any, newEvents(batch)); err != nil {
			return fmt.Errorf("append to %s failed: %w", s, err)
		}
		return nil
	}, func(int) error {
		page, err := st.ReadAll(t.ctx, store.LogOptions{Limit: 7, Backward: true})
		if err != nil {
			return fmt.Errorf("ReadAll failed: %w", err)
		}
		if n := len(page.Events); n > 0 && page.Events[0].Version%batch != 0 {
			return fmt.Errorf("ReadAll backward begins with version %d of %s, want the last version of a batch of %d", page.Events[0].Version, s, batch)
		}
		return nil
	})
}

func logBatchesAreConsecutive(t *check) {
	const writers = 4
	st := t.openLog()
	each := t.times(25)
	streams := make([]store.Stream, writers)
	appends := make([][]store.Appended, writers)
	t.together(writers, func(i int) error {
		streams[i] = newStream("consecutive")
		for n := range each {
			events := newEvents(1 + (i+n)%5)
			got, err := st.Append(t.ctx, streams[i], store.Any, events)
			if err != nil {
				return fmt.Errorf("%s, concurrently with others: %w", appendCall(streams[i], store.Any, events), err)
			}
			appends[i] = append(appends[i], got)
		}
		return nil
	})
	for i, s := range streams {
		all, first := t.allOf(st, s, int(appends[i][each-1].Version)), uint64(1)
		for _, got := range appends[i] {
			for version := first; version <= got.Version; version++ {
				if r, want := &all[version-1], got.Position-(got.Version-version); r.Position != want {
					t.Fatalf("an append made versions %d to %d of %s and returned position %d, but version %d is at position %d, want %d",
						first, got.Version, s, got.Position, version, r.Position, want)
				}
			}
			first = got.Version + 1
		}
	}
}
