package projection

import (
	"context"

	"github.com/evolvego/evolve/store"
)

// Tx is what a projection needs of the transaction of its target: checkpoints and
// documents. The Tx of every store of evolve has it, beside what else it can do.
type Tx interface {
	store.CheckpointTx
	store.DocumentTx
}

// Target is where a read model is: a store with transactions. *memory.Store,
// *sqlite.Store and *postgres.Store are targets. What a transaction writes, the
// checkpoint and what the projection itself keeps are one commit, so the target need
// not be the store of the events. For the contract of Update see [store.Tx]; the suite
// projectiontest checks it.
type Target[T Tx] interface {
	// Update calls do with a transaction, and commits what do wrote if it
	// returns nil.
	Update(ctx context.Context, do func(tx T) error) error
}

// Event is an event of a source as a handler gets it.
type Event[E any] struct {
	// Recorded is the event in the log. It must not be changed.
	Recorded *store.Recorded
	// Index counts the events that an upcaster made of Recorded, from 0 on.
	Index int
	// Event is the event as it is understood today.
	Event E
	// Live says that the projection had caught up with the log before this
	// event: it is news, not history.
	Live bool
}
