package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/evolvego/evolve/store"
)

func contextClauses() []clause {
	return []clause{
		{"an append under a context that has ended writes nothing", endedWritesNothing},
		{"a read under a context that has ended fails with what ended it", endedReads},
		{"an append that ends at any moment is recorded wholly or not at all", endsAtAnyMoment},
	}
}

// ended returns contexts that have ended, by what they ended with.
func (t *check) ended() map[error]context.Context {
	cancelled, cancel := context.WithCancel(t.ctx)
	cancel()
	late, cancel := context.WithDeadline(t.ctx, time.Unix(0, 0))
	cancel()
	return map[error]context.Context{context.Canceled: cancelled, context.DeadlineExceeded: late}
}

func endedWritesNothing(t *check) {
	existing, before := t.filled(t.store, "existing", 2)
	for cause, ctx := range t.ended() {
		missing, events := newStream("ended"), newEvents(2)
		for _, expected := range []store.Expected{store.NoStream, store.Any, store.Exactly(2)} {
			for _, s := range []store.Stream{missing, existing} {
				if _, err := t.store.Append(ctx, s, expected, events); !errors.Is(err, cause) {
					t.Fatalf("%s under a context that has ended = %v, want %v", appendCall(s, expected, events), err, cause)
				}
			}
		}
		t.wantNoStream(t.store, missing, "appends under a context that had ended")
		t.wantStream(t.store, existing, before)
		t.append(t.store, missing, store.NoStream, events...)
	}
}

// endedReads accepts a page as well, which must be the right one: a store may be
// faster than its look at the context.
func endedReads(t *check) {
	s, events := t.filled(t.store, "ended", 3)
	for cause, ctx := range t.ended() {
		page, err := t.store.Read(ctx, s, store.ReadOptions{})
		if err != nil && !errors.Is(err, cause) {
			t.Fatalf("%s under a context that has ended = %v, want %v", readCall(s, store.ReadOptions{}), err, cause)
		}
		if err == nil {
			if diff := differStream(page.Events, s, events); diff != "" {
				t.Fatalf("%s under a context that has ended: %s", readCall(s, store.ReadOptions{}), diff)
			}
		}
	}
}

// latency returns how long a few appends took at most.
func (t *check) latency() time.Duration {
	s, most := newStream("latency"), time.Microsecond
	for range 5 {
		start := time.Now()
		t.append(t.store, s, store.Any, newEvents(3)...)
		most = max(most, time.Since(start))
	}
	return most
}

// endsAtAnyMoment appends under contexts that end some time from before to after
// the append. When the answer is an error, it sends the same batch again, which
// must settle it.
func endsAtAnyMoment(t *check) {
	const batch = 3
	most := t.latency()
	each := t.times(60)
	t.together(4, func(int) error {
		s := newStream("moments")
		var all []store.Event
		for range each {
			events := newEvents(batch)
			if err := t.appendFor(rand.N(2*most), s, events, len(all)); err != nil {
				return err
			}
			all = append(all, events...)
			got, err := t.store.Append(t.ctx, s, store.Any, events)
			if err != nil || got.Version != uint64(len(all)) {
				return fmt.Errorf("%s again, after its context ended = %+v, %s; want version %d, recorded or replayed",
					appendCall(s, store.Any, events), got, answer(err), len(all))
			}
		}
		got, err := readStream(t.ctx, t.store, s)
		if err != nil {
			return err
		}
		if diff := differStream(got, s, all); diff != "" {
			return fmt.Errorf("after appends that ended at any moment, stream %s: %s", s, diff)
		}
		return nil
	})
}

// appendFor appends events to s, which is at version, under a context that ends
// after d, and checks that what it answers is so.
func (t *check) appendFor(d time.Duration, s store.Stream, events []store.Event, version int) error {
	ctx, cancel := context.WithTimeout(t.ctx, d)
	defer cancel()
	call := appendCall(s, store.Any, events)
	_, failed := t.store.Append(ctx, s, store.Any, events)
	if failed != nil && !errors.Is(failed, context.DeadlineExceeded) {
		return fmt.Errorf("%s under a context that ends = %w, want context.DeadlineExceeded", call, failed)
	}
	all, err := readStream(t.ctx, t.store, s)
	switch n := len(all) - version; {
	case err != nil:
		return err
	case failed == nil && n != len(events):
		return fmt.Errorf("%s succeeded, and %d of its events are there", call, n)
	case n != 0 && n != len(events):
		return fmt.Errorf("%s = %s, and %d of its events are there, want all or none", call, answer(failed), n)
	}
	return nil
}
