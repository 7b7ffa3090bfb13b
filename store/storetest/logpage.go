package storetest

import (
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/evolvego/evolve/store"
)

func logForward(t *check) { logPages(t, false) }

func logBackward(t *check) { logPages(t, true) }

func logPages(t *check, backward bool) {
	const n = 9
	st := t.openLog()
	t.mixed(st, n)
	all := t.log(st, store.LogOptions{})
	if len(all) != n {
		t.Fatalf("the log has %d events, want %d", len(all), n)
	}
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
	all := t.log(st, store.LogOptions{})
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
	all := t.log(st, store.LogOptions{})
	if len(all) != store.DefaultLimit+5 {
		t.Fatalf("the log has %d events, want %d", len(all), store.DefaultLimit+5)
	}
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

// logFilters tries all combinations, on names that are patterns, prefixes or
// other cases of each other.
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
	all := t.log(st, store.LogOptions{})
	if len(all) != len(ids)*8 {
		t.Fatalf("the log has %d events, want %d", len(all), len(ids)*8)
	}
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
	all := t.log(st, store.LogOptions{})
	kept := t.log(st, store.LogOptions{})
	for _, o := range []store.LogOptions{{}, {Limit: 2}, {Backward: true}, {Filter: store.Filter{StreamTypes: []string{"Account"}}}} {
		page, err := st.ReadAll(t.ctx, o)
		if err != nil {
			t.Fatalf("%s failed: %v", logCall(o), err)
		}
		spoilPage(&page)
		if diff := differAll(t.log(st, store.LogOptions{}), all); diff != "" {
			t.Fatalf("the page of %s was changed, and now the log is: %s", logCall(o), diff)
		}
		if diff := differAll(kept, all); diff != "" {
			t.Fatalf("the page of %s was changed, and now one that was read before is: %s", logCall(o), diff)
		}
	}
}

// logIsGapSafe lets readers follow the log from Next to Next while many write,
// and compares what each has seen with the whole in the end: an event that came
// to be at or below where a reader was is missing there.
func logIsGapSafe(t *check) {
	const writers = 8
	st := t.openLog()
	each := t.times(40)
	var writing atomic.Int64
	writing.Store(writers)
	readers := []store.LogOptions{
		{}, {Limit: 3}, {Filter: store.Filter{StreamTypes: []string{"Order"}}}, {Limit: 5, Filter: store.Filter{EventTypes: []string{"Noted"}}},
	}
	seen := make([][]store.Recorded, len(readers))
	t.together(writers+len(readers), func(i int) error {
		if i >= writers {
			i -= writers
			return t.follow(st, readers[i], &writing, &seen[i])
		}
		defer writing.Add(-1)
		s := newStream("writer")
		s.Type = []string{"Account", "Order"}[i%2]
		for j := range each {
			events := newEvents(1 + (i+j)%4)
			got, err := st.Append(t.ctx, s, store.Any, events)
			if err != nil {
				return fmt.Errorf("%s failed: %w", appendCall(s, store.Any, events), err)
			}
			if head, err := st.Head(t.ctx); err != nil || head < got.Position {
				return fmt.Errorf("Head() = %d, %s after an append at position %d", head, answer(err), got.Position)
			}
		}
		return nil
	})
	all := t.log(st, store.LogOptions{})
	for i, o := range readers {
		if diff := differAll(seen[i], choose(all, o)); diff != "" {
			t.Fatalf("a reader that followed %s while others appended, against the log in the end: %s", logCall(o), diff)
		}
	}
}

// follow reads from Next to Next until nobody writes and then to the end.
func (t *check) follow(log store.Log, o store.LogOptions, writing *atomic.Int64, seen *[]store.Recorded) error {
	for {
		last := writing.Load() == 0
		page, err := log.ReadAll(t.ctx, o)
		if err != nil {
			return fmt.Errorf("%s failed: %w", logCall(o), err)
		}
		if diff := differLogPage(o, &page); diff != "" {
			return fmt.Errorf("%s while others append: %s", logCall(o), diff)
		}
		*seen = append(*seen, page.Events...)
		o.From = page.Next
		if last && page.End {
			return nil
		}
	}
}

func logBatchesAreWhole(t *check) {
	const writers, batch = 3, 4
	st := t.openLog()
	each := t.times(40)
	var writing atomic.Int64
	writing.Store(writers)
	t.together(writers+1, func(i int) error {
		if i < writers {
			defer writing.Add(-1)
			s := newStream("whole")
			for range each {
				if _, err := st.Append(t.ctx, s, store.Any, newEvents(batch)); err != nil {
					return fmt.Errorf("Append to %s failed: %w", s, err)
				}
			}
			return nil
		}
		for writing.Load() > 0 {
			page, err := st.ReadAll(t.ctx, store.LogOptions{})
			if err != nil {
				return fmt.Errorf("ReadAll failed: %w", err)
			}
			counts := make(map[store.Stream]int)
			for i := range page.Events {
				counts[page.Events[i].Stream]++
			}
			for s, n := range counts {
				if page.End && n%batch != 0 {
					return fmt.Errorf("ReadAll to the end has %d events of %s, want a whole number of batches of %d", n, s, batch)
				}
			}
		}
		return nil
	})
}
