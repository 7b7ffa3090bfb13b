package memory

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/evolvego/evolve/store"
)

// kept is a map that is safe for concurrent use.
type kept[K comparable, V any] struct {
	mu     sync.Mutex
	values map[K]V // guarded by mu
}

// load returns the value of key, or the zero V and false if there is none.
func (k *kept[K, V]) load(key K) (V, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	value, ok := k.values[key]
	return value, ok
}

// save sets key to value if may(old) returns true for the current value. It returns the
// current value as it was before.
func (k *kept[K, V]) save(key K, value V, may func(old V) bool) (old V, saved bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	old = k.values[key]
	if !may(old) {
		return old, false
	}
	if k.values == nil {
		k.values = make(map[K]V)
	}
	k.values[key] = value
	return old, true
}

type snapshotKey struct {
	stream store.Stream
	schema string
}

// SaveSnapshot is [store.Snapshots.SaveSnapshot].
func (m *Store) SaveSnapshot(ctx context.Context, snap store.Snapshot) error {
	if err := snap.Validate(); err != nil {
		return err
	}
	if err := m.ready(ctx); err != nil {
		return err
	}
	snap.Data = bytes.Clone(snap.Data)
	m.keepSnapshot(snap)
	return nil
}

func (m *Store) keepSnapshot(snap store.Snapshot) {
	m.snapshots.save(snapshotKey{snap.Stream, snap.Schema}, snap, func(old store.Snapshot) bool {
		return old.Version <= snap.Version
	})
}

// LoadSnapshot is [store.Snapshots.LoadSnapshot].
func (m *Store) LoadSnapshot(
	ctx context.Context, s store.Stream, schema string,
) (snap store.Snapshot, ok bool, err error) {
	if err := store.ValidateSnapshotKey(s, schema); err != nil {
		return store.Snapshot{}, false, err
	}
	if err := m.ready(ctx); err != nil {
		return store.Snapshot{}, false, err
	}
	snap, ok = m.snapshots.load(snapshotKey{s, schema})
	snap.Data = bytes.Clone(snap.Data)
	return snap, ok, nil
}

// LoadCheckpoint is [store.Checkpoints.LoadCheckpoint].
func (m *Store) LoadCheckpoint(ctx context.Context, name string) (store.Checkpoint, error) {
	if err := store.ValidateConsumer(name); err != nil {
		return store.Checkpoint{}, err
	}
	if err := m.ready(ctx); err != nil {
		return store.Checkpoint{}, err
	}
	c, _ := m.checkpoints.load(name)
	return c, nil
}

// ListCheckpoints is [store.Checkpoints.ListCheckpoints].
func (m *Store) ListCheckpoints(ctx context.Context, from string, limit int) ([]store.NamedCheckpoint, error) {
	if err := store.ValidateListCheckpoints(from, limit); err != nil {
		return nil, err
	}
	if err := m.ready(ctx); err != nil {
		return nil, err
	}
	var list []store.NamedCheckpoint
	m.checkpoints.mu.Lock()
	for name, c := range m.checkpoints.values {
		if name >= from && c != (store.Checkpoint{}) {
			list = append(list, store.NamedCheckpoint{Name: name, Checkpoint: c})
		}
	}
	m.checkpoints.mu.Unlock()
	slices.SortFunc(list, func(a, b store.NamedCheckpoint) int { return strings.Compare(a.Name, b.Name) })
	return list[:min(cmp.Or(limit, store.DefaultLimit), len(list))], nil
}

// SaveCheckpoint is [store.Checkpoints.SaveCheckpoint].
func (m *Store) SaveCheckpoint(ctx context.Context, name string, from, to store.Checkpoint) error {
	if err := store.ValidateCheckpoint(name, from, to); err != nil {
		return err
	}
	if err := m.takeTurn(ctx); err != nil {
		return err
	}
	defer m.giveTurn()
	was, saved := m.checkpoints.save(name, to, func(old store.Checkpoint) bool { return old == from })
	if !saved {
		return moved(name, was, from)
	}
	return nil
}
