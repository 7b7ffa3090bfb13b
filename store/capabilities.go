package store

import "context"

// Snapshot is the state of a stream at a version, kept to shorten the next load.
// It is a cache, never the truth: losing one loses nothing.
type Snapshot struct {
	Stream  Stream
	Schema  string // names the shape of Data; each schema has its own snapshot
	Version uint64 // of the last event that is in it
	Data    []byte
}

// Snapshots is a store that keeps snapshots, beside the streams and never in
// them, the newest one for each stream and schema. It is safe for concurrent use.
type Snapshots interface {
	// SaveSnapshot keeps snap unless there is one of a higher version for its
	// stream and schema. It copies Data. It is an *InvalidError if the stream
	// is invalid, the schema is not a name, or the version is 0.
	SaveSnapshot(ctx context.Context, snap Snapshot) error

	// LoadSnapshot returns the snapshot of stream s in schema, and false if
	// there is none. Only the caller holds it.
	LoadSnapshot(ctx context.Context, s Stream, schema string) (snap Snapshot, ok bool, err error)
}

// Checkpoint is how far a consumer of the log has come. The zero Checkpoint is
// the beginning.
type Checkpoint struct {
	Position uint64 // of the last event it has handled; 0: none
	EventID  string // of that event, so that a log that is another one is noticed
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

	// SaveCheckpoint moves the checkpoint of name from what it was to what it
	// is now. If it is not from, another one has moved it: SaveCheckpoint
	// changes nothing and returns an error that matches ErrConflict.
	//
	// If to equals from, it only checks that the checkpoint is from. If to is
	// the zero Checkpoint, it resets the consumer, who then begins again. It is
	// an *InvalidError if name is not a name, or to is not after from, from or
	// zero.
	SaveCheckpoint(ctx context.Context, name string, from, to Checkpoint) error

	// ListCheckpoints returns the checkpoints that are not zero of the consumers
	// whose names are from or after it, in the byte order of their names; an
	// empty from is the first. It returns at most limit, and fewer only if there
	// are no more; a limit of 0 is [DefaultLimit]. It is an *InvalidError if the
	// arguments break a rule of [ValidateListCheckpoints].
	ListCheckpoints(ctx context.Context, from string, limit int) ([]NamedCheckpoint, error)
}
