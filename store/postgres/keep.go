package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/evolvego/evolve/store"
)

// querier is a connection or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// SaveSnapshot is [store.Snapshots.SaveSnapshot]. It returns an *[store.InvalidError]
// if the version is above [store.MaxVersion].
func (s *Store) SaveSnapshot(ctx context.Context, snap store.Snapshot) error {
	b := s.backend
	return b.write(ctx, func(ctx context.Context, q querier) error { return b.saveSnapshot(ctx, q, s.tenant, snap) })
}

func (b *backend) saveSnapshot(ctx context.Context, q querier, tenant string, snap store.Snapshot) error {
	if err := snap.Validate(); err != nil {
		return err
	}
	if snap.Version > store.MaxVersion {
		return invalid("version", "is above the largest version")
	}
	if snap.Data == nil {
		snap.Data = []byte{} // nil would be NULL
	}
	_, err := q.Exec(ctx, b.sql.saveSnapshot,
		tenant, snap.Stream.Type, snap.Stream.ID, snap.Schema, int64(snap.Version), snap.Data)
	return err
}

// LoadSnapshot is [store.Snapshots.LoadSnapshot].
func (s *Store) LoadSnapshot(
	ctx context.Context, stream store.Stream, schema string,
) (snap store.Snapshot, ok bool, err error) {
	if err := store.ValidateSnapshotKey(stream, schema); err != nil {
		return store.Snapshot{}, false, err
	}
	snap = store.Snapshot{Stream: stream, Schema: schema}
	b := s.backend
	err = b.read(ctx, func(ctx context.Context, q querier) error {
		ok, err = one(q.QueryRow(ctx, b.sql.loadSnapshot, s.tenant, stream.Type, stream.ID, schema),
			&snap.Version, &snap.Data)
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

// one scans a row, and reports whether there was one.
func one(row pgx.Row, to ...any) (bool, error) {
	err := row.Scan(to...)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// LoadCheckpoint is [store.Checkpoints.LoadCheckpoint].
func (s *Store) LoadCheckpoint(ctx context.Context, name string) (c store.Checkpoint, err error) {
	if err := store.ValidateConsumer(name); err != nil {
		return store.Checkpoint{}, err
	}
	b := s.backend
	err = b.read(ctx, func(ctx context.Context, q querier) error {
		c, err = b.checkpoint(ctx, q, s.tenant, name)
		return err
	})
	return c, err
}

// ListCheckpoints is [store.Checkpoints.ListCheckpoints].
func (s *Store) ListCheckpoints(ctx context.Context, from string, limit int) (list []store.NamedCheckpoint, err error) {
	if err := store.ValidateListCheckpoints(from, limit); err != nil {
		return nil, err
	}
	b := s.backend
	err = b.read(ctx, func(ctx context.Context, q querier) error {
		rows, err := q.Query(ctx, b.sql.listCheckpoints, s.tenant, from, cmp.Or(limit, store.DefaultLimit))
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c store.NamedCheckpoint, err error) {
			return c, row.Scan(&c.Name, &c.Position, &c.EventID)
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

func (b *backend) checkpoint(ctx context.Context, q querier, tenant, name string) (c store.Checkpoint, err error) {
	_, err = one(q.QueryRow(ctx, b.sql.loadCheckpoint, tenant, name), &c.Position, &c.EventID)
	return c, err
}

// SaveCheckpoint is [store.Checkpoints.SaveCheckpoint]. It returns an
// *[store.InvalidError] if the position is above [store.MaxVersion].
func (s *Store) SaveCheckpoint(ctx context.Context, name string, from, to store.Checkpoint) error {
	b := s.backend
	return b.write(ctx, func(ctx context.Context, q querier) error {
		return b.saveCheckpoint(ctx, q, s.tenant, name, from, to)
	})
}

func (b *backend) saveCheckpoint(
	ctx context.Context, q querier, tenant, name string, from, to store.Checkpoint,
) error {
	if err := store.ValidateCheckpoint(name, from, to); err != nil {
		return err
	}
	if to.Position > store.MaxVersion {
		return invalid("to", "is above the largest position")
	}
	query, args := b.sql.newCheckpoint, []any{tenant, name, int64(to.Position), to.EventID}
	if from != (store.Checkpoint{}) {
		query, args = b.sql.moveCheckpoint, append(args, int64(from.Position), from.EventID) //nolint:gosec // less than to's
	}
	tag, err := q.Exec(ctx, query, args...)
	if err != nil || tag.RowsAffected() == 1 {
		return err
	}
	was, err := b.checkpoint(ctx, q, tenant, name)
	if err != nil {
		return err
	}
	return fmt.Errorf("postgres: checkpoint %q is at position %d (event %q), not %d (event %q): %w",
		name, was.Position, was.EventID, from.Position, from.EventID, store.ErrConflict)
}

// AcquireLease is [store.Leases.AcquireLease]. Leases use the clock of the server.
func (s *Store) AcquireLease(ctx context.Context, name, owner string, ttl time.Duration) (store.Lease, error) {
	if err := store.ValidateLease(name, owner, ttl); err != nil {
		return store.Lease{}, err
	}
	lease := store.Lease{Name: name, Owner: owner}
	b := s.backend
	err := b.write(ctx, func(ctx context.Context, q querier) error {
		for {
			ok, err := one(q.QueryRow(ctx, b.sql.acquireLease, s.tenant, name, owner, ttl), &lease.Fence, &lease.Until)
			if err != nil || ok {
				return err
			}
			held := &store.LeaseHeldError{Name: name}
			ok, err = one(q.QueryRow(ctx, b.sql.heldLease, s.tenant, name), &held.Owner, &held.Until)
			if err != nil {
				return err
			}
			if ok {
				held.Until = held.Until.UTC()
				return held
			}
		} // it has expired in the meantime
	})
	if err != nil {
		return store.Lease{}, err
	}
	lease.Until = lease.Until.UTC()
	return lease, nil
}

// ReleaseLease is [store.Leases.ReleaseLease].
func (s *Store) ReleaseLease(ctx context.Context, lease store.Lease) error {
	if err := store.ValidateLeaseOwner(lease.Name, lease.Owner); err != nil {
		return err
	}
	if lease.Fence > store.MaxVersion {
		return nil // no such lease was ever granted
	}
	b := s.backend
	return b.write(ctx, func(ctx context.Context, q querier) error {
		_, err := q.Exec(ctx, b.sql.releaseLease, s.tenant, lease.Name, lease.Owner, int64(lease.Fence)) //nolint:gosec // it fits
		return err
	})
}

// Holder is [store.Claims.Holder].
func (s *Store) Holder(ctx context.Context, key string) (holder store.Stream, ok bool, err error) {
	if err := store.ValidateKey(key); err != nil {
		return store.Stream{}, false, err
	}
	b := s.backend
	err = b.read(ctx, func(ctx context.Context, q querier) error {
		ok, err = one(q.QueryRow(ctx, b.sql.holder, s.tenant, key), &holder.Type, &holder.ID)
		return err
	})
	return holder, ok, err
}
