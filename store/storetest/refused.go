package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
)

// RunRefused checks what a store says of writes that are refused by what is behind it, such
// as a database that has no space left or is read-only: each has an error that matches
// [store.ErrRefused], because nothing was written. Run it beside [Run].
//
// Each call of open must return a new store without events, and a function that begins, and
// ends, to have all writes of events refused. The optional capabilities are those of Run.
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
			{"an append is definite, at once, and leaves nothing", refusedAppend},
			{"reads go on", refusedReads},
		}},
		{name: "Refused claims", needs: hasClaims, lacking: "store.Claims", clauses: []clause{
			{"an append with claims leaves no claim", refusedClaims},
		}},
		{name: "Refused transactions", needs: hasUpdate, lacking: "store with an Update of transactions that are a store.Tx", clauses: []clause{
			{"an Update is definite, at once, and leaves nothing", refusedUpdate},
		}},
		{name: "Refused subscriptions", needs: hasLog, lacking: "store.Log", clauses: []clause{
			{"a subscription goes on", refusedSubscription},
		}},
	}
}

// wantRefused has call make a write while writes are refused.
func (t *check) wantRefused(what string, call func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, t.patience)
	defer cancel()
	err := call(ctx)
	if ctx.Err() != nil {
		t.Fatalf("%s has not returned for %s, although the write was refused", what, t.patience)
	}
	if !errors.Is(err, store.ErrRefused) {
		t.Fatalf("%s that was refused = %s, want an error that matches ErrRefused", what, answer(err))
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
		t.Fatalf("after appends that were refused, stream %s: %s", s, diff)
	}
	t.wantNoStream(t.store, created, "an append that was refused")
	if got := t.append(t.store, s, store.Exactly(2), events...); got.Version != 4 || got.Replayed {
		t.Fatalf("%s, after it was refused = %+v, want version 4, and no replay", appendCall(s, store.Exactly(2), events), got)
	}
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
	t.wantNoStream(t.store, s, "an append with claims that was refused")
	if got, err := st.AppendClaiming(t.ctx, s, store.NoStream, events, take(key)); err != nil || got.Version != 2 || got.Replayed {
		t.Fatalf("AppendClaiming, after it was refused = %+v, %s; want version 2, and no replay", got, answer(err))
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
	t.wantWritten(t.store, w, false, "after an Update that was refused")
	t.update(t.store, w.write)
	t.wantWritten(t.store, w, true, "after an Update, made again after it was refused")
}

func refusedSubscription(t *check) {
	st := as[logStore](t, t.store)
	s, _ := t.filled(t.store, "refused", 2)
	f := t.subscribe(st, store.LogOptions{})
	t.wantFeed(f, t.log(st, store.LogOptions{}))
	events := newEvents(1)
	t.refuse(true)
	t.wantRefused(appendCall(s, store.Any, events), func(ctx context.Context) error {
		_, err := t.store.Append(ctx, s, store.Any, events)
		return err
	})
	t.refuse(false)
	t.append(t.store, s, store.Any, events...)
	if got, err := f.until(events[0].ID); err != nil || len(got) != 1 {
		t.Fatalf("after an append that was refused, and one that was not, the subscription yielded %d events, %s; want one", len(got), answer(err))
	}
	t.closeFeed(f)
}
