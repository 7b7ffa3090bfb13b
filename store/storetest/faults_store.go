package storetest

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/evolvego/evolve/store"
)

// Store returns f with those of the capabilities [store.Log], [store.Snapshots],
// [store.Checkpoints], [store.Claims] and [store.Leases] that the wrapped store
// has, for code that looks for them by type assertion. A subscription that is
// Down ends with the error between two pages.
func (f *Faulty) Store() store.Store {
	p := parts{
		f, &faultyLog{faults: f}, &faultySnapshots{faults: f}, &faultyCheckpoints{faults: f},
		&faultyClaims{faults: f}, &faultyLeases{faults: f},
	}
	has := find(f.inner, &p.log, hasTheLog) |
		find(f.inner, &p.snapshots, hasTheSnapshots) |
		find(f.inner, &p.checkpoints, hasTheCheckpoints) |
		find(f.inner, &p.claims, hasTheClaims) |
		find(f.inner, &p.leases, hasTheLeases)
	return p.some(has)
}

// find sets to to st and returns bit, if st is a T.
func find[T any](st store.Store, to *T, bit int) int {
	found, ok := st.(T)
	if !ok {
		return 0
	}
	*to = found
	return bit
}

type faultyLog struct {
	faults *Faulty
	log    store.Log
}

var _ store.Log = (*faultyLog)(nil)

func (l *faultyLog) ReadAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	return reading(ctx, l.faults, func() (store.Page, error) { return l.log.ReadAll(ctx, o) })
}

func (l *faultyLog) Head(ctx context.Context) (uint64, error) {
	return reading(ctx, l.faults, func() (uint64, error) { return l.log.Head(ctx) })
}

func (l *faultyLog) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) {
		for page, err := range l.log.Subscribe(ctx, o) {
			if err == nil {
				page, err = reading(ctx, l.faults, func() (store.Page, error) { return page, nil })
			}
			if !yield(page, err) || err != nil {
				return
			}
		}
	}
}

type faultySnapshots struct {
	faults    *Faulty
	snapshots store.Snapshots
}

var _ store.Snapshots = (*faultySnapshots)(nil)

func (s *faultySnapshots) SaveSnapshot(ctx context.Context, snap store.Snapshot) error {
	return s.faults.saving(ctx, func() error { return s.snapshots.SaveSnapshot(ctx, snap) })
}

func (s *faultySnapshots) LoadSnapshot(
	ctx context.Context, stream store.Stream, schema string,
) (snap store.Snapshot, ok bool, err error) {
	snap, err = reading(ctx, s.faults, func() (got store.Snapshot, err error) {
		got, ok, err = s.snapshots.LoadSnapshot(ctx, stream, schema)
		return got, err
	})
	return snap, ok && err == nil, err
}

type faultyCheckpoints struct {
	faults      *Faulty
	checkpoints store.Checkpoints
}

var _ store.Checkpoints = (*faultyCheckpoints)(nil)

func (c *faultyCheckpoints) LoadCheckpoint(ctx context.Context, name string) (store.Checkpoint, error) {
	return reading(ctx, c.faults, func() (store.Checkpoint, error) {
		return c.checkpoints.LoadCheckpoint(ctx, name)
	})
}

func (c *faultyCheckpoints) SaveCheckpoint(ctx context.Context, name string, from, to store.Checkpoint) error {
	return c.faults.saving(ctx, func() error { return c.checkpoints.SaveCheckpoint(ctx, name, from, to) })
}

type faultyClaims struct {
	faults *Faulty
	claims store.Claims
}

var _ store.Claims = (*faultyClaims)(nil)

func (c *faultyClaims) AppendClaiming(
	ctx context.Context, s store.Stream, e store.Expected, events []store.Event, claims []store.Claim,
) (store.Appended, error) {
	claims = slices.Clone(claims) // it may be late
	return c.faults.append(ctx, s, events, func(ctx context.Context, events []store.Event) (store.Appended, error) {
		return c.claims.AppendClaiming(ctx, s, e, events, claims)
	})
}

func (c *faultyClaims) Holder(ctx context.Context, key string) (s store.Stream, ok bool, err error) {
	s, err = reading(ctx, c.faults, func() (got store.Stream, err error) {
		got, ok, err = c.claims.Holder(ctx, key)
		return got, err
	})
	return s, ok && err == nil, err
}

type faultyLeases struct {
	faults *Faulty
	leases store.Leases
}

var _ store.Leases = (*faultyLeases)(nil)

func (l *faultyLeases) AcquireLease(ctx context.Context, name, owner string, ttl time.Duration) (store.Lease, error) {
	var lease store.Lease
	err := l.faults.saving(ctx, func() (err error) {
		lease, err = l.leases.AcquireLease(ctx, name, owner, ttl)
		return err
	})
	if err != nil {
		return store.Lease{}, err
	}
	return lease, nil
}

func (l *faultyLeases) ReleaseLease(ctx context.Context, lease store.Lease) error {
	return l.faults.saving(ctx, func() error { return l.leases.ReleaseLease(ctx, lease) })
}
