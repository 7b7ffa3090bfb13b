// Package judge checks the results of stores. Both the test suite and the recorder of
// histories use it.
package judge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/evolvego/evolve/store"
)

// ReadStream reads the whole of s.
func ReadStream(ctx context.Context, st store.Store, s store.Stream) ([]store.Recorded, error) {
	var all []store.Recorded
	o := store.ReadOptions{From: 1}
	for {
		page, err := st.Read(ctx, s, o)
		if err != nil {
			return nil, fmt.Errorf("%s failed: %w", ReadCall(s, o), err)
		}
		if diff := Page(o, page.Head, &page); diff != "" {
			return nil, fmt.Errorf("%s: %s", ReadCall(s, o), diff)
		}
		all = append(all, page.Events...)
		if page.End {
			return all, nil
		}
		o.From = page.Next
	}
}

// ReadCall formats a call of Read for messages.
func ReadCall(s store.Stream, o store.ReadOptions) string {
	return fmt.Sprintf("Read(%q, %q, %+v)", s.Type, s.ID, o)
}

// IsA reports whether err matches sentinel, has the type T, and is definite.
func IsA[T error](err, sentinel error) (T, bool) {
	var target T
	return target, errors.As(err, &target) && errors.Is(err, sentinel) && store.Definite(err)
}

// Page returns how page differs from the page that o describes, for a stream at version
// head. It ignores the content of events. It returns "" if there is no difference.
func Page(o store.ReadOptions, head uint64, page *store.Page) string {
	first, last := max(o.From, 1), head // the events that o selects, in the order of versions
	if o.Backward {
		first = 1
		if o.From > 0 {
			last = min(o.From, head)
		}
	}
	left := uint64(0)
	if first <= last {
		left = last - first + 1
	}
	n := uint64(len(page.Events))
	switch {
	case page.Head != head:
		return fmt.Sprintf("Head is %d, want %d", page.Head, head)
	case n > Limit(o.Limit):
		return fmt.Sprintf("%d events, want at most %d", n, Limit(o.Limit))
	case n > left:
		return fmt.Sprintf("%d events, want at most %d", n, left)
	case n == 0 && left > 0:
		return fmt.Sprintf("none of %d events: a page may be empty only at the end", left)
	case page.End != (n == left):
		return fmt.Sprintf("%d of %d events and End %t, want %t", n, left, page.End, n == left)
	}
	for i := range page.Events {
		want := first + uint64(i)
		if o.Backward {
			want = last - uint64(i)
		}
		if got := page.Events[i].Version; got != want {
			return fmt.Sprintf("event %d of the page is version %d, want %d", i+1, got, want)
		}
	}
	next, got := first+n, page.Next
	switch {
	case o.Backward:
		next = last - n
	case got == 0:
		got = 1 // an empty page may also have the first version as its Next
	}
	if got != next {
		return fmt.Sprintf("%d events and Next %d, want %d", n, page.Next, next)
	}
	return ""
}

// Limit returns the maximum number of events in a page with this limit.
func Limit(limit int) uint64 {
	if limit == 0 {
		return store.DefaultLimit
	}
	return uint64(limit)
}

// Clone returns events that share no memory with these.
func Clone(events []store.Event) []store.Event {
	events = slices.Clone(events)
	for i := range events {
		events[i].Data = bytes.Clone(events[i].Data)
		events[i].Meta.Headers = maps.Clone(events[i].Meta.Headers)
	}
	return events
}
