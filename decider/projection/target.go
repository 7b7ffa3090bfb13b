package projection

import (
	"context"

	"github.com/evolvego/evolve/store"
)

// Tx is what a projection needs from a transaction of its target: checkpoints and
// documents. The Tx of every store of evolve has these methods, among others.
type Tx interface {
	store.CheckpointTx
	store.DocumentTx
}

// Target is where a read model is stored: a store with transactions. *memory.Store,
// *sqlite.Store and *postgres.Store are targets. One commit contains what a transaction
// writes, the checkpoint and the notes of the projection, so the target need not be the
// store of the events. For the contract of Update see [store.Tx]. The suite
// projectiontest checks it.
type Target[T Tx] interface {
	// Update calls do with a transaction, and commits what do wrote if it returns nil.
	Update(ctx context.Context, do func(tx T) error) error
}

// Event is an event of a source as a handler receives it.
type Event[E any] struct {
	// Recorded is the event in the log. It must not be changed.
	Recorded *store.Recorded
	// Index numbers the events that an upcaster made of Recorded, from 0 on.
	Index int
	// Event is the event as the source understands it today.
	Event E
	// Live reports whether the projection had caught up with the log before this event:
	// it is new, not history.
	Live bool
}
