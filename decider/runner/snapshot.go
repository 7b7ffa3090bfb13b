package runner

import (
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/evolvego/evolve/store"
)

// Snapshots says how states are kept beside the streams, to shorten the next load.
// A snapshot is a cache: one that is missing, unreadable, of another schema or
// beyond the stream's head is not used and costs nothing but the events that are
// read in its place, and one that cannot be saved fails no command.
type Snapshots[S, E any] struct {
	// Store keeps them. It must not be nil.
	Store store.Snapshots

	// Schema names the shape of the state and the meaning of Evolve, such as
	// "account-2". It must not be empty. Change it whenever either changes:
	// snapshots of another schema are not seen.
	Schema string

	// Every saves a snapshot whenever an append completes that many versions.
	// It must not be negative; 0 is 100.
	Every int

	// When, if it is not nil, is asked in place of Every, after each append.
	When func(Outcome[S, E]) bool

	// Encode and Decode turn a state into bytes and back. Both or none are
	// nil; nil is JSON.
	Encode func(state S) ([]byte, error)
	Decode func(data []byte) (S, error)
}

// snapshots is Snapshots with its defaults set.
type snapshots[S, E any] struct{ Snapshots[S, E] }

// WithSnapshots returns a copy of r that keeps snapshots as s says. It panics if s
// breaks a rule, or if there is no Encode and JSON would lose a part of S, such as
// an unexported field.
func (r *Runner[C, S, E]) WithSnapshots(s Snapshots[S, E]) *Runner[C, S, E] {
	if s.Store == nil || s.Schema == "" || s.Every < 0 || (s.Encode == nil) != (s.Decode == nil) {
		panic("runner: WithSnapshots: needs Store and Schema, Every not negative, and Encode and Decode together")
	}
	if s.Encode == nil {
		if lost, ok := jsonKeeps(reflect.TypeFor[S](), "state", nil); !ok {
			panic(fmt.Sprintf("runner: WithSnapshots: JSON cannot keep all of a %v: %s: give Encode and Decode",
				reflect.TypeFor[S](), lost))
		}
		s.Encode, s.Decode = encodeJSON[S], decodeJSON[S]
	}
	if s.When == nil {
		s.When = every[S, E](s.Every)
	}
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

func encodeJSON[S any](state S) ([]byte, error) { return json.Marshal(state) }

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
		state, err = r.snapshots.Decode(snap.Data)
	}
	if err != nil {
		r.notify(ctx, Notice{
			Kind: SnapshotMissed, Stream: f.stream, Version: snap.Version, Attempt: f.attempt,
			Err: fmt.Errorf("load snapshot of %s: %w", f.stream, err),
		})
		return
	}
	f.at, f.from = Loaded[S]{State: state, Version: snap.Version}, snap.Version
}

// snap saves a snapshot of out if it is time for one.
func (r *Runner[C, S, E]) snap(ctx context.Context, s store.Stream, out Outcome[S, E]) {
	if r.snapshots == nil || !r.snapshots.When(out) {
		return
	}
	began := r.now()
	data, err := r.snapshots.Encode(out.State)
	if err == nil {
		err = r.snapshots.Store.SaveSnapshot(ctx, store.Snapshot{
			Stream: s, Schema: r.snapshots.Schema, Version: out.Version, Data: data,
		})
	}
	if err != nil {
		err = fmt.Errorf("save snapshot of %s: %w", s, err)
	}
	if r.observer != nil {
		r.notify(ctx, Notice{
			Kind: SnapshotSaved, Stream: s, Version: out.Version, Attempt: out.Attempts,
			Took: r.clock().Sub(began), Err: err,
		})
	}
}

// jsonKeeps reports whether a value of type t comes back from JSON as it was, as
// far as its type tells, and what would not if it does not. Types on the way to t
// are in within.
func jsonKeeps(t reflect.Type, path string, within []reflect.Type) (lost string, ok bool) {
	if marshals(t) {
		return "", true
	}
	if slices.Contains(within, t) {
		return "", true
	}
	within = append(slices.Clip(within), t)
	switch t.Kind() { //nolint:exhaustive // the others are kept
	case reflect.Interface, reflect.Func, reflect.Chan, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return fmt.Sprintf("%s is a %s", path, t.Kind()), false
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return jsonKeeps(t.Elem(), path, within)
	case reflect.Map:
		return jsonKeepsMap(t, path, within)
	case reflect.Struct:
		for i := range t.NumField() {
			field := t.Field(i)
			if !field.IsExported() || field.Tag.Get("json") == "-" {
				return fmt.Sprintf("%s.%s is left out", path, field.Name), false
			}
			if lost, ok := jsonKeeps(field.Type, path+"."+field.Name, within); !ok {
				return lost, false
			}
		}
	}
	return "", true
}

// jsonKeepsMap is jsonKeeps for a map.
func jsonKeepsMap(t reflect.Type, path string, within []reflect.Type) (lost string, ok bool) {
	switch t.Key().Kind() { //nolint:exhaustive // no other kind can be a key
	case reflect.String, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
	default:
		if !marshals(t.Key()) {
			return fmt.Sprintf("%s has keys of kind %s", path, t.Key().Kind()), false
		}
	}
	return jsonKeeps(t.Elem(), path+"[…]", within)
}

// marshals reports whether t has its own form in JSON, in both directions.
func marshals(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[json.Marshaler]()) && p.Implements(reflect.TypeFor[json.Unmarshaler]()) ||
		p.Implements(reflect.TypeFor[encoding.TextMarshaler]()) && p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}
