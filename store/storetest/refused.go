package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
)

// RunRefused checks how a store reports writes that the system behind it refuses, such
// as a database that is read-only or out of space. Each such write must return an error
// that matches [store.ErrRefused], because nothing was written. Run it in addition to
// [Run].
//
// Each call of open must return a new store without events, and a function that starts
// (true) and stops (false) refusing all writes of events. The optional capabilities are
// the same as for Run.
func RunRefused(t *testing.T, open func(t *testing.T) (st store.Store, refuse func(refused bool))) {
	t.Helper()
	shared, _ := open(t)
	for _, s := range refusedSuites() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if s.needs != nil && !s.needs(shared) {
				t.Skip(s.leftOut(shared))
			}
			for _, c := range s.clauses {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					st, refuse := open(t)
					c.runRefused(t, st, refuse, patience)
				})
			}
		})
	}
}

func (c clause) runRefused(tb rapid.TB, st store.Store, refuse func(refused bool), patience time.Duration) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	c.check(&check{TB: tb, ctx: ctx, store: st, refuse: refuse, patience: patience})
}

func refusedSuites() []suite {
	return []suite{
		{name: "Refused", clauses: []clause{
			{"an append fails at once, definitely, and records nothing", refusedAppend},
			{"reads continue", refusedReads},
		}},
		{name: "Refused claims", needs: hasClaims, lacking: "store.Claims", clauses: []clause{
			{"an append with claims makes no claim", refusedClaims},
		}},
		{name: "Refused transactions", needs: hasUpdate, lacking: "store with an Update whose transactions are a store.Tx", clauses: []clause{
			{"an Update fails at once, definitely, and writes nothing", refusedUpdate},
		}},
		{name: "Refused subscriptions", needs: hasLog, lacking: "store.Log", clauses: []clause{
			{"a subscription continues", refusedSubscription},
		}},
	}
}

// wantRefused calls call while writes are refused, and checks that it is refused.
func (t *check) wantRefused(what string, call func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, t.patience)
	defer cancel()
	err := call(ctx)
	if ctx.Err() != nil {
		t.Fatalf("%s, which should be refused, has not returned for %s", what, t.patience)
	}
	if !errors.Is(err, store.ErrRefused) {
		t.Fatalf("%s while writes are refused = %s, want an error that matches ErrRefused", what, answer(err))
	}
}

func refusedAppend(t *check) {
	s, _ := t.filled(t.store, "refused", 2)
	before := t.all(t.store, s)
	created, events := newStream("refused"), newEvents(2)
	t.refuse(true)
	for _, expected := range []store.Expected{store.Exactly(2), store.Exists, store.Any} {
		t.wantRefused(appendCall(s, expected, events), func(ctx context.Context) error {
			_, err := t.store.Append(ctx, s, expected, events)
			return err
		})
	}
	t.wantRefused(appendCall(created, store.NoStream, newEvents(1)), func(ctx context.Context) error {
		_, err := t.store.Append(ctx, created, store.NoStream, newEvents(1))
		return err
	})
	t.refuse(false)
	if diff := differAll(t.all(t.store, s), before); diff != "" {
		t.Fatalf("after refused appends, stream %s: %s", s, diff)
	}
	t.wantNoStream(t.store, created, "a refused append")
	t.append(t.store, s, store.Exactly(2), events...)
}

func refusedReads(t *check) {
	s, _ := t.filled(t.store, "refused", 3)
	before := t.all(t.store, s)
	t.refuse(true)
	defer t.refuse(false)
	t.wantRefused(appendCall(s, store.Any, newEvents(1)), func(ctx context.Context) error {
		_, err := t.store.Append(ctx, s, store.Any, newEvents(1))
		return err
	})
	if diff := differAll(t.all(t.store, s), before); diff != "" {
		t.Fatalf("while appends are refused, stream %s: %s", s, diff)
	}
}

func refusedClaims(t *check) {
	st := as[claimStore](t, t.store)
	s, key, events := newStream("refused"), newKey(), newEvents(2)
	t.refuse(true)
	t.wantRefused("AppendClaiming", func(ctx context.Context) error {
		_, err := st.AppendClaiming(ctx, s, store.NoStream, events, take(key))
		return err
	})
	t.refuse(false)
	t.wantHolder(st, key, store.Stream{})
	t.wantNoStream(t.store, s, "a refused append with claims")
	if got, err := st.AppendClaiming(t.ctx, s, store.NoStream, events, take(key)); err != nil || got.Version != 2 || got.Replayed {
		t.Fatalf("AppendClaiming, retried after a refusal =  %+v, %s; want version 2, and no replay", got, answer(err))
	}
}

func refusedUpdate(t *check) {
	w := newWritten("refused")
	t.refuse(true)
	t.wantRefused("Update", func(ctx context.Context) error {
		return t.tryUpdate(ctx, t.store, func(tx store.Tx) error {
			err := errors.Join(tx.SaveCheckpoint(w.consumer, store.Checkpoint{}, w.to), tx.SaveDocuments([]store.Document{w.document}))
			if err != nil {
				return err
			}
			_, err = tx.AppendClaiming(w.a, store.NoStream, w.events[:2], take(w.key))
			return err
		})
	})
	t.refuse(false)
	t.wantWritten(t.store, w, false, "after a refused Update")
	t.update(t.store, w.write)
	t.wantWritten(t.store, w, true, "after retrying a refused Update")
}

func refusedSubscription(t *check) {
	st := as[logStore](t, t.store)
	s, _ := t.filled(t.store, "refused", 2)
	f := t.subscribe(st, store.LogOptions{})
	t.wantFeed(f, t.logOf(st, 2))
	events := newEvents(1)
	t.refuse(true)
	t.wantRefused(appendCall(s, store.Any, events), func(ctx context.Context) error {
		_, err := t.store.Append(ctx, s, store.Any, events)
		return err
	})
	t.refuse(false)
	t.append(t.store, s, store.Any, events...)
	if got, err := f.until(events[0].ID); err != nil || len(got) != 1 {
		t.Fatalf("after a refused append and a successful one, the subscription yielded %d events, %s; want one", len(got), answer(err))
	}
	t.closeFeed(f)
}
