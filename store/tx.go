package store

import "errors"

// ErrTxDone is what the methods of a [Tx] return after its Update has ended.
var ErrTxDone = errors.New("store: transaction is done")

// CheckpointTx is the checkpoints of a transaction. It sees what the transaction has
// saved. It is not safe for concurrent use.
type CheckpointTx interface {
	// LoadCheckpoint is [Checkpoints.LoadCheckpoint] in the transaction.
	LoadCheckpoint(name string) (Checkpoint, error)

	// SaveCheckpoint is [Checkpoints.SaveCheckpoint] in the transaction. Until
	// the transaction ends nobody else moves the checkpoint: another transaction
	// that saves it waits, and then finds what this one left. That also holds
	// where to equals from, which moves nothing.
	//
	// A conflict changes nothing, and the transaction can go on. Whoever writes
	// a read model returns it instead: another one has written these events.
	SaveCheckpoint(name string, from, to Checkpoint) error
}

// AppendTx is the appends of a transaction. It sees what the transaction has appended.
// It is not safe for concurrent use.
//
// From the first append until the transaction ends, no one else appends to the log of
// the tenant. So append as late as you can.
type AppendTx interface {
	// Append is [Store.Append] in the transaction. Positions are final if the
	// transaction is committed, and void if it is not.
	Append(s Stream, expected Expected, events []Event) (Appended, error)

	// AppendClaiming is [Claims.AppendClaiming] in the transaction.
	AppendClaiming(s Stream, expected Expected, events []Event, claims []Claim) (Appended, error)
}

// ReadTx is the streams of a transaction. It sees what the transaction has appended. It is
// not safe for concurrent use.
type ReadTx interface {
	// Read is [Store.Read] in the transaction.
	Read(s Stream, o ReadOptions) (Page, error)
}

// Tx is what the transaction of a store has at least. A store with transactions has a
// Tx of its own, a pointer to a struct that may also have the SQL of its database, and
// a method
//
//	Update(ctx context.Context, do func(tx *Tx) error) error
//
// Update calls do once. If do returns nil, Update commits all that do wrote, and it is
// durable when Update returns nil. If do returns an error or panics, nothing was
// written, and the error or the panic reaches the caller as it is. Update waits for its
// turn until ctx ends, and then does not call do.
//
// If Update returns an error that is not that of do, nobody knows whether it was
// committed. The next transaction that loads a checkpoint that this one moved tells.
type Tx interface {
	CheckpointTx
	DocumentTx
	AppendTx

	// SaveSnapshot is [Snapshots.SaveSnapshot] in the transaction.
	SaveSnapshot(snap Snapshot) error
}
