package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// TestGroupOfAllKinds checks that in a group of appends to different streams each gets
// its own result. Appends that conflict, replay, or have a recorded id, at an exact
// version or at any, must not affect the others, and positions and versions must have
// no gaps.
func TestGroupOfAllKinds(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]postgres.Option{"one log": nil, "one log per tenant": {postgres.WithLogPerTenant()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, url := within(t), postgrestest.URL(t)
			st := open(t, url, options...)
			const n = 60
			before := make([][]store.Event, n)
			for i := range before {
				before[i] = batch(1 + i%3)
				if _, err := st.Append(ctx, stream(i), store.NoStream, before[i]); err != nil {
					t.Fatal(err)
				}
			}
			var appends []func()
			var made atomic.Int64
			for i := range n {
				size, v := 1+i%4, uint64(len(before[i]))
				appends = append(appends, func() {
					if err := oneOfAllKinds(ctx, st, i%7, i, v, size, before); err != nil {
						t.Errorf("append %d of kind %d: %v", i, i%7, err)
					}
					if i%7 < 2 {
						made.Add(int64(size))
					}
				})
			}
			grouped(t, st, url, appends...)
			all := positions(t, st)
			if !slices.Equal(all, upTo(len(all))) {
				t.Errorf("the log has the positions %v", all)
			}
			total := 0
			for i := range n {
				page, err := st.Read(ctx, stream(i), store.ReadOptions{})
				if err != nil {
					t.Fatal(err)
				}
				for k, e := range page.Events {
					if e.Version != uint64(k)+1 || string(e.Data) != `{"n":1}` || e.Meta.CorrelationID != "request" {
						t.Fatalf("event %d of stream %d is %+v", k, i, e)
					}
				}
				total += len(page.Events) - len(before[i])
			}
			if int64(total) != made.Load() {
				t.Errorf("%d events were appended, want %d", total, made.Load())
			}
		})
	}
}

// TestGroupIsOneStatement checks that one statement makes all appends of a group that
// succeed as expected. Only the others need the database function.
func TestGroupIsOneStatement(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	st := open(t, url)
	const n = 50
	before := make([][]store.Event, n)
	for i := range before {
		before[i] = batch(1 + i%3)
		if _, err := st.Append(ctx, stream(i), store.NoStream, before[i]); err != nil {
			t.Fatal(err)
		}
	}
	execute(t, url, "ALTER FUNCTION evolve.append RENAME TO other")
	kinds := []int{0, 1, 2, 3, 4, 6}
	var appends []func()
	for i := range n {
		appends = append(appends, func() {
			err := oneOfAllKinds(ctx, st, kinds[i%len(kinds)], i, uint64(len(before[i])), 1+i%4, before)
			if kind := kinds[i%len(kinds)]; kind < 2 && err != nil || kind >= 2 && !errors.Is(err, postgres.ErrNoSchema) {
				t.Errorf("append %d of kind %d, without the function = %v", i, kind, err)
			}
		})
	}
	grouped(t, st, url, appends...)
	if all := positions(t, st); !slices.Equal(all, upTo(len(all))) {
		t.Errorf("the log has the positions %v", all)
	}
	for i := range n {
		want := len(before[i])
		if kinds[i%len(kinds)] < 2 {
			want += 1 + i%4
		}
		page, err := st.Read(ctx, stream(i), store.ReadOptions{})
		if err != nil || len(page.Events) != want || page.Head != uint64(want) {
			t.Errorf("stream %d has %d events, head %d, %v; want %d", i, len(page.Events), page.Head, err, want)
		}
	}
}

// oneOfAllKinds appends to stream i, which is at version v and has the events before,
// in one of seven ways. It returns an error if the result is wrong.
func oneOfAllKinds(ctx context.Context, st *postgres.Store, kind, i int, v uint64, size int, before [][]store.Event) error {
	wrong := func(got store.Appended, err error) error {
		return fmt.Errorf("%+v, %w", got, errors.Join(err, errUndo))
	}
	taken := batch(size)
	taken[size-1].ID = before[(i+1)%len(before)][0].ID
	switch kind {
	case 0:
		got, err := st.Append(ctx, stream(i), store.Exactly(v), batch(size))
		if err != nil || got.Version != v+uint64(size) || got.Replayed {
			return wrong(got, err)
		}
	case 1:
		got, err := st.Append(ctx, stream(i), store.Any, batch(size))
		if err != nil || got.Version != v+uint64(size) || got.Replayed {
			return wrong(got, err)
		}
	case 2:
		got, err := st.Append(ctx, stream(i), store.Exactly(v+1), batch(size))
		if !isConflict(err, v) {
			return wrong(got, err)
		}
	case 3:
		got, err := st.Append(ctx, stream(i), store.NoStream, before[i])
		if err != nil || !got.Replayed || got.Version != v {
			return wrong(got, err)
		}
	case 4:
		got, err := st.Append(ctx, stream(i), store.Exists, before[i])
		if err != nil || !got.Replayed || got.Version != v {
			return wrong(got, err)
		}
	case 5:
		got, err := st.Append(ctx, stream(i), store.Exactly(v), taken)
		if duplicate, ok := errors.AsType[*store.DuplicateError](err); !ok || duplicate.EventID != taken[size-1].ID || duplicate.Version != 1 {
			return wrong(got, err)
		}
	case 6:
		got, err := st.Append(ctx, stream(i), store.NoStream, batch(size))
		if !isConflict(err, v) {
			return wrong(got, err)
		}
	}
	return nil
}

// TestAbandoned checks that an append whose context ends while it waits for a group is
// never made, and does not affect the others.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	st := open(t, url)
	ctx, cancel := context.WithCancel(within(t))
	gone := make(chan error, 1)
	groupedThen(t, st, url, func() {
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("Append whose context ended in the queue = %v, want Canceled", err)
		}
	}, func() {
		_, err := st.Append(ctx, stream(1), store.NoStream, batch(1))
		gone <- err
	}, func() {
		if _, err := st.Append(within(t), stream(2), store.NoStream, batch(1)); err != nil {
			t.Errorf("Append next to an abandoned one = %v", err)
		}
	})
	for i, want := range []int{1: 0, 2: 1} {
		page, err := st.Read(within(t), stream(i), store.ReadOptions{})
		if err != nil || len(page.Events) != want {
			t.Errorf("stream %d has %d events, %v; want %d", i, len(page.Events), err, want)
		}
	}
}

// TestGroupIsTold checks that subscriptions of the store are notified at once of the
// events that a group has appended.
func TestGroupIsTold(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	st := open(t, url, postgres.WithPollOnly(time.Hour))
	seen := make(chan []uint64, 1)
	go func() { seen <- followed(within(t), st, "End") }()
	appendTo(t, st, stream(1), 1)
	grouped(t, st, url, func() { appendTo(t, st, stream(2), 1) }, func() { appendTo(t, st, store.Stream{Type: "End", ID: "1"}, 1) })
	page, err := st.Read(within(t), store.Stream{Type: "End", ID: "1"}, store.ReadOptions{})
	if err != nil || len(page.Events) != 1 {
		t.Fatalf("Read = %d events, %v", len(page.Events), err)
	}
	if got := <-seen; !slices.Equal(got, upTo(int(page.Events[0].Position))) {
		t.Errorf("Subscribe yielded %v, want 1 to %d", got, page.Events[0].Position)
	}
}

// TestTogether checks that appends are in one group only if none has to wait for the
// outcome of another: they have no event id and no key in common, and if two are to one
// stream, neither has claims.
func TestTogether(t *testing.T) {
	t.Parallel()
	plain := func(s string, ids ...string) postgres.Planned { return postgres.Planned{Stream: s, IDs: ids} }
	claiming := func(s, id, key string) postgres.Planned {
		return postgres.Planned{Stream: s, IDs: []string{id}, Keys: []string{key}}
	}
	elsewhere := func(p postgres.Planned) postgres.Planned {
		p.Tenant = "other"
		return p
	}
	for name, tt := range map[string]struct {
		all  []postgres.Planned
		want bool
	}{
		"different streams": {[]postgres.Planned{plain("a", "1"), plain("b", "2"), plain("c", "3")}, true},
		"one stream":        {[]postgres.Planned{plain("a", "1"), plain("a", "2"), plain("a", "3")}, true},
		"one id":            {[]postgres.Planned{plain("a", "1"), plain("b", "1")}, false},
		"one id in common, in the last of several":              {[]postgres.Planned{plain("a", "1"), plain("b", "2", "3"), plain("c", "4", "3")}, false},
		"one id in common, in different tenants":                {[]postgres.Planned{plain("a", "1"), elsewhere(plain("a", "1"))}, true},
		"one key":                                               {[]postgres.Planned{claiming("a", "1", "k"), claiming("b", "2", "k")}, false},
		"one key in common, after another key":                  {[]postgres.Planned{plain("a", "1"), claiming("b", "2", "k"), claiming("c", "3", "k")}, false},
		"one key in common, in different tenants":               {[]postgres.Planned{claiming("a", "1", "k"), elsewhere(claiming("b", "2", "k"))}, true},
		"different keys":                                        {[]postgres.Planned{claiming("a", "1", "k"), claiming("b", "2", "l")}, true},
		"an id that equals a key of the other":                  {[]postgres.Planned{plain("a", "k"), claiming("b", "2", "k")}, true},
		"one stream, the first with claims":                     {[]postgres.Planned{claiming("a", "1", "k"), plain("a", "2")}, false},
		"one stream, the last with claims":                      {[]postgres.Planned{plain("a", "1"), plain("a", "2"), claiming("a", "3", "k")}, false},
		"the same stream in different tenants, one with claims": {[]postgres.Planned{claiming("a", "1", "k"), elsewhere(plain("a", "2"))}, true},
	} {
		if got := postgres.Together(tt.all...); got != tt.want {
			t.Errorf("%s: together = %t, want %t", name, got, tt.want)
		}
	}
}
