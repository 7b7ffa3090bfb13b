package memory_test

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// readers returns the ways to read a whole stream in pages.
func readers() map[string]store.ReadOptions {
	return map[string]store.ReadOptions{
		"lent":     {ReadOnly: true},
		"copied":   {},
		"backward": {Backward: true},
	}
}

// whole reads s page by page with o, and returns the versions.
func whole(t rapid.TB, st store.Store, s store.Stream, o store.ReadOptions) (versions []uint64) {
	t.Helper()
	for {
		page := mustRead(t, st, s, o)
		if o.Limit > 0 && len(page.Events) > o.Limit {
			t.Fatalf("Read(%+v) returned %d events", o, len(page.Events))
		}
		for _, r := range page.Events {
			if want := fmt.Sprintf("e-%d", r.Version-1); r.ID != want {
				t.Fatalf("Read(%+v): version %d is %q, want %q", o, r.Version, r.ID, want)
			}
			if len(r.Data) != cap(r.Data) {
				t.Fatalf("Read(%+v): the data of version %d has spare capacity", o, r.Version)
			}
			versions = append(versions, r.Version)
		}
		if page.End {
			return versions
		}
		if len(page.Events) == 0 {
			t.Fatalf("Read(%+v) is empty before the end", o)
		}
		o.From = page.Next
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.IntRange(0, 90), rapid.IntRange(300, 2500)).Draw(t, "events")
		limit := rapid.OneOf(rapid.Just(0), rapid.IntRange(max(1, n/50), n+2)).Draw(t, "limit")
		m, s := memory.New(), account("a")
		for events := some("e", n); len(events) > 0; {
			k := rapid.IntRange(1, min(len(events), 700)).Draw(t, "batch")
			mustAppend(t, m, s, events[:k]...)
			events = events[k:]
		}
		for name, o := range readers() {
			o.Limit = limit
			versions := whole(t, m, s, o)
			if len(versions) != n {
				t.Fatalf("%s: read %d events, want %d", name, len(versions), n)
			}
			for i, v := range versions {
				want := uint64(i + 1)
				if o.Backward {
					want = uint64(n - i)
				}
				if v != want {
					t.Fatalf("%s: event %d has version %d, want %d", name, i, v, want)
				}
			}
		}
	})
}

// TestPagesAreBounded reads with a limit that is larger than the longest page.
func TestPagesAreBounded(t *testing.T) {
	t.Parallel()
	m, s := memory.New(), account("a")
	mustAppend(t, m, s, some("e", 3000)...)
	for name, o := range readers() {
		o.Limit = math.MaxInt
		if page := mustRead(t, m, s, o); len(page.Events) > 1024 {
			t.Errorf("%s: a page of %d events, want at most 1024", name, len(page.Events))
		}
	}
	for _, backward := range []bool{false, true} {
		page := mustReadAll(t, m, store.LogOptions{Limit: math.MaxInt, Backward: backward})
		if len(page.Events) != 1024 || page.End {
			t.Errorf("a page of %d events of the log (End: %t), want 1024", len(page.Events), page.End)
		}
	}
}

// TestScanIsBounded reads with a filter that matches only the two ends of a log.
func TestScanIsBounded(t *testing.T) {
	t.Parallel()
	m := memory.New()
	mustAppend(t, m, account("first"), some("f", 1)...)
	for i := range 4 {
		mustAppend(t, m, account("between"), some(fmt.Sprintf("b%d", i), 10_000)...)
	}
	mustAppend(t, m, account("last"), some("l", 1)...)
	for _, tt := range []struct {
		prefix   string
		backward bool
	}{{"last", false}, {"first", true}} {
		o := store.LogOptions{Filter: store.Filter{IDPrefix: tt.prefix}, Backward: tt.backward}
		pages, from := 0, uint64(0)
		for {
			page := mustReadAll(t, m, o)
			pages++
			if step := max(page.Next, from) - min(page.Next, from); !page.End && from > 0 && step > 1<<14 {
				t.Errorf("%q: page %d examined %d events", tt.prefix, pages, step)
			}
			if page.End {
				if len(page.Events) != 1 || page.Events[0].Stream.ID != tt.prefix {
					t.Errorf("%q: the last page has %d events", tt.prefix, len(page.Events))
				}
				break
			}
			from, o.From = page.Next, page.Next
		}
		if pages != 3 {
			t.Errorf("%q: %d pages, want 3", tt.prefix, pages)
		}
	}
}

func TestCopies(t *testing.T) {
	t.Parallel()
	m, s := memory.New(), account("a")
	given := some("e", 3)
	mustAppend(t, m, s, given...)
	want := mustRead(t, m, s, store.ReadOptions{})
	for i, e := range some("e", 3) { // copies that the store cannot share
		want.Events[i].Data, want.Events[i].Meta = e.Data, e.Meta
	}
	spoil := func(e *store.Event) {
		e.ID = "spoiled"
		scribble(e.Data)
		_ = append(e.Data, "over the next one"...)
		e.Meta.Headers["n"] = "spoiled"
	}
	for i := range given {
		spoil(&given[i])
	}
	reads := map[string]func() store.Page{
		"Read":          func() store.Page { return mustRead(t, m, s, store.ReadOptions{}) },
		"Read backward": func() store.Page { return mustRead(t, m, s, store.ReadOptions{Backward: true}) },
		"Read into a buffer": func() store.Page {
			return mustRead(t, m, s, store.ReadOptions{Buffer: make([]store.Recorded, 9)})
		},
		"ReadAll": func() store.Page { return mustReadAll(t, m, store.LogOptions{}) },
		"ReadAll backward": func() store.Page {
			return mustReadAll(t, m, store.LogOptions{Backward: true})
		},
		"Subscribe": func() store.Page {
			for page, err := range m.Subscribe(t.Context(), store.LogOptions{}) {
				if err != nil {
					t.Errorf("Subscribe() = %v", err)
				}
				return page
			}
			return store.Page{}
		},
	}
	for name, read := range reads {
		page := read()
		for i := range page.Events {
			spoil(&page.Events[i].Event)
		}
		if got := mustRead(t, m, s, store.ReadOptions{}); !reflect.DeepEqual(got, want) {
			t.Fatalf("after the page of %s was changed, Read() = %+v, want %+v", name, got, want)
		}
	}
}

// TestLentPages holds pages that are views while the stream grows: they must not
// change. The race detector finds unsynchronized writes.
func TestLentPages(t *testing.T) {
	t.Parallel()
	m, s := memory.New(), account("a")
	const n = 1500
	events := some("e", n)
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			var pages []store.Page
			for from, o := uint64(1), (store.ReadOptions{ReadOnly: true}); from <= n; {
				o.From = from
				page, err := m.Read(context.Background(), s, o)
				if err != nil {
					t.Errorf("Read(%+v) = %v", o, err)
					return
				}
				if len(page.Events) != cap(page.Events) {
					t.Errorf("a page of %d events that is a view has capacity for %d", len(page.Events), cap(page.Events))
				}
				pages, from = append(pages, page), page.Next
			}
			version := uint64(0)
			for _, page := range pages {
				for i := range page.Events {
					r := &page.Events[i]
					version++
					want := fmt.Sprintf("e-%d", version-1)
					if r.Version != version || r.ID != want || string(r.Data) != "data of "+want || r.Position != version {
						t.Errorf("version %d is %+v", version, r)
						return
					}
				}
			}
		})
	}
	for i := 0; i < n; {
		k := min(1+i%7, n-i)
		mustAppend(t, m, s, events[i:i+k]...)
		i += k
	}
	readers.Wait()
}

// TestReadingCostsNothing checks that reads into a buffer and reads of values allocate
// nothing, which keeps the replay of long streams fast.
func TestReadingCostsNothing(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts all of the process
	m, s, ctx := memory.New(), account("a"), t.Context()
	events := some("e", 1000)
	for i := range events {
		events[i].Data, events[i].Value = nil, i
	}
	mustAppend(t, m, s, events...)
	read, buffer := 0, make([]store.Recorded, 256)
	if allocs := testing.AllocsPerRun(10, func() {
		read = 0
		for o := (store.ReadOptions{ReadOnly: true, Buffer: buffer}); ; {
			page, err := m.Read(ctx, s, o)
			if err != nil {
				t.Fatal(err)
			}
			if read += len(page.Events); page.End {
				return
			}
			o.From = page.Next
		}
	}); allocs != 0 || read != 1000 {
		t.Errorf("reading %d of 1000 events into a buffer = %v allocations", read, allocs)
	}
	if allocs := testing.AllocsPerRun(10, func() {
		read = 0
		values, err := m.ReadValues(ctx, s, 1)
		if err != nil {
			t.Fatal(err)
		}
		for part := values.Next(); part != nil; part = values.Next() {
			read += len(part)
		}
	}); allocs != 0 || read != 1000 {
		t.Errorf("reading %d of 1000 values = %v allocations", read, allocs)
	}
}
