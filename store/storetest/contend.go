package storetest

import (
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/internal/judge"
)

func contentionClauses() []clause {
	return []clause{
		{"exactly one of 8 concurrent creates wins", oneCreateWins},
		{"200 concurrent increments all survive", incrementsSurvive},
		{"every refusal is a conflict with the actual version", refusalsAreTrue},
		{"appends to different streams never conflict", disjointNeverConflict},
		{"appends that expect Any never conflict, and their batches never mix", anyNeverConflicts},
		{"a reader never sees part of a batch", batchesAreWhole},
		{"a reader never sees part of a large batch", largeBatchesAreWhole},
		{"a read is never older than what its caller knew", readsAreFresh},
	}
}

func oneCreateWins(t *check) {
	const batch = 2
	for range t.times(25) {
		s := newStream("create")
		tries := make([][]store.Event, 8)
		won := make([]bool, len(tries))
		t.together(len(tries), func(i int) error {
			tries[i] = newEvents(batch)
			got, err := t.store.Append(t.ctx, s, store.NoStream, tries[i])
			if won[i] = err == nil; won[i] {
				if got.Version != batch {
					return fmt.Errorf("%s = version %d, want %d", appendCall(s, store.NoStream, tries[i]), got.Version, batch)
				}
				return nil
			}
			want := store.ConflictError{Stream: s, Expected: store.NoStream, Actual: batch}
			if conflict, ok := judge.IsA[*store.ConflictError](err, store.ErrConflict); !ok || *conflict != want {
				return fmt.Errorf("%s, 8 times concurrently = %s, want the *ConflictError %+v",
					appendCall(s, store.NoStream, tries[i]), answer(err), want)
			}
			return nil
		})
		winners := 0
		for i := range tries {
			if won[i] {
				winners++
				t.wantStream(t.store, s, tries[i])
			}
		}
		if winners != 1 {
			t.Fatalf("%d of 8 concurrent appends to one stream that expect NoStream succeeded, want 1", winners)
		}
	}
}

// incrementsSurvive does what every runner does: it reads, decides, appends, and
// retries after a conflict.
func incrementsSurvive(t *check) {
	const clients = 10
	each := t.times(20)
	s := newStream("increments")
	t.together(clients, func(int) error {
		var known uint64 // a version that the stream is known to have reached
		for done := 0; done < each; {
			version, count, err := t.counter(s, known)
			if err != nil {
				return err
			}
			event := []store.Event{newEvent(strconv.Itoa(count + 1))}
			runtime.Gosched() // let others read the same version
			got, err := t.store.Append(t.ctx, s, store.Exactly(version), event)
			if err == nil {
				if got.Version != version+1 {
					return fmt.Errorf("%s = version %d, want %d", appendCall(s, store.Exactly(version), event), got.Version, version+1)
				}
				known = got.Version
				done++
				continue
			}
			conflict, ok := judge.IsA[*store.ConflictError](err, store.ErrConflict)
			if !ok || conflict.Stream != s || conflict.Expected != store.Exactly(version) {
				return fmt.Errorf("%s under contention = %s, want a *ConflictError about it",
					appendCall(s, store.Exactly(version), event), answer(err))
			}
			if conflict.Actual <= version || conflict.Actual > uint64(clients*each) {
				return fmt.Errorf("%s under contention: Actual is %d, want more than the known version %d, and at most the final version %d",
					appendCall(s, store.Exactly(version), event), conflict.Actual, version, clients*each)
			}
			known = conflict.Actual
		}
		return nil
	})
	all := t.all(t.store, s)
	if len(all) != clients*each {
		t.Fatalf("%d clients made %d increments, but the stream has %d events", clients, clients*each, len(all))
	}
	for i := range all {
		if want := strconv.Itoa(i + 1); string(all[i].Data) != want {
			t.Fatalf("version %d has the data %q, want %q: an increment was based on another version", i+1, all[i].Data, want)
		}
	}
}

// counter reads the version of s, which must be at least known, and the number in its
// last event.
func (t *check) counter(s store.Stream, known uint64) (version uint64, count int, err error) {
	o := store.ReadOptions{Backward: true, Limit: 1}
	page, err := t.store.Read(t.ctx, s, o)
	if err != nil {
		return 0, 0, fmt.Errorf("%s failed: %w", judge.ReadCall(s, o), err)
	}
	if page.Head < known {
		return 0, 0, fmt.Errorf("%s: Head is %d, but the stream was known to be at %d", judge.ReadCall(s, o), page.Head, known)
	}
	if diff := judge.Page(o, page.Head, &page); diff != "" {
		return 0, 0, fmt.Errorf("%s: %s", judge.ReadCall(s, o), diff)
	}
	if page.Head == 0 {
		return 0, 0, nil
	}
	count, err = strconv.Atoi(string(page.Events[0].Data))
	return page.Head, count, err
}

// raise sets v to at least n.
func raise(v *atomic.Uint64, n uint64) {
	for {
		old := v.Load()
		if old >= n || v.CompareAndSwap(old, n) {
			return
		}
	}
}

func refusalsAreTrue(t *check) {
	for range t.times(10) {
		s := newStream("refusals")
		var known atomic.Uint64 // a version that the stream is known to have reached
		t.together(8, func(i int) error {
			for j := range 10 {
				before := known.Load()
				expected := []store.Expected{
					store.NoStream, store.Exists, store.Any, store.Exactly(before), store.Exactly(before + 1), store.Exactly(before + 3),
				}[(i+j)%6]
				events := newEvents(1 + j%3)
				runtime.Gosched()
				got, err := t.store.Append(t.ctx, s, expected, events)
				call := appendCall(s, expected, events)
				if err == nil {
					was := got.Version - uint64(len(events))
					if got.Version < uint64(len(events)) || !expected.Matches(was) || was < before {
						return fmt.Errorf("%s = version %d: so the stream was at %d, which is not the expected version, or is less than the version %d seen before",
							call, got.Version, was, before)
					}
					raise(&known, got.Version)
					continue
				}
				conflict, ok := judge.IsA[*store.ConflictError](err, store.ErrConflict)
				if !ok || conflict.Stream != s || conflict.Expected != expected {
					return fmt.Errorf("%s under contention = %s, want a *ConflictError about it", call, answer(err))
				}
				if expected.Matches(conflict.Actual) || conflict.Actual < before {
					return fmt.Errorf("%s under contention: Actual is %d, which is the expected version, or is less than the version %d seen before", call, conflict.Actual, before)
				}
				page, err := t.store.Read(t.ctx, s, store.ReadOptions{Backward: true, Limit: 1})
				if err != nil || page.Head < conflict.Actual {
					return fmt.Errorf("%s after a conflict with version %d: Head is %d, %s",
						judge.ReadCall(s, store.ReadOptions{Backward: true, Limit: 1}), conflict.Actual, page.Head, answer(err))
				}
			}
			return nil
		})
		t.all(t.store, s)
	}
}

func disjointNeverConflict(t *check) {
	streams := make([]store.Stream, 8)
	written := make([][]store.Event, len(streams))
	each := t.times(25)
	t.together(len(streams), func(i int) error {
		streams[i] = newStream("disjoint")
		for range each {
			events := newEvents(2)
			expected := store.Exactly(uint64(len(written[i])))
			if _, err := t.store.Append(t.ctx, streams[i], expected, events); err != nil {
				return fmt.Errorf("%s, to a stream with no other writer: %w", appendCall(streams[i], expected, events), err)
			}
			written[i] = append(written[i], events...)
		}
		return nil
	})
	for i, s := range streams {
		t.wantStream(t.store, s, written[i])
	}
}

func anyNeverConflicts(t *check) {
	const writers, batch = 8, 5
	s := newStream("any")
	each := t.times(20)
	var mu sync.Mutex
	want := make(map[uint64]store.Event) // by version
	t.together(writers, func(int) error {
		last := uint64(0)
		for range each {
			events := newEvents(batch)
			got, err := t.store.Append(t.ctx, s, store.Any, events)
			if err != nil || got.Replayed || got.Version < last+batch {
				return fmt.Errorf("%s, concurrently with others, at version %d or more = %+v, %s; want success",
					appendCall(s, store.Any, events), last, got, answer(err))
			}
			last = got.Version
			mu.Lock()
			for i, e := range events {
				want[got.Version-batch+uint64(i)+1] = e
			}
			mu.Unlock()
		}
		return nil
	})
	all := t.all(t.store, s)
	if len(all) != writers*each*batch || len(want) != len(all) {
		t.Fatalf("%d events were appended, the results name %d versions, and the stream has %d", writers*each*batch, len(want), len(all))
	}
	for i := range all {
		e := want[uint64(i+1)]
		if diff := differ(&all[i], s, uint64(i+1), &e); diff != "" {
			t.Fatalf("version %d is not the event that the result of the append says it is: %s", i+1, diff)
		}
	}
}

func batchesAreWhole(t *check) {
	const batch = 5
	s := newStream("whole")
	options := []store.ReadOptions{{}, {Backward: true}, {ReadOnly: true}, {Limit: 7}, {Limit: 7, Backward: true}, {From: 3}, {From: 8, Limit: 4}}
	var heads, reads [2]uint64 // one for each reader
	t.against(3, len(heads), t.times(60), func(int) error {
		if _, err := t.store.Append(t.ctx, s, store.Any, newEvents(batch)); err != nil {
			return fmt.Errorf("append to %s failed: %w", s, err)
		}
		return nil
	}, func(i int) error {
		o := options[reads[i]%uint64(len(options))]
		reads[i]++
		page, err := t.store.Read(t.ctx, s, o)
		if err != nil {
			return fmt.Errorf("%s failed: %w", judge.ReadCall(s, o), err)
		}
		if page.Head < heads[i] || page.Head%batch != 0 {
			return fmt.Errorf("%s: Head is %d, want a multiple of the batch size %d, and at least %d", judge.ReadCall(s, o), page.Head, batch, heads[i])
		}
		heads[i] = page.Head
		if diff := judge.Page(o, page.Head, &page); diff != "" {
			return fmt.Errorf("%s while others append, with Head %d: %s", judge.ReadCall(s, o), page.Head, diff)
		}
		return nil
	})
}

// readsAreFresh checks that a read never returns less than what any client knew before
// the read began, and that a version is the same event for everybody. Every append
// moves a stream forward. So this clause and the clauses on versions together make
// reads and appends linearizable.
func readsAreFresh(t *check) {
	s := newStream("fresh")
	var known atomic.Uint64
	var ids sync.Map // version to id
	same := func(version uint64, id string) error {
		if other, loaded := ids.LoadOrStore(version, id); loaded && other != id {
			return fmt.Errorf("version %d of %s is event %q for one client and %q for another", version, s, id, other)
		}
		return nil
	}
	t.against(3, 4, t.times(60), func(int) error {
		before, events := known.Load(), newEvents(1)
		got, err := t.store.Append(t.ctx, s, store.Any, events)
		if err != nil || got.Version <= before {
			return fmt.Errorf("%s when version %d was already known = version %d, %s", appendCall(s, store.Any, events), before, got.Version, answer(err))
		}
		raise(&known, got.Version)
		return same(got.Version, events[0].ID)
	}, func(i int) error {
		before, o := known.Load(), store.ReadOptions{Backward: i%2 == 0, Limit: 1 + i, ReadOnly: i > 1}
		page, err := t.store.Read(t.ctx, s, o)
		if err != nil || page.Head < before {
			return fmt.Errorf("%s when version %d was already known: Head is %d, %s", judge.ReadCall(s, o), before, page.Head, answer(err))
		}
		raise(&known, page.Head)
		for i := range page.Events {
			if err := same(page.Events[i].Version, page.Events[i].ID); err != nil {
				return err
			}
		}
		return nil
	})
}
