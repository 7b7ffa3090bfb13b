package sqlite

import (
	"bytes"
	"cmp"
	"context"
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
		number(t.id), text(s.snap.Stream.Type), text(s.snap.Stream.ID), text(s.snap.Schema), number(s.snap.Version), blob(s.snap.Data))
}

// SaveSnapshot is [store.Snapshots.SaveSnapshot]. It returns an *[store.InvalidError] if
// the version is above [store.MaxVersion].
func (s *Store) SaveSnapshot(ctx context.Context, snap store.Snapshot) error {
	save, err := s.saveSnapshot(snap)
	if err != nil {
		return err
	}
	return s.backend.submit(ctx, save)
}

// saveSnapshot returns a save of snap, or an error if snap is invalid.
func (s *Store) saveSnapshot(snap store.Snapshot) (*saveSnapshot, error) {
	if err := snap.Validate(); err != nil {
		return nil, err
	}
	if snap.Version > store.MaxVersion {
		return nil, invalid("version", "is above the largest version")
	}
	snap.Data = bytes.Clone(snap.Data)
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
	err = s.backend.soon(ctx, func(r *reader, _ uint64) (err error) {
		ok, err = r.one(`SELECT p.version, p.data FROM tenant t CROSS JOIN snapshot p ON p.tenant = t.id
WHERE t.name = ? AND p.type = ? AND p.name = ? AND p.schema = ?`,
			func(s *stmt) { snap.Version, snap.Data = s.uint(0), s.blob(1) },
			text(s.tenant), text(stream.Type), text(stream.ID), text(name))
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

// saveCheckpoint is a save of a checkpoint. If it was not made, refused says why.
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
		return w.exec(`DELETE FROM checkpoint WHERE tenant = ? AND name = ?`, number(t.id), text(c.name))
	}
	return w.exec(`INSERT INTO checkpoint (tenant, name, position, event) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET position = excluded.position, event = excluded.event`,
		number(t.id), text(c.name), number(c.to.Position), text(c.to.EventID))
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
	_, err = w.one(`SELECT position, event FROM checkpoint WHERE tenant = ? AND name = ?`,
		func(s *stmt) { c.is = store.Checkpoint{Position: s.uint(0), EventID: s.text(1)} }, number(t.id), text(c.name))
	return err
}

// LoadCheckpoint is [store.Checkpoints.LoadCheckpoint].
func (s *Store) LoadCheckpoint(ctx context.Context, name string) (store.Checkpoint, error) {
	if err := store.ValidateConsumer(name); err != nil {
		return store.Checkpoint{}, err
	}
	var c store.Checkpoint
	err := s.backend.soon(ctx, func(r *reader, _ uint64) error {
		_, err := r.one(`SELECT c.position, c.event FROM tenant t CROSS JOIN checkpoint c ON c.tenant = t.id
WHERE t.name = ? AND c.name = ?`,
			func(s *stmt) { c = store.Checkpoint{Position: s.uint(0), EventID: s.text(1)} }, text(s.tenant), text(name))
		return err
	})
	return c, err
}

// ListCheckpoints is [store.Checkpoints.ListCheckpoints].
func (s *Store) ListCheckpoints(ctx context.Context, from string, limit int) (list []store.NamedCheckpoint, err error) {
	if err := store.ValidateListCheckpoints(from, limit); err != nil {
		return nil, err
	}
	err = s.backend.reading(ctx, func(r *reader) error {
		return r.each(`SELECT c.name, c.position, c.event FROM tenant t CROSS JOIN checkpoint c ON c.tenant = t.id
WHERE t.name = ? AND c.name >= ? AND (c.position > 0 OR c.event <> '') ORDER BY c.name LIMIT ? + 0`,
			func(s *stmt) (bool, error) {
				c := store.Checkpoint{Position: s.uint(1), EventID: s.text(2)}
				list = append(list, store.NamedCheckpoint{Name: s.text(0), Checkpoint: c})
				return true, nil
			}, text(s.tenant), text(from), number(int64(cmp.Or(limit, store.DefaultLimit))))
	})
	return list, err
}

// SaveCheckpoint is [store.Checkpoints.SaveCheckpoint]. It returns an
// *[store.InvalidError] if the position is above [store.MaxVersion].
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

// saveCheckpoint returns a save of a checkpoint, or an error if it is invalid.
func (s *Store) saveCheckpoint(name string, from, to store.Checkpoint) (*saveCheckpoint, error) {
	if err := store.ValidateCheckpoint(name, from, to); err != nil {
		return nil, err
	}
	if to.Position > store.MaxVersion {
		return nil, invalid("to", "is above the largest position")
	}
	return &saveCheckpoint{tenant: s.tenant, name: name, from: from, to: to}, nil
}
