package store

import "errors"

// ErrTxDone is the error that the methods of a [Tx] return after its Update has ended.
var ErrTxDone = errors.New("store: transaction is done")

// CheckpointTx loads and saves checkpoints in a transaction. It sees what the
// transaction has saved. It is not safe for concurrent use.
type CheckpointTx interface {
	// LoadCheckpoint is [Checkpoints.LoadCheckpoint] in the transaction.
	LoadCheckpoint(name string) (Checkpoint, error)

	// SaveCheckpoint is [Checkpoints.SaveCheckpoint] in the transaction. Until the
	// transaction ends, no other writer moves the checkpoint: another transaction that
	// saves it waits, and then finds what this one left. That also holds if to equals
	// from, which moves nothing.
	//
	// A conflict changes nothing, and the transaction can continue. If you write a read
	// model, return the conflict instead: another instance has already applied these
	// events.
	SaveCheckpoint(name string, from, to Checkpoint) error
}

// AppendTx appends events in a transaction. It sees what the transaction has appended.
// It is not safe for concurrent use.
//
// From the first append until the transaction ends, no other writer appends to the log
// of the tenant. So append as late as you can.
type AppendTx interface {
	// Append is [Store.Append] in the transaction. The positions that it returns are final
	// once the transaction commits, and void if it does not.
	Append(s Stream, expected Expected, events []Event) (Appended, error)

	// AppendClaiming is [Claims.AppendClaiming] in the transaction.
	AppendClaiming(s Stream, expected Expected, events []Event, claims []Claim) (Appended, error)
}

// ReadTx reads streams in a transaction. It sees what the transaction has appended. It
// is not safe for concurrent use.
type ReadTx interface {
	// Read is [Store.Read] in the transaction.
	Read(s Stream, o ReadOptions) (Page, error)
}

// Tx is what the transactions of all stores have in common. A store with transactions
// has its own Tx type, a pointer to a struct that may also offer the SQL of its
// database, and a method
//
//	Update(ctx context.Context, do func(tx *Tx) error) error
//
// Update calls do once. If do returns nil, Update commits everything that do wrote, and
// it is durable when Update returns nil. If do returns an error or panics, nothing is
// written, and the error or the panic reaches the caller unchanged. Update waits for
// its turn until ctx ends; if ctx ends first, it does not call do.
//
// If Update returns an error that did not come from do, the transaction may or may not
// have committed. To find out, load a checkpoint that it moved in the next transaction.
type Tx interface {
	CheckpointTx
	DocumentTx
	AppendTx

	// SaveSnapshot is [Snapshots.SaveSnapshot] in the transaction.
	SaveSnapshot(snap Snapshot) error
}
