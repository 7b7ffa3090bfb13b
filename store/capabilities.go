package store

import "context"

// Snapshot is the state of a stream at a version. It makes the next load faster. A
// snapshot is a cache: nothing is lost if you lose it.
type Snapshot struct {
	Stream  Stream
	Schema  string // the shape of Data; a stream has one snapshot per schema
	Version uint64 // version of the last event that the snapshot includes
	Data    []byte
}

// Snapshots is a store that keeps the newest snapshot for each stream and schema.
// Snapshots are not part of the streams. It is safe for concurrent use.
type Snapshots interface {
	// SaveSnapshot saves snap, unless the store already has a snapshot with a higher
	// version for the same stream and schema. It copies Data. It returns an *InvalidError
	// if the stream is invalid, the schema is not a name, or the version is 0.
	SaveSnapshot(ctx context.Context, snap Snapshot) error

	// LoadSnapshot returns the snapshot of stream s in schema, and false if there is none.
	// The caller owns the snapshot.
	LoadSnapshot(ctx context.Context, s Stream, schema string) (snap Snapshot, ok bool, err error)
}

// Checkpoint says how far a consumer has read the log. The zero Checkpoint is the
// beginning.
type Checkpoint struct {
	Position uint64 // position of the last event that was handled; 0: none
	EventID  string // id of that event, which tells whether the log is still the same; see [Resume]
}

// NamedCheckpoint is the checkpoint of the consumer called Name.
type NamedCheckpoint struct {
	Name string
	Checkpoint
}

// Checkpoints is a store that keeps the checkpoints of named consumers. It is
// safe for concurrent use.
type Checkpoints interface {
	// LoadCheckpoint returns the checkpoint of the consumer called name, or the zero
	// Checkpoint if it has none.
	LoadCheckpoint(ctx context.Context, name string) (Checkpoint, error)

	// SaveCheckpoint moves the checkpoint of name from one position to another. If the
	// checkpoint is not from, another writer has moved it: SaveCheckpoint changes nothing
	// and returns an error that matches ErrConflict.
	//
	// If to equals from, SaveCheckpoint only checks that the checkpoint is from. If to is
	// the zero Checkpoint, it resets the consumer to the beginning. It returns an
	// *InvalidError if name is not a name, or if to is neither after from, nor equal to
	// from, nor zero.
	SaveCheckpoint(ctx context.Context, name string, from, to Checkpoint) error

	// ListCheckpoints returns the nonzero checkpoints of consumers whose name is from or
	// comes after it, in the byte order of the names. An empty from starts at the first
	// name. It returns at most limit checkpoints, and fewer only if there are no more; a
	// limit of 0 means [DefaultLimit]. It returns an *InvalidError if the arguments break
	// a rule of [ValidateListCheckpoints].
	ListCheckpoints(ctx context.Context, from string, limit int) ([]NamedCheckpoint, error)
}
