package storetest

import (
	"context"
	"iter"

	"github.com/evolvego/evolve/store"
)

// Store returns f with those of the capabilities [store.Log], [store.Snapshots]
// and [store.Checkpoints] that the wrapped store has, for code that looks for
// them by type assertion. A subscription that is Down ends with the error
// between two pages.
func (f *Faulty) Store() store.Store {
	log, hasLog := f.inner.(store.Log)
	snapshots, hasSnapshots := f.inner.(store.Snapshots)
	checkpoints, hasCheckpoints := f.inner.(store.Checkpoints)
	l, s, c := &faultyLog{f, log}, &faultySnapshots{f, snapshots}, &faultyCheckpoints{f, checkpoints}
	switch {
	case hasLog && hasSnapshots && hasCheckpoints:
		return struct {
			store.Store
			*faultyLog
			*faultySnapshots
			*faultyCheckpoints
		}{f, l, s, c}
	case hasLog && hasSnapshots:
		return struct {
			store.Store
			*faultyLog
			*faultySnapshots
		}{f, l, s}
	case hasLog && hasCheckpoints:
		return struct {
			store.Store
			*faultyLog
			*faultyCheckpoints
		}{f, l, c}
	case hasSnapshots && hasCheckpoints:
		return struct {
			store.Store
			*faultySnapshots
			*faultyCheckpoints
		}{f, s, c}
	case hasLog:
		return struct {
			store.Store
			*faultyLog
		}{f, l}
	case hasSnapshots:
		return struct {
			store.Store
			*faultySnapshots
		}{f, s}
	case hasCheckpoints:
		return struct {
			store.Store
			*faultyCheckpoints
		}{f, c}
	}
	return f
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
