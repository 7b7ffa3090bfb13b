package storetest

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/internal/judge"
)

func readClauses() []clause {
	return []clause{
		{"pages of every size cover everything, forward", pagesForward},
		{"pages of every size cover everything, backward", pagesBackward},
		{"a page reports the head, and where it ends", pageTellsHead},
		{"a missing stream is an empty page", missingIsEmpty},
		{"reading from beyond the head", fromBeyond},
		{"the zero limit is the default, and large ones are possible", limits},
		{"resuming at the last Next finds exactly the new events", goesOn},
		{"events with more bytes than fit into a page are read to the end", largePages},
		{"Events yields the stream from a version on", eventsHelper},
	}
}

// readPages reads pages until the end and checks each, for a stream that is at version
// head and does not change.
func (t *check) readPages(s store.Stream, o store.ReadOptions, head uint64) []store.Recorded {
	t.Helper()
	var all []store.Recorded
	for {
		page := t.read(t.store, s, o)
		t.wantPage(s, o, head, &page)
		all = append(all, page.Events...)
		if page.End {
			return all
		}
		o.From = page.Next
	}
}

// wantPage fails unless page is the page that o describes, for a stream at version
// head.
func (t *check) wantPage(s store.Stream, o store.ReadOptions, head uint64, page *store.Page) {
	t.Helper()
	if diff := judge.Page(o, head, page); diff != "" {
		t.Fatalf("%s at version %d: %s", judge.ReadCall(s, o), head, diff)
	}
}

func pagesForward(t *check) {
	const n = 7
	s, events := t.filled(t.store, "forward", n)
	for limit := range n + 2 {
		for from := range uint64(n + 2) {
			got := t.readPages(s, store.ReadOptions{From: from, Limit: limit}, n)
			for i := range got {
				version := max(from, 1) + uint64(i)
				if diff := differ(&got[i], s, version, &events[version-1]); diff != "" {
					t.Fatalf("pages of %d from %d: %s", limit, from, diff)
				}
			}
		}
	}
}

func pagesBackward(t *check) {
	const n = 7
	s, events := t.filled(t.store, "backward", n)
	forward := t.all(t.store, s)
	for limit := range n + 2 {
		for from := range uint64(n + 3) {
			got := t.readPages(s, store.ReadOptions{From: from, Limit: limit, Backward: true}, n)
			slices.Reverse(got)
			last := min(from, n)
			if from == 0 {
				last = n
			}
			if diff := differAll(got, forward[:last]); diff != "" {
				t.Fatalf("backward pages of %d from %d, reversed and compared with the stream: %s", limit, from, diff)
			}
		}
	}
	t.wantStream(t.store, s, events)
}

func pageTellsHead(t *check) {
	s := newStream("head")
	var head uint64
	for _, n := range []int{1, 4, 2} {
		head = t.append(t.store, s, store.Any, newEvents(n)...).Version
		for _, o := range []store.ReadOptions{
			{}, {Limit: 1}, {From: head}, {From: head, Limit: 1}, {From: head + 1}, {Backward: true}, {Backward: true, Limit: 1}, {From: 1, Backward: true},
		} {
			page := t.read(t.store, s, o)
			t.wantPage(s, o, head, &page)
		}
	}
}

func missingIsEmpty(t *check) {
	s := newStream("missing")
	for _, from := range []uint64{0, 1, 7, store.MaxVersion} {
		for _, limit := range []int{0, 1, 10} {
			for _, backward := range []bool{false, true} {
				o := store.ReadOptions{From: from, Limit: limit, Backward: backward}
				page := t.read(t.store, s, o)
				if len(page.Events) != 0 || page.Head != 0 || !page.End {
					t.Fatalf("%s of a missing stream = %d events, Head %d, End %t; want none, 0, true",
						judge.ReadCall(s, o), len(page.Events), page.Head, page.End)
				}
			}
		}
	}
	t.wantNoStream(t.store, s, "reads")
	t.append(t.store, s, store.NoStream, newEvents(1)...)
}

func fromBeyond(t *check) {
	s, _ := t.filled(t.store, "beyond", 3)
	for _, from := range []uint64{4, 5, 1000, 1 << 31, 1 << 32, store.MaxVersion, store.MaxVersion + 1, math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64} {
		for _, limit := range []int{0, 1, 2} {
			forward := store.ReadOptions{From: from, Limit: limit}
			page := t.read(t.store, s, forward)
			t.wantPage(s, forward, 3, &page)
			backward := store.ReadOptions{From: from, Limit: limit, Backward: true}
			page = t.read(t.store, s, backward)
			t.wantPage(s, backward, 3, &page)
		}
	}
}

func limits(t *check) {
	s := newStream("limits")
	const n = store.DefaultLimit + 5
	for left := n; left > 0; left -= 201 {
		t.append(t.store, s, store.Any, newEvents(min(left, 201))...)
	}
	for _, limit := range []int{0, 1 << 20, math.MaxInt} {
		for _, backward := range []bool{false, true} {
			t.readPages(s, store.ReadOptions{Limit: limit, Backward: backward}, n)
		}
	}
}

func goesOn(t *check) {
	s := newStream("goes on")
	var all, seen []store.Recorded
	var from uint64
	for _, n := range []int{0, 1, 3, 2} {
		if n > 0 {
			t.append(t.store, s, store.Any, newEvents(n)...)
		}
		all = t.all(t.store, s)
		for end := false; !end; {
			page := t.read(t.store, s, store.ReadOptions{From: from, Limit: 2})
			seen, from, end = append(seen, page.Events...), page.Next, page.End
		}
		if diff := differAll(seen, all); diff != "" {
			t.Fatalf("pages from Next to Next while stream %s grows: %s", s, diff)
		}
	}
}

func eventsHelper(t *check) {
	s, _ := t.filled(t.store, "helper", 5)
	all := t.allOf(t.store, s, 5)
	for from := range uint64(8) {
		var got []store.Recorded
		for e, err := range store.Events(t.ctx, t.store, s, from) {
			if err != nil {
				t.Fatalf("Events from %d yielded the error %v", from, err)
			}
			got = append(got, e)
		}
		if diff := differAll(got, all[min(max(from, 1)-1, 5):]); diff != "" {
			t.Fatalf("Events from %d: %s", from, diff)
		}
	}
	for e, err := range store.Events(t.ctx, t.store, s, 0) {
		if err != nil || e.Version != 1 {
			t.Fatalf("Events yielded version %d, %v first, want 1", e.Version, err)
		}
		break
	}
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	for e, err := range store.Events(ctx, t.store, s, 0) {
		if err == nil && e.ID != all[e.Version-1].ID {
			t.Fatalf("Events with a context that has ended yielded version %d with id %q, want %q", e.Version, e.ID, all[e.Version-1].ID)
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("Events with a context that has ended = %v, want context.Canceled", err)
		}
	}
}
