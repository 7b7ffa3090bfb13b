package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/faults"
)

// Append is a list of events that are appended to a stream together.
type Append struct {
	Stream store.Stream
	Events []store.Event
}

// Given returns an Append of events to a stream. It encodes them with c, and fails the
// test if that is not possible.
func Given[E any](tb testing.TB, c codec.Codec[E], stream store.Stream, events ...E) Append {
	tb.Helper()
	a := Append{Stream: stream}
	for _, event := range events {
		e, err := c.Encode(event)
		if err != nil {
			tb.Fatalf("encode %v: %v", event, err)
		}
		e.ID = store.NewID()
		a.Events = append(a.Events, e)
	}
	return a
}

// Subject is a projection that [Fold] checks.
type Subject[T projection.Tx, E any] struct {
	// New returns the projection from the log and into the target of a World.
	New func(w World[T]) *projection.Projection[T, E]
	// Read returns the contents of the read model, to be compared by reflect.DeepEqual.
	Read func(ctx context.Context, w World[T]) (any, error)
	// Want returns the contents that the read model should have after a history, such as
	// the fold of a view. If Want is nil, Fold compares with the result of applying one
	// event at a time.
	Want func(history []Append) any
}

// Fold checks that the read model of a projection depends only on the history: not on how
// the log is cut into transactions, on crashes and lost answers, on restarts, or on a
// second owner. It repeats history in new Worlds from open, with different faults each
// time, and compares the results. Only the first time, which is without faults, notifies
// the observer of the projection. With -short it does so 5 times, otherwise 25 times.
//
// It finds, for example, a handler that keeps something between two calls, that reads the
// clock, or that writes outside its transaction.
func Fold[T projection.Tx, E any](
	t *testing.T, open func(t *testing.T) World[T], subject Subject[T, E], history []Append,
) {
	t.Helper()
	trials := 25
	if testing.Short() {
		trials = 5
	}
	var want any
	known := subject.Want != nil
	if known {
		want = subject.Want(history)
	}
	for trial := range trials + 1 {
		seed := uint64(trial)
		inWorld(t, open, func(t *testing.T, w World[T]) {
			t.Helper()
			got := folded(t, w, subject, history, seed)
			switch {
			case !known:
				want, known = got, true
			case !reflect.DeepEqual(got, want):
				t.Errorf("the read model differs from what the history leads to, with the faults of seed %d:\n got %+v\nwant %+v", seed, got, want)
			}
		})
		if t.Failed() {
			return
		}
	}
}

// inWorld calls do with a new World, in virtual time if the World is virtual.
func inWorld[T projection.Tx](t *testing.T, open func(t *testing.T) World[T], do func(t *testing.T, w World[T])) {
	t.Helper()
	w := open(t)
	if !w.Virtual {
		do(t, w)
		return
	}
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		do(t, open(t))
	})
}

// folded returns the read model of history after the faults of a seed. Seed 0 means no
// faults, and one event at a time.
func folded[T projection.Tx, E any](t *testing.T, w World[T], subject Subject[T, E], history []Append, seed uint64) any {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	random := rand.New(rand.NewPCG(seed, 4))
	rate := faults.Rate{Down: 0.1, Undone: 0.1, Lost: 0.1}
	if seed == 0 {
		rate = faults.Rate{}
	}
	flaky := w
	flaky.Target = faults.WrapTarget(faults.Wrap(nil, seed, rate), w.Target)
	owner := func() *projection.Projection[T, E] {
		p := subject.New(flaky).WithoutLease().WithRetry(quick())
		if seed == 0 {
			return p.WithBatch(1, time.Hour)
		}
		return p.WithBatch(1+random.IntN(9), time.Hour).WithObserver(nil) // nobody needs to know of these faults
	}
	for len(history) > 0 {
		n := 1
		if seed > 0 {
			n = 1 + random.IntN(len(history))
		}
		var last store.Appended
		for _, a := range history[:n] {
			var err error
			if last, err = w.Store.Append(ctx, a.Stream, store.Any, a.Events); err != nil {
				t.Fatalf("append to %s: %v", a.Stream, err)
			}
		}
		history = history[n:]
		owners := []*projection.Projection[T, E]{owner()}
		if seed > 0 && random.IntN(2) == 0 {
			owners = append(owners, owner())
		}
		runAll(ctx, t, owners, last.Position)
	}
	got, err := subject.Read(ctx, w)
	if err != nil {
		t.Fatalf("read the read model: %v", err)
	}
	return got
}

// runAll runs owners at once until each has reached position.
func runAll[T projection.Tx, E any](ctx context.Context, t *testing.T, owners []*projection.Projection[T, E], position uint64) {
	t.Helper()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, len(owners))
	for _, p := range owners {
		go func() { done <- p.Run(ctx) }()
	}
	for _, p := range owners {
		waiting, cancel := context.WithTimeout(ctx, 20*time.Second)
		err := p.WaitFor(waiting, position)
		cancel()
		if err != nil {
			t.Fatalf("wait for position %d: %v", position, err)
		}
	}
	stop()
	for range owners {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatalf("Run = %v", err)
		}
	}
}

// Documents returns a Read for projections into documents with states of type S: a map
// from keys to states.
func Documents[S any, T projection.Tx, E any](
	build func(w World[T]) *projection.Projection[T, E],
) func(ctx context.Context, w World[T]) (any, error) {
	return func(ctx context.Context, w World[T]) (any, error) {
		p := build(w)
		states := map[string]S{}
		for from := ""; ; {
			page, err := projection.Scan[S](ctx, p, from, "", store.DefaultLimit)
			if err != nil {
				return nil, fmt.Errorf("scan: %w", err)
			}
			for _, e := range page {
				states[e.Key] = e.State
				from = e.Key + "\x01"
			}
			if len(page) < store.DefaultLimit {
				return states, nil
			}
		}
	}
}
