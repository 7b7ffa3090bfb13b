package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/evolvego/evolve/store"
)

// saveSnapshot is a save of a snapshot.
type saveSnapshot struct {
	tenant string
	snap   store.Snapshot
}

func (*saveSnapshot) count() int { return 1 }

func (s *saveSnapshot) do(w *writer) error {
	t, err := w.tenant(s.tenant, true)
	if err != nil {
		return err
	}
	return w.exec(`INSERT INTO snapshot (tenant, type, name, schema, version, data) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET version = excluded.version, data = excluded.data WHERE excluded.version >= version`,
		t.id, s.snap.Stream.Type, s.snap.Stream.ID, s.snap.Schema, s.snap.Version, s.snap.Data)
}

// SaveSnapshot is [store.Snapshots.SaveSnapshot]. A version above
// [store.MaxVersion] is an *[store.InvalidError].
func (s *Store) SaveSnapshot(ctx context.Context, snap store.Snapshot) error {
	save, err := s.saveSnapshot(snap)
	if err != nil {
		return err
	}
	return s.backend.submit(ctx, save)
}

// saveSnapshot returns the save of a snapshot that is valid.
func (s *Store) saveSnapshot(snap store.Snapshot) (*saveSnapshot, error) {
	if err := snap.Validate(); err != nil {
		return nil, err
	}
	if snap.Version > store.MaxVersion {
		return nil, invalid("version", "is above the largest one")
	}
	snap.Data = append([]byte{}, snap.Data...) // not nil, which would be NULL
	return &saveSnapshot{s.tenant, snap}, nil
}

// LoadSnapshot is [store.Snapshots.LoadSnapshot].
func (s *Store) LoadSnapshot(
	ctx context.Context, stream store.Stream, name string,
) (snap store.Snapshot, ok bool, err error) {
	if err := store.ValidateSnapshotKey(stream, name); err != nil {
		return store.Snapshot{}, false, err
	}
	snap = store.Snapshot{Stream: stream, Schema: name}
	err = s.backend.reading(ctx, func(ctx context.Context, r *reader) (err error) {
		ok, err = r.one(ctx, `SELECT p.version, p.data FROM tenant t CROSS JOIN snapshot p ON p.tenant = t.id
WHERE t.name = ? AND p.type = ? AND p.name = ? AND p.schema = ?`,
			[]any{s.tenant, stream.Type, stream.ID, name}, []any{&snap.Version, &snap.Data})
		return err
	})
	if err != nil || !ok {
		return store.Snapshot{}, false, err
	}
	if len(snap.Data) == 0 {
		snap.Data = nil
	}
	return snap, true, nil
}

// saveCheckpoint is a save of a checkpoint; refused says that it is not from.
type saveCheckpoint struct {
	tenant, name string
	from, to     store.Checkpoint
	refused      error
}

func (*saveCheckpoint) count() int { return 1 }

func (c *saveCheckpoint) do(w *writer) error {
	t, err := w.tenant(c.tenant, true)
	if err != nil {
		return err
	}
	load := loadCheckpoint{tenant: c.tenant, name: c.name}
	if err := load.do(w); err != nil {
		return err
	}
	if was := load.is; was != c.from {
		c.refused = fmt.Errorf("sqlite: checkpoint %q is at position %d (event %q), not %d (event %q): %w",
			c.name, was.Position, was.EventID, c.from.Position, c.from.EventID, store.ErrConflict)
		return nil
	}
	switch c.to {
	case c.from:
		return nil
	case store.Checkpoint{}:
		return w.exec(`DELETE FROM checkpoint WHERE tenant = ? AND name = ?`, t.id, c.name)
	}
	return w.exec(`INSERT INTO checkpoint (tenant, name, position, event) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET position = excluded.position, event = excluded.event`,
		t.id, c.name, c.to.Position, c.to.EventID)
}

// loadCheckpoint is a load of a checkpoint in a transaction.
type loadCheckpoint struct {
	tenant, name string
	is           store.Checkpoint
}

func (*loadCheckpoint) count() int { return 0 }

func (c *loadCheckpoint) do(w *writer) error {
	t, err := w.tenant(c.tenant, false)
	if err != nil {
		return err
	}
	err = w.queryRow(`SELECT position, event FROM checkpoint WHERE tenant = ? AND name = ?`, t.id, c.name).
		Scan(&c.is.Position, &c.is.EventID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// LoadCheckpoint is [store.Checkpoints.LoadCheckpoint].
func (s *Store) LoadCheckpoint(ctx context.Context, name string) (store.Checkpoint, error) {
	if err := store.ValidateConsumer(name); err != nil {
		return store.Checkpoint{}, err
	}
	var c store.Checkpoint
	err := s.backend.reading(ctx, func(ctx context.Context, r *reader) error {
		_, err := r.one(ctx, `SELECT c.position, c.event FROM tenant t CROSS JOIN checkpoint c ON c.tenant = t.id
WHERE t.name = ? AND c.name = ?`, []any{s.tenant, name}, []any{&c.Position, &c.EventID})
		return err
	})
	return c, err
}

// SaveCheckpoint is [store.Checkpoints.SaveCheckpoint]. A position above
// [store.MaxVersion] is an *[store.InvalidError].
func (s *Store) SaveCheckpoint(ctx context.Context, name string, from, to store.Checkpoint) error {
	save, err := s.saveCheckpoint(name, from, to)
	if err != nil {
		return err
	}
	if err := s.backend.submit(ctx, save); err != nil {
		return err
	}
	return save.refused
}

// saveCheckpoint returns the save of a checkpoint that is valid.
func (s *Store) saveCheckpoint(name string, from, to store.Checkpoint) (*saveCheckpoint, error) {
	if err := store.ValidateCheckpoint(name, from, to); err != nil {
		return nil, err
	}
	if to.Position > store.MaxVersion {
		return nil, invalid("to", "is above the largest position")
	}
	return &saveCheckpoint{tenant: s.tenant, name: name, from: from, to: to}, nil
}
