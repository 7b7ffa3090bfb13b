package faults

import (
	"context"
	"fmt"

	"github.com/evolvego/evolve/store"
)

// Updater is a store with transactions, as [store.Tx] describes them. *memory.Store,
// *sqlite.Store and *postgres.Store implement it, each with its own T.
type Updater[T any] interface {
	Update(ctx context.Context, do func(tx T) error) error
}

// Target is a store whose transactions have faults; [WrapTarget] creates it. It is as
// safe for concurrent use as the store that it wraps.
type Target[T any] struct {
	faults *Faulty
	inner  Updater[T]
}

var _ Updater[store.Tx] = (*Target[store.Tx])(nil)

// WrapTarget returns target with the faults of f: those that you queue with
// [Faulty.NextUpdate], and random ones at the rate of f. A transaction can be [Down],
// [Undone], [Lost] or [Slow]. The Faulty may wrap another store, or none.
func WrapTarget[T any](f *Faulty, target Updater[T]) *Target[T] {
	return &Target[T]{faults: f, inner: target}
}

// Update is Update of the wrapped store, with faults.
func (t *Target[T]) Update(ctx context.Context, do func(tx T) error) error {
	fault, _ := t.faults.next(&t.faults.updates, Down, Undone, Lost, Slow)
	if fault == Undone {
		return undo(ctx, t.inner, do)
	}
	return t.faults.perform(ctx, fault, func() error { return t.inner.Update(ctx, do) })
}

// undo runs a transaction and does not commit it.
func undo[T any](ctx context.Context, target Updater[T], do func(tx T) error) error {
	return target.Update(ctx, func(tx T) error {
		if err := do(tx); err != nil {
			return err
		}
		return injected(Undone)
	})
}

// NextUpdate queues one fault for each of the next transactions, across all targets of
// f. It panics if a fault is not None, Down, Undone, Lost or Slow.
func (f *Faulty) NextUpdate(faults ...Fault) {
	for _, fault := range faults {
		switch fault {
		case None, Down, Undone, Lost, Slow:
		case Late, Refuse:
			panic(fmt.Sprintf("faults: a transaction cannot be %s", fault))
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.updates = append(f.updates, faults...)
}
