package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/internal/judge"
)

func contextClauses() []clause {
	return []clause{
		{"an append with an ended context writes nothing", endedWritesNothing},
		{"a read with an ended context fails with the error of the context", endedReads},
		{"an append whose context ends at any moment is recorded completely or not at all", endsAtAnyMoment},
		{"a large batch whose context ends at any moment is recorded completely or not at all", largeBatchEnds},
	}
}

// ended returns contexts that have ended, by their errors.
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
					t.Fatalf("%s with an ended context = %v, want %v", appendCall(s, expected, events), err, cause)
				}
			}
		}
		t.wantNoStream(t.store, missing, "appends with an ended context")
		t.wantStream(t.store, existing, before)
		t.append(t.store, missing, store.NoStream, events...)
	}
}

// endedReads also accepts a page, if it is the right one, because a store may return
// before it checks the context.
func endedReads(t *check) {
	s, events := t.filled(t.store, "ended", 3)
	for cause, ctx := range t.ended() {
		page, err := t.store.Read(ctx, s, store.ReadOptions{})
		if err != nil && !errors.Is(err, cause) {
			t.Fatalf("%s with an ended context = %v, want %v", judge.ReadCall(s, store.ReadOptions{}), err, cause)
		}
		if err == nil {
			if diff := differStream(page.Events, s, events); diff != "" {
				t.Fatalf("%s with an ended context: %s", judge.ReadCall(s, store.ReadOptions{}), diff)
			}
		}
	}
}

// latency returns how long an append takes.
func (t *check) latency() time.Duration {
	s, least := newStream("latency"), time.Hour
	for range 5 {
		start := time.Now()
		t.append(t.store, s, store.Any, newEvents(3)...)
		least = min(least, time.Since(start))
	}
	return max(least, time.Microsecond)
}

// countdown is a context that ends at the nth call of one of its methods. For a store
// in the same process, that can be any moment.
type countdown struct {
	context.Context //nolint:containedctx // it is one
	cancel          context.CancelFunc
	looks           atomic.Int64 // calls that are left
}

func (c *countdown) look() {
	if c.looks.Add(-1) < 0 {
		c.cancel()
	}
}

func (c *countdown) Err() error {
	c.look()
	return c.Context.Err()
}

func (c *countdown) Done() <-chan struct{} {
	c.look()
	return c.Context.Done()
}

// ending returns a context that ends at a moment between the start of an append that
// takes latency and some time after its end.
func (t *check) ending(n int, latency time.Duration) (context.Context, context.CancelFunc) {
	if n%2 == 0 {
		return context.WithTimeout(t.ctx, rand.N(3*latency))
	}
	ctx, cancel := context.WithCancel(t.ctx)
	c := &countdown{Context: ctx, cancel: cancel}
	c.looks.Store(int64(n / 2 % 8))
	return c, cancel
}

// endsAtAnyMoment appends under contexts that end at any moment. After an error, it
// appends the same batch again, which must settle the outcome.
func endsAtAnyMoment(t *check) {
	const batch = 3
	latency := t.latency()
	each := t.times(80)
	t.together(4, func(int) error {
		s := newStream("moments")
		var all []store.Event
		for n := range each {
			events := newEvents(batch)
			ctx, cancel := t.ending(n, latency)
			err := t.appendUnder(ctx, s, events, len(all))
			cancel()
			if err != nil {
				return err
			}
			all = append(all, events...)
			got, err := t.store.Append(t.ctx, s, store.Any, events)
			if err != nil || got.Version != uint64(len(all)) {
				return fmt.Errorf("%s again, after its context ended = %+v, %s; want version %d, recorded or replayed",
					appendCall(s, store.Any, events), got, answer(err), len(all))
			}
		}
		got, err := judge.ReadStream(t.ctx, t.store, s)
		if err != nil {
			return err
		}
		if diff := differStream(got, s, all); diff != "" {
			return fmt.Errorf("after appends that ended at any moment, stream %s: %s", s, diff)
		}
		return nil
	})
}

// appendUnder appends events to s, which is at version, under a context that ends, and
// checks that the result is true.
func (t *check) appendUnder(ctx context.Context, s store.Stream, events []store.Event, version int) error {
	call := appendCall(s, store.Any, events)
	_, failed := t.store.Append(ctx, s, store.Any, events)
	if failed != nil && !errors.Is(failed, context.DeadlineExceeded) && !errors.Is(failed, context.Canceled) {
		return fmt.Errorf("%s under a context that ends = %w, want the error of the context", call, failed)
	}
	all, err := judge.ReadStream(t.ctx, t.store, s)
	switch n := len(all) - version; {
	case err != nil:
		return err
	case failed == nil && n != len(events):
		return fmt.Errorf("%s succeeded, but %d of its events are in the stream", call, n)
	case n != 0 && n != len(events):
		return fmt.Errorf("%s = %s, but %d of its events are in the stream, want all or none", call, answer(failed), n)
	}
	return nil
}
