package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/evolvego/evolve/decider/internal/exact"
	"github.com/evolvego/evolve/store"
)

// Snapshots says how states are kept beside the streams, to shorten the next load.
// A snapshot is a cache: one that is missing, unreadable, of another schema or
// beyond the stream's head is not used and costs nothing but the events that are
// read in its place, and one that cannot be saved fails no command.
type Snapshots[S, E any] struct {
	// Store keeps them. It must not be nil.
	Store store.Snapshots

	// Schema names the meaning of Evolve, such as "account-2". It must not be
	// empty, nor longer than 256 bytes. Change it whenever Evolve makes another
	// state of the same events: snapshots of another schema are not seen. The
	// shape of the state, the names, types and tags of its fields, is part of
	// what snapshots are kept under, so that those of another shape are not seen
	// either, even if Schema was forgotten.
	Schema string

	// Every saves a snapshot whenever an append completes that many versions.
	// It must not be negative; 0 is 100.
	Every int

	// When, if it is not nil, is asked in place of Every, before each append, of
	// what its outcome will be: Position is not known yet. That of a batch of a
	// [Group] is one outcome with the events of all its commands.
	When func(Outcome[S, E]) bool

	// Encode and Decode turn a state into bytes and back. Both or none are
	// nil; nil is JSON, with which a state that would not come back as it was
	// (text that is not UTF-8, an int in an any) is not saved.
	Encode func(state S) ([]byte, error)
	Decode func(data []byte) (S, error)
}

// snapshots is Snapshots with its defaults set.
type snapshots[S, E any] struct{ Snapshots[S, E] }

// WithSnapshots returns a copy of r that keeps snapshots as s says. It panics if s
// breaks a rule, or if there is no Encode and JSON would lose a part of S, such as
// an unexported field: a state is filled, written, read and compared.
func (r *Runner[C, S, E]) WithSnapshots(s Snapshots[S, E]) *Runner[C, S, E] {
	if s.Store == nil || s.Schema == "" || s.Every < 0 || (s.Encode == nil) != (s.Decode == nil) {
		panic("runner: WithSnapshots: needs Store and Schema, Every not negative, and Encode and Decode together")
	}
	if err := store.ValidateSnapshotKey(store.Stream{Type: r.streamType, ID: "any"}, s.Schema); err != nil || len(s.Schema) > 256 {
		panic(fmt.Sprintf("runner: WithSnapshots: the schema %.300q is not 1 to 256 bytes of UTF-8 without NUL", s.Schema))
	}
	if s.Encode == nil {
		t, err := exact.Of(reflect.TypeFor[S]())
		if err != nil {
			panic(fmt.Sprintf("runner: WithSnapshots: the state is a %v: %v: give Encode and Decode", reflect.TypeFor[S](), err))
		}
		s.Encode, s.Decode = func(state S) ([]byte, error) { return t.Marshal(state) }, decodeJSON[S]
	}
	if s.When == nil {
		s.When = every[S, E](s.Every)
	}
	s.Schema += "#" + shapeOf(reflect.TypeFor[S]())
	c := *r
	c.snapshots = &snapshots[S, E]{s}
	return &c
}

// every reports whether an outcome's events complete n versions; 0 is 100.
func every[S, E any](n int) func(Outcome[S, E]) bool {
	step := uint64(n) //nolint:gosec // not negative
	if step == 0 {
		step = 100
	}
	return func(o Outcome[S, E]) bool {
		return o.Version/step > (o.Version-uint64(len(o.Events)))/step
	}
}

func decodeJSON[S any](data []byte) (S, error) {
	var state S
	err := json.Unmarshal(data, &state)
	return state, err
}

// restore begins f with the stream's snapshot, if there is one that can be read.
func (r *Runner[C, S, E]) restore(ctx context.Context, f *flight[S]) {
	if r.snapshots == nil {
		return
	}
	snap, ok, err := r.snapshots.Store.LoadSnapshot(ctx, f.stream, r.snapshots.Schema)
	if err == nil && !ok || err == nil && snap.Schema != r.snapshots.Schema {
		return
	}
	var state S
	if err == nil {
		if panicked := guarded("Snapshots.Decode", func() { state, err = r.snapshots.Decode(snap.Data) }); panicked != nil {
			err = panicked
		}
	}
	if err != nil {
		err = fmt.Errorf("load snapshot of %s: %w", f.stream, err)
		n := f.notice(SnapshotMissed, snap.Version, 0, err)
		r.notify(ctx, &n, time.Time{})
		return
	}
	f.at, f.from, f.began = Loaded[S]{State: state, Version: snap.Version}, snap.Version, FromSnapshot
}

// savepoint is a snapshot that is to be saved once its events are recorded.
type savepoint struct {
	due  bool
	data []byte
	err  error // why there is no data
}

// savepoint returns the snapshot of what out will be, if it is time for one. A When
// or an Encode that panics costs the snapshot only.
func (r *Runner[C, S, E]) savepoint(out Outcome[S, E]) (p savepoint) {
	if r.snapshots == nil {
		return p
	}
	if p.err = guarded("Snapshots.When", func() { p.due = r.snapshots.When(out) }); p.err != nil {
		p.due = true // to tell of it
		return p
	}
	if p.due {
		if err := guarded("Snapshots.Encode", func() { p.data, p.err = r.snapshots.Encode(out.State) }); err != nil {
			p.err = err
		}
	}
	return p
}

// save saves p, which is of version.
func (r *Runner[C, S, E]) save(ctx context.Context, f *flight[S], p *savepoint, version uint64) {
	if !p.due {
		return
	}
	began, err := time.Time{}, p.err
	panicked := guarded("Snapshots.Store", func() {
		if began = r.now(); err == nil {
			err = r.snapshots.Store.SaveSnapshot(ctx, store.Snapshot{
				Stream: f.stream, Schema: r.snapshots.Schema, Version: version, Data: p.data,
			})
		}
	})
	if panicked != nil {
		err = panicked
	}
	if err != nil {
		err = fmt.Errorf("save snapshot of %s: %w", f.stream, err)
	}
	n := f.notice(SnapshotSaved, version, 0, err)
	r.notify(ctx, &n, began)
}
