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

// Snapshots says how to store states beside the streams, to shorten later loads. A
// snapshot is a cache: one that is missing, unreadable, of another schema or beyond the
// stream's head is not used and costs only the events that are read instead, and one that
// cannot be saved fails no command.
type Snapshots[S, E any] struct {
	// Store stores the snapshots. It must not be nil.
	Store store.Snapshots

	// Schema identifies the meaning of Evolve, such as "account-2". It must not be empty,
	// nor longer than 256 bytes. Change it whenever Evolve makes another state from the
	// same events: snapshots with another schema are ignored. Snapshots with another
	// shape of the state, which means the names, types and tags of its fields, are
	// ignored too, even if you forget to change Schema.
	Schema string

	// Every saves a snapshot whenever an append completes that many versions. It must not
	// be negative. The default is 100.
	Every int

	// When, if it is not nil, replaces Every. It is called before each append with the
	// outcome to expect, whose Position is not known yet. The outcome of a batch of a
	// [Group] is one outcome with the events of all its commands.
	When func(Outcome[S, E]) bool

	// Encode and Decode convert a state to bytes and back. Set both or none. The default
	// is JSON, which does not save a state that would change (text that is not UTF-8, an
	// int in an any).
	Encode func(state S) ([]byte, error)
	Decode func(data []byte) (S, error)
}

// snapshots is Snapshots with its defaults set.
type snapshots[S, E any] struct{ Snapshots[S, E] }

// WithSnapshots returns a copy of r that stores snapshots as s says. It panics if s
// breaks a rule, or if there is no Encode and JSON would lose a part of S, such as an
// unexported field: it fills a state, writes it, reads it and compares the two.
func (r *Runner[C, S, E]) WithSnapshots(s Snapshots[S, E]) *Runner[C, S, E] {
	if s.Store == nil || s.Schema == "" || s.Every < 0 || (s.Encode == nil) != (s.Decode == nil) {
		panic("runner: WithSnapshots: set Store and Schema, no negative Every, and Encode and Decode both or neither")
	}
	if err := store.ValidateSnapshotKey(store.Stream{Type: r.streamType, ID: "any"}, s.Schema); err != nil || len(s.Schema) > 256 {
		panic(fmt.Sprintf("runner: WithSnapshots: the schema %.300q is not 1 to 256 bytes of UTF-8 without NUL", s.Schema))
	}
	if s.Encode == nil {
		t, err := exact.Of(reflect.TypeFor[S]())
		if err != nil {
			panic(fmt.Sprintf("runner: WithSnapshots: the state is a %v: %v: set Encode and Decode", reflect.TypeFor[S](), err))
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

// every reports whether an outcome's events complete n versions, where 0 means 100.
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

// restore begins f with the stream's snapshot, if there is a readable one.
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

// savepoint is a snapshot to save once its events are recorded.
type savepoint struct {
	due  bool
	data []byte
	err  error // why there is no data
}

// savepoint returns the snapshot of the expected outcome, if one is due. A When or an
// Encode that panics costs only the snapshot.
func (r *Runner[C, S, E]) savepoint(out Outcome[S, E]) (p savepoint) {
	if r.snapshots == nil {
		return p
	}
	if p.err = guarded("Snapshots.When", func() { p.due = r.snapshots.When(out) }); p.err != nil {
		p.due = true // to report it
		return p
	}
	if p.due {
		if err := guarded("Snapshots.Encode", func() { p.data, p.err = r.snapshots.Encode(out.State) }); err != nil {
			p.err = err
		}
	}
	return p
}

// save saves p, whose version is version.
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
