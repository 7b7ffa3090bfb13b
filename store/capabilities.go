package store

import "context"

// Snapshot is the state of a stream at a version. It shortens the next load. It is a
// cache: losing a snapshot loses nothing.
type Snapshot struct {
	Stream  Stream
	Schema  string // names the shape of Data; each schema has its own snapshot
	Version uint64 // of the last event that is in it
	Data    []byte
}

// Snapshots is a store that keeps the newest snapshot for each stream and schema. It
// keeps them outside of the streams. It is safe for concurrent use.
type Snapshots interface {
	// SaveSnapshot keeps snap, unless the store has a snapshot of a higher
	// version for its stream and schema. It copies Data. It returns an
	// *InvalidError if the stream is invalid, the schema is not a name, or the
	// version is 0.
	SaveSnapshot(ctx context.Context, snap Snapshot) error

	// LoadSnapshot returns the snapshot of stream s in schema, and false if
	// there is none. The caller owns it.
	LoadSnapshot(ctx context.Context, s Stream, schema string) (snap Snapshot, ok bool, err error)
}

// Checkpoint says how far a consumer of the log has come. The zero Checkpoint is the
// beginning.
type Checkpoint struct {
	Position uint64 // of the last event it has handled; 0: none
	EventID  string // of that event, to notice another log; see [Resume]
}

// NamedCheckpoint is the checkpoint of the consumer called Name.
type NamedCheckpoint struct {
	Name string
	Checkpoint
}

// Checkpoints is a store that keeps the checkpoints of named consumers. It is
// safe for concurrent use.
type Checkpoints interface {
	// LoadCheckpoint returns the checkpoint of the consumer called name, the
	// zero Checkpoint if it has none.
	LoadCheckpoint(ctx context.Context, name string) (Checkpoint, error)

	// SaveCheckpoint moves the checkpoint of name from one position to another.
	// If the checkpoint is not from, somebody else has moved it: SaveCheckpoint
	// changes nothing and returns an error that matches ErrConflict.
	//
	// If to equals from, SaveCheckpoint only checks that the checkpoint is from.
	// If to is the zero Checkpoint, it resets the consumer, which then begins
	// again. It returns an *InvalidError if name is not a name, or if to is
	// neither after from, nor from, nor zero.
	SaveCheckpoint(ctx context.Context, name string, from, to Checkpoint) error

	// ListCheckpoints returns the checkpoints that are not zero of the consumers
	// whose names are from or after it, in the byte order of their names; an
	// empty from is the first. It returns at most limit, and fewer only if there
	// are no more; a limit of 0 is [DefaultLimit]. It is an *InvalidError if the
	// arguments break a rule of [ValidateListCheckpoints].
	ListCheckpoints(ctx context.Context, from string, limit int) ([]NamedCheckpoint, error)
}
