package schedule

import (
	"context"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/faults"
	"github.com/evolvego/evolve/store/storetest/history"
)

// Store is a store of a [Sim], which records its calls. It is safe for concurrent use.
type Store struct {
	sim      *Sim
	inner    store.Store
	faults   *faults.Faulty
	recorder *history.Recorder
}

var _ store.Store = (*Store)(nil)

// Append is store.Store.Append, when it is the caller's turn.
func (st *Store) Append(ctx context.Context, s store.Stream, e store.Expected, events []store.Event) (store.Appended, error) {
	if err := st.turn(ctx, appending); err != nil {
		return store.Appended{}, err
	}
	return st.recorder.Append(ctx, s, e, events)
}

// Read is store.Store.Read, when it is the caller's turn.
func (st *Store) Read(ctx context.Context, s store.Stream, o store.ReadOptions) (store.Page, error) {
	if err := st.turn(ctx, reading); err != nil {
		return store.Page{}, err
	}
	return st.recorder.Read(ctx, s, o)
}

// Ops returns the calls so far, like [history.Recorder.Ops].
func (st *Store) Ops() []history.Op { return st.recorder.Ops() }

// turn waits for the turn of a call, and applies its fault.
func (st *Store) turn(ctx context.Context, k kind) error {
	fault, err := st.sim.turn(ctx, k)
	switch {
	case err != nil:
		return err
	case k == appending:
		st.faults.Next(fault)
	default:
		st.faults.NextRead(fault)
	}
	return nil
}

// watched is a store that tells a Sim when it changes.
type watched struct {
	store.Store
	sim *Sim
}

// Append is store.Store.Append. A definite refusal or a replay changes nothing.
func (w watched) Append(ctx context.Context, s store.Stream, e store.Expected, events []store.Event) (store.Appended, error) {
	appended, err := w.Store.Append(ctx, s, e, events)
	if err == nil && !appended.Replayed || err != nil && !store.Definite(err) {
		w.sim.change()
	}
	return appended, err
}

// check checks the history of each stream.
func (st *Store) check(ctx context.Context) {
	seen := map[store.Stream]bool{}
	for _, op := range st.recorder.Ops() {
		if seen[op.Stream] || op.Stream.Validate() != nil {
			continue
		}
		seen[op.Stream] = true
		h, err := st.recorder.History(ctx, st.inner, op.Stream)
		if err == nil {
			err = history.Check(h)
		}
		if err != nil {
			st.sim.Errorf("%v", err)
		}
	}
}
