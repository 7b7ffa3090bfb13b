package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/evolvego/evolve/store"
)

// claimTogether lets readers look up the event of a claim and its key, in both orders.
// A reader that has seen one must find the other.
func claimTogether(t *check) {
	st, s := t.claims(), newStream("together")
	key := func(version uint64) string { return fmt.Sprintf("%d of %s", version, s.ID) }
	var next atomic.Uint64 // the version that is being appended
	next.Store(1)
	write := func(int) error {
		version := next.Load()
		events := newEvents(2)
		claims := take(key(version+1), key(version))
		if _, err := st.AppendClaiming(t.ctx, s, store.Any, events, claims); err != nil {
			return fmt.Errorf("%s: %w", claimCall(s, store.Any, events, claims), err)
		}
		next.Store(version + 2)
		return nil
	}
	read := func(i int) error {
		version := next.Load()
		if i%2 == 0 {
			return t.seenTogether(st, s, version, key(version))
		}
		_, held, err := st.Holder(t.ctx, key(version))
		if err != nil || !held {
			return err
		}
		page, err := st.Read(t.ctx, s, store.ReadOptions{Backward: true, Limit: 1})
		if err == nil && page.Head < version+1 {
			err = fmt.Errorf("key %d is taken, but the stream has Head %[3]d, and only version %[2]d takes the key", version, version+1, page.Head)
		}
		return err
	}
	t.against(1, 4, t.times(50), write, read)
}

// seenTogether checks that if s has version, s holds key.
func (t *check) seenTogether(st claimStore, s store.Stream, version uint64, key string) error {
	page, err := st.Read(t.ctx, s, store.ReadOptions{Backward: true, Limit: 1})
	if err != nil || page.Head < version {
		return err
	}
	holder, held, err := st.Holder(t.ctx, key)
	if err == nil && (!held || holder != s) {
		err = fmt.Errorf("stream %s has version %d, but the key that this version takes has the holder %q, %t", s, version, holder, held)
	}
	return err
}

func claimEnded(t *check) {
	st := t.claims()
	s, before := t.filled(st, "ended", 1)
	for cause, ctx := range t.ended() {
		key, events := newKey(), newEvents(1)
		if _, err := st.AppendClaiming(ctx, s, store.Any, events, take(key)); !errors.Is(err, cause) {
			t.Fatalf("%s with an ended context = %s, want %v", claimCall(s, store.Any, events, take(key)), answer(err), cause)
		}
		t.wantStream(st, s, before)
		t.wantHolder(st, key, store.Stream{})
		if _, ok, err := st.Holder(ctx, key); ok || err != nil && !errors.Is(err, cause) {
			t.Fatalf("Holder of a free key with an ended context = %t, %s; want %v", ok, answer(err), cause)
		}
	}
}

// claimEndsAtAnyMoment is endsAtAnyMoment with a claim.
func claimEndsAtAnyMoment(t *check) {
	st, latency := t.claims(), t.latency()
	each := t.times(40)
	t.together(4, func(int) error {
		s := newStream("moments")
		for n := range each {
			ctx, cancel := t.ending(n, latency)
			err := t.claimUnder(ctx, st, s, uint64(n))
			cancel()
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// claimUnder appends two events to s, which has 2n, and takes a key, under a context
// that ends. Then it retries, which must settle the outcome.
func (t *check) claimUnder(ctx context.Context, st claimStore, s store.Stream, n uint64) error {
	key, events := newKey(), newEvents(2)
	call := claimCall(s, store.Exactly(2*n), events, take(key))
	_, failed := st.AppendClaiming(ctx, s, store.Exactly(2*n), events, take(key))
	before, err := st.Read(t.ctx, s, store.ReadOptions{Backward: true, Limit: 1})
	if err != nil {
		return err
	}
	_, held, err := st.Holder(t.ctx, key)
	if err != nil {
		return err
	}
	after, err := st.Read(t.ctx, s, store.ReadOptions{Backward: true, Limit: 1})
	switch recorded := 2*n + 2; {
	case err != nil:
		return err
	case failed == nil && (!held || before.Head != recorded):
		return fmt.Errorf("%s succeeded, but the stream has version %d, and the key has a holder: %t", call, before.Head, held)
	case before.Head == recorded && !held:
		return fmt.Errorf("%s = %s, but the stream has the events without the key", call, answer(failed))
	case held && after.Head != recorded:
		return fmt.Errorf("%s = %s, but the stream has the key without the events", call, answer(failed))
	}
	got, err := st.AppendClaiming(t.ctx, s, store.Exactly(2*n), events, take(key))
	if err != nil || got.Version != 2*n+2 {
		return fmt.Errorf("%s again, after its context ended = %+v, %s; want version %d, recorded or replayed", call, got, answer(err), 2*n+2)
	}
	if holder, _, err := st.Holder(t.ctx, key); err != nil || holder != s {
		return fmt.Errorf("after %s, the holder of the key is %q, %s", call, holder, answer(err))
	}
	return nil
}
