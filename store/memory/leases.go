package memory

import (
	"context"
	"sync"
	"time"

	"github.com/evolvego/evolve/store"
)

// leases holds the last lease of each name. A released lease stays here without an
// owner, so that no fence is used twice.
type leases struct {
	mu     sync.Mutex
	byName map[string]store.Lease // guarded by mu
}

// acquire is AcquireLease at the time now.
func (l *leases) acquire(name, owner string, ttl time.Duration, now time.Time) (store.Lease, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.byName[name]
	held := last.Owner != "" && now.Before(last.Until)
	if held && last.Owner != owner {
		return store.Lease{}, &store.LeaseHeldError{Name: name, Owner: last.Owner, Until: wall(last.Until)}
	}
	lease := store.Lease{Name: name, Owner: owner, Fence: last.Fence, Until: now.Add(ttl)}
	if !held {
		lease.Fence++
	}
	if l.byName == nil {
		l.byName = make(map[string]store.Lease)
	}
	l.byName[name] = lease
	lease.Until = wall(lease.Until)
	return lease, nil
}

// wall returns t without its monotonic clock reading, for callers. The store itself
// keeps that reading, because setting the system clock does not change it.
func wall(t time.Time) time.Time { return t.Round(0).UTC() }

func (l *leases) release(lease store.Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.byName[lease.Name]
	if last.Owner == lease.Owner && last.Fence == lease.Fence {
		last.Owner = ""
		l.byName[lease.Name] = last
	}
}

// AcquireLease is [store.Leases.AcquireLease]. The store's clock is the clock of
// [WithClock].
func (m *Store) AcquireLease(ctx context.Context, name, owner string, ttl time.Duration) (store.Lease, error) {
	if err := store.ValidateLease(name, owner, ttl); err != nil {
		return store.Lease{}, err
	}
	if err := m.ready(ctx); err != nil {
		return store.Lease{}, err
	}
	return m.leases.acquire(name, owner, ttl, m.backend.now())
}

// ReleaseLease is [store.Leases.ReleaseLease].
func (m *Store) ReleaseLease(ctx context.Context, lease store.Lease) error {
	if err := store.ValidateLeaseOwner(lease.Name, lease.Owner); err != nil {
		return err
	}
	if err := m.ready(ctx); err != nil {
		return err
	}
	m.leases.release(lease)
	return nil
}
