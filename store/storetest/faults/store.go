package faults

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/capability"
)

// Store returns f with exactly the capabilities of the wrapped store, for code that
// finds them by type assertion. All capabilities fail at the rate of f, except
// [store.Tenants] and [io.Closer], which go straight to the wrapped store. A
// subscription that is Down ends with an error between two pages.
func (f *Faulty) Store() store.Store {
	set := capability.Of(f.inner)
	set.Store = f
	if set.Log != nil {
		set.Log = &faultyLog{f, set.Log}
	}
	if set.Snapshots != nil {
		set.Snapshots = &faultySnapshots{f, set.Snapshots}
	}
	if set.Checkpoints != nil {
		set.Checkpoints = &faultyCheckpoints{f, set.Checkpoints}
	}
	if set.Claims != nil {
		set.Claims = &faultyClaims{f, set.Claims}
	}
	if set.Leases != nil {
		set.Leases = &faultyLeases{f, set.Leases}
	}
	if set.Documents != nil {
		set.Documents = &faultyDocuments{f, set.Documents}
	}
	if set.Finder != nil {
		set.Finder = &faultyFinder{f, set.Finder}
	}
	return set.Compose()
}

type faultyLog struct {
	faults *Faulty
	log    store.Log
}

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

func (c *faultyCheckpoints) LoadCheckpoint(ctx context.Context, name string) (store.Checkpoint, error) {
	return reading(ctx, c.faults, func() (store.Checkpoint, error) {
		return c.checkpoints.LoadCheckpoint(ctx, name)
	})
}

func (c *faultyCheckpoints) ListCheckpoints(ctx context.Context, from string, limit int) ([]store.NamedCheckpoint, error) {
	return reading(ctx, c.faults, func() ([]store.NamedCheckpoint, error) {
		return c.checkpoints.ListCheckpoints(ctx, from, limit)
	})
}

func (c *faultyCheckpoints) SaveCheckpoint(ctx context.Context, name string, from, to store.Checkpoint) error {
	return c.faults.saving(ctx, func() error { return c.checkpoints.SaveCheckpoint(ctx, name, from, to) })
}

type faultyClaims struct {
	faults *Faulty
	claims store.Claims
}

func (c *faultyClaims) AppendClaiming(
	ctx context.Context, s store.Stream, e store.Expected, events []store.Event, claims []store.Claim,
) (store.Appended, error) {
	claims = slices.Clone(claims) // the append may happen later
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

type faultyDocuments struct {
	faults    *Faulty
	documents store.Documents
}

func (d *faultyDocuments) LoadDocuments(ctx context.Context, kind string, ids []string) ([]store.Document, error) {
	return reading(ctx, d.faults, func() ([]store.Document, error) { return d.documents.LoadDocuments(ctx, kind, ids) })
}

func (d *faultyDocuments) ScanDocuments(ctx context.Context, kind, from, to string, limit int) ([]store.Document, error) {
	return reading(ctx, d.faults, func() ([]store.Document, error) {
		return d.documents.ScanDocuments(ctx, kind, from, to, limit)
	})
}

type faultyFinder struct {
	faults *Faulty
	finder store.Finder
}

func (f *faultyFinder) ListStreams(ctx context.Context, o store.StreamsOptions) (store.StreamsPage, error) {
	return reading(ctx, f.faults, func() (store.StreamsPage, error) { return f.finder.ListStreams(ctx, o) })
}

func (f *faultyFinder) StreamTypes(ctx context.Context) ([]string, error) {
	return reading(ctx, f.faults, func() ([]string, error) { return f.finder.StreamTypes(ctx) })
}

func (f *faultyFinder) FindEvent(ctx context.Context, id string) (event store.Recorded, found bool, err error) {
	event, err = reading(ctx, f.faults, func() (got store.Recorded, err error) {
		got, found, err = f.finder.FindEvent(ctx, id)
		return got, err
	})
	return event, found && err == nil, err
}
