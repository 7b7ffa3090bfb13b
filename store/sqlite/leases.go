package sqlite

import (
	"context"
	"time"

	"github.com/evolvego/evolve/store"
)

// acquireLease is an AcquireLease. If another owner holds the lease, refused says who.
type acquireLease struct {
	tenant string
	lease  store.Lease
	ttl    time.Duration
	now    time.Time

	refused error
}

func (*acquireLease) count() int { return 1 }

func (l *acquireLease) do(w *writer) error {
	t, err := w.tenant(l.tenant, true)
	if err != nil {
		return err
	}
	var owner string
	var fence uint64
	var until int64
	_, err = w.one("SELECT owner, fence, until FROM lease WHERE tenant = ? AND name = ?", func(s *stmt) {
		owner, fence, until = s.text(0), s.uint(1), s.int(2)
	}, number(t.id), text(l.lease.Name))
	if err != nil {
		return err
	}
	held := owner != "" && l.now.Before(time.UnixMicro(until))
	if held && owner != l.lease.Owner {
		l.refused = &store.LeaseHeldError{Name: l.lease.Name, Owner: owner, Until: time.UnixMicro(until).UTC()}
		return nil
	}
	l.lease.Fence = fence
	if !held {
		l.lease.Fence++
	}
	l.lease.Until = time.UnixMicro(l.now.Add(l.ttl + time.Microsecond - 1).UnixMicro()).UTC()
	return w.exec(`INSERT INTO lease (tenant, name, owner, fence, until) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET owner = excluded.owner, fence = excluded.fence, until = excluded.until`,
		number(t.id), text(l.lease.Name), text(l.lease.Owner), number(l.lease.Fence), number(l.lease.Until.UnixMicro()))
}

// releaseLease is a ReleaseLease.
type releaseLease struct {
	tenant string
	lease  store.Lease
}

func (*releaseLease) count() int { return 1 }

func (l *releaseLease) do(w *writer) error {
	return w.exec(`UPDATE lease SET owner = '' WHERE name = ? AND owner = ? AND fence = ?
AND tenant = (SELECT id FROM tenant WHERE name = ?)`, text(l.lease.Name), text(l.lease.Owner), number(l.lease.Fence), text(l.tenant))
}

// AcquireLease is [store.Leases.AcquireLease]. The store's clock is the clock of
// [WithClock], which is read before the call waits for its turn. Several processes
// share the clock of their machine. A lease lasts up to a microsecond longer than ttl.
func (s *Store) AcquireLease(ctx context.Context, name, owner string, ttl time.Duration) (store.Lease, error) {
	if err := store.ValidateLease(name, owner, ttl); err != nil {
		return store.Lease{}, err
	}
	l := &acquireLease{tenant: s.tenant, lease: store.Lease{Name: name, Owner: owner}, ttl: ttl, now: s.backend.config.now()}
	if err := s.backend.submit(ctx, l); err != nil {
		return store.Lease{}, err
	}
	if l.refused != nil {
		return store.Lease{}, l.refused
	}
	return l.lease, nil
}

// ReleaseLease is [store.Leases.ReleaseLease].
func (s *Store) ReleaseLease(ctx context.Context, lease store.Lease) error {
	if err := store.ValidateLeaseOwner(lease.Name, lease.Owner); err != nil {
		return err
	}
	if lease.Fence > store.MaxVersion {
		return nil // no lease has this fence
	}
	return s.backend.submit(ctx, &releaseLease{s.tenant, lease})
}
