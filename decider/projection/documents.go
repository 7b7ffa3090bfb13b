package projection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/internal/exact"
	"github.com/evolvego/evolve/store"
)

// Documents returns a projection of view into documents of target: one state for each
// key, stored as JSON. key returns the key that an event belongs to, or false if it
// belongs to none. It must be pure. Read the states with [Load] and [Scan].
//
// Events are also parked by this key. An event without a key is parked by its stream. See
// [New] for the other rules, and for when Documents panics. It also panics if JSON would
// lose a part of S, such as an unexported field: it fills a state, writes it, reads it
// and compares the two.
func Documents[T Tx, S, E any](
	log store.Log, target Target[T], name string, source codec.Source[E],
	view decider.View[S, E], key func(E) (string, bool),
) *Projection[T, E] {
	return Keyed(log, target, name, source, Table[T, S, E]{View: view, Key: key})
}

// Table tells a [Keyed] projection how to fold events into one state for each key, and
// where to keep the states.
type Table[T Tx, S, E any] struct {
	// View folds the events. Its Evolve must not be nil.
	View decider.View[S, E]
	// Key returns the key that an event belongs to, or false if it belongs to none. It
	// must be pure, and not nil.
	Key func(E) (string, bool)
	// Load returns the existing states of keys. If Load and Save are nil, the states are
	// documents of the target, stored as JSON.
	Load func(ctx context.Context, tx T, keys []string) (map[string]S, error)
	// Save writes states, in the order of keys.
	Save func(ctx context.Context, tx T, keys []string, states map[string]S) error
}

// Keyed returns a projection that folds events into one state for each key. A transaction
// loads the states of all its keys once, folds its events in order, and saves each state
// once. Keyed panics when [New] does, and if a required part of table is missing.
func Keyed[T Tx, S, E any](
	log store.Log, target Target[T], name string, source codec.Source[E], table Table[T, S, E],
) *Projection[T, E] {
	if table.View.Evolve == nil || table.Key == nil || (table.Load == nil) != (table.Save == nil) {
		panic(fmt.Sprintf("projection %q: a table needs a View, a Key, and either both Load and Save or neither", name))
	}
	f := folder[T, S, E]{table: table}
	if table.Load == nil {
		var err error
		if f.json, err = exact.Of(reflect.TypeFor[S]()); err != nil {
			panic(fmt.Sprintf("projection %q: the state is a %v: %v: set Load and Save", name, reflect.TypeFor[S](), err))
		}
	}
	p := newProjection(log, target, name, source, f.apply)
	p.key = func(e Event[E]) string {
		if key, ok := table.Key(e.Event); ok {
			return key
		}
		return e.Recorded.Stream.String()
	}
	return p
}

// folder is the applier of a projection made by Keyed.
type folder[T Tx, S, E any] struct {
	table Table[T, S, E]
	json  *exact.Type // of S, if the states are documents
}

func (f folder[T, S, E]) apply(ctx context.Context, c *config, tx T, events []Event[E]) (failed int, err error) {
	i := 0
	var keys []string // in the order of the events
	of := make([]string, len(events))
	concerns := make([]bool, len(events))
	seen := make(map[string]struct{}, len(events))
	err = guard("key", func() error {
		for ; i < len(events); i++ {
			key, ok := f.table.Key(events[i].Event)
			if !ok {
				continue
			}
			if err := validateKey(key); err != nil {
				return err
			}
			of[i], concerns[i] = key, true
			if _, ok := seen[key]; !ok {
				seen[key] = struct{}{}
				keys = append(keys, key)
			}
		}
		return nil
	})
	if err != nil || len(keys) == 0 {
		return i, err
	}
	var states map[string]S
	if err := guard("load", func() (err error) { states, err = f.load(ctx, c, tx, keys); return err }); err != nil {
		return -1, err
	}
	if states == nil {
		states = make(map[string]S, len(keys))
	}
	i = 0
	err = guard("evolve", func() error {
		for ; i < len(events); i++ {
			if !concerns[i] {
				continue
			}
			state, ok := states[of[i]]
			if !ok {
				state = f.table.View.Start()
			}
			states[of[i]] = f.table.View.Evolve(state, events[i].Event)
		}
		return nil
	})
	if err != nil {
		return i, err
	}
	return -1, guard("save", func() error { return f.save(ctx, c, tx, keys, states) })
}

func (f folder[T, S, E]) load(ctx context.Context, c *config, tx T, keys []string) (map[string]S, error) {
	if f.table.Load != nil {
		return f.table.Load(ctx, tx, keys)
	}
	docs, err := tx.LoadDocuments(c.kindStates(), keys)
	if err != nil {
		return nil, err
	}
	states := make(map[string]S, len(keys))
	for _, d := range docs {
		if d.Data == nil {
			continue
		}
		if states[d.ID], err = decodeState[S](d); err != nil {
			return nil, err
		}
	}
	return states, nil
}

func (f folder[T, S, E]) save(ctx context.Context, c *config, tx T, keys []string, states map[string]S) error {
	if f.table.Save != nil {
		return f.table.Save(ctx, tx, keys, states)
	}
	docs := make([]store.Document, len(keys))
	for i, key := range keys {
		data, err := f.json.Marshal(states[key])
		if err != nil {
			return Permanent(fmt.Errorf("encode the state of %q: %w", key, err))
		}
		docs[i] = store.Document{Kind: c.kindStates(), ID: key, Data: data}
	}
	return tx.SaveDocuments(docs)
}

func decodeState[S any](d store.Document) (state S, err error) {
	if err := json.Unmarshal(d.Data, &state); err != nil {
		return state, fmt.Errorf("decode the state of %q: %w", d.ID, err)
	}
	return state, nil
}

// Load returns the state of key in a projection that [Documents] made with states of type
// S, or false if there is none. Call it as Load[Balance](ctx, balances, "acc-1").
func Load[S any, T Tx, E any](ctx context.Context, p *Projection[T, E], key string) (state S, ok bool, err error) {
	var docs []store.Document
	if d, has := p.target.(store.Documents); has {
		docs, err = d.LoadDocuments(ctx, p.kindStates(), []string{key})
	} else {
		err = p.target.Update(ctx, func(tx T) (err error) {
			docs, err = tx.LoadDocuments(p.kindStates(), []string{key})
			return err
		})
	}
	if err != nil || len(docs) == 0 || docs[0].Data == nil {
		return state, false, p.read(err)
	}
	state, err = decodeState[S](docs[0])
	return state, err == nil, p.read(err)
}

// Entry is a state with its key.
type Entry[S any] struct {
	Key   string
	State S
}

// Scan returns the states of the keys with from ≤ key < to, in byte order, from a
// projection that [Documents] made with states of type S. It returns at most limit
// states, where 0 means 1,000, and fewer only if there are no more. An empty to means no
// upper bound.
func Scan[S any, T Tx, E any](ctx context.Context, p *Projection[T, E], from, to string, limit int) ([]Entry[S], error) {
	var docs []store.Document
	var err error
	if d, has := p.target.(store.Documents); has {
		docs, err = d.ScanDocuments(ctx, p.kindStates(), from, to, limit)
	} else {
		err = p.target.Update(ctx, func(tx T) (err error) {
			docs, err = tx.ScanDocuments(p.kindStates(), from, to, limit)
			return err
		})
	}
	states := make([]Entry[S], len(docs))
	for i, d := range docs {
		states[i].Key = d.ID
		var decodeErr error
		states[i].State, decodeErr = decodeState[S](d)
		err = errors.Join(err, decodeErr)
	}
	if err != nil {
		return nil, p.read(err)
	}
	return states, nil
}

// read adds the name of the projection to an error of reading states.
func (p *Projection[T, E]) read(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("projection %s: read documents: %w", p, err)
}
