package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
)

// errBroken is an error of a handler. It matches errors of stores and projections, but
// says nothing about the projection that the handler belongs to.
var errBroken = fmt.Errorf("the handler is broken: %w, %w, %w, %w, %w", store.ErrInvalid, store.ErrClosed, store.ErrConflict,
	projection.ErrFenced, store.ErrLogDiverged)

// broken fails for all events of keys.
func broken(err error, keys ...string) func(projection.Event[fact]) error {
	return func(e projection.Event[fact]) error {
		if slices.Contains(keys, e.Event.Key) {
			return err
		}
		return nil
	}
}

// before applies a batch with an event that fails in the middle.
func (f *fixture[T]) before() {
	for range 3 {
		f.append("a", "Happened", "Happened")
	}
	bad := f.append("bad", "Doubled")
	f.append("a", "Happened")
	f.failing(func(e projection.Event[fact]) error {
		if e.Recorded.Position == bad.Position && e.Index == 1 {
			return errBroken
		}
		return nil
	})
	p := f.projection("before")
	f.start(p)
	f.until("it retries, and the events before are committed", func() bool {
		is := p.Progress()
		return is.State == projection.Retrying && is.Position == bad.Position-1
	})
	if at := f.consistent("before"); at.Position != bad.Position-1 {
		f.Fatalf("the checkpoint is %d while the event at %d fails, want the one before", at.Position, bad.Position)
	}
	var failed *projection.EventError
	if cause := p.Progress().Cause; !errors.As(cause, &failed) || failed.Position != bad.Position || !errors.Is(cause, errBroken) {
		f.Fatalf("the cause is %v, want an *EventError of position %d", cause, bad.Position)
	}
}

// blocks runs a handler that fails for a while.
func (f *fixture[T]) blocks() {
	first := f.append("a", "Happened")
	f.failing(broken(errBroken, "b"))
	bad := f.append("b", "Happened")
	last := f.append("a", "Happened")
	p := f.projection("blocks")
	f.start(p)
	f.wait(p, first.Position)
	f.until("it has tried often", func() bool { return p.Progress().Attempts > 8 })
	is := p.Progress()
	if is.State != projection.Retrying || !errors.Is(is.Cause, errBroken) || is.Since.IsZero() || is.Position != bad.Position-1 {
		f.Fatalf("while the event at %d fails the progress is %+v, want that it retries because of it, at the position before", bad.Position, is)
	}
	f.consistent("blocks")
	f.failing(nil)
	f.wait(p, last.Position)
	f.until("it is live", func() bool { return p.Progress().State == projection.Live })
	if is := p.Progress(); is.Cause != nil || is.Attempts != 0 {
		f.Fatalf("when the event has succeeded the progress is %+v, want no cause and no attempts", is)
	}
	f.consistent("blocks")
}

// parks parks one of several keys.
func (f *fixture[T]) parks() {
	f.failing(broken(projection.Permanent(errBroken), "b"))
	f.append("b", "Ignored")
	bad := f.append("b", "Happened")
	last := f.history(40)
	p := f.projection("parks").WithParking(3)
	stop := f.start(p)
	f.wait(p, last)
	f.failing(nil) // what is parked stays parked
	last = f.history(40)
	f.wait(p, last, "Thing/a")
	f.parkedOnly("parks", "Thing/b", bad.Position)
	if err := p.WaitFor(f.ctx, last, "Thing/a", "Thing/b"); !errors.Is(err, projection.ErrParked) {
		f.Fatalf("WaitFor with a parked key = %v, want ErrParked", err)
	}
	_ = stop()
	q := f.projection("parks").WithParking(3) // and after a restart
	f.reach(q, f.history(40))
	f.parkedOnly("parks", "Thing/b", bad.Position)
	if n := q.Progress().Parked; n != 1 {
		f.Fatalf("%d keys are parked by the progress, want 1", n)
	}
}

// parkedOnly checks that only key is parked, because its event at position failed.
func (f *fixture[T]) parkedOnly(name, key string, position uint64) {
	f.Helper()
	parked, err := f.projection(name).Parked(f.ctx)
	if err != nil || len(parked) != 1 || parked[0].Key != key || parked[0].Position != position {
		f.Fatalf("Parked = %+v, %v; want %s at %d", parked, err, key, position)
	}
	if parked[0].Cause == "" || parked[0].Since.IsZero() || parked[0].Attempts < 1 {
		f.Fatalf("Parked says %+v, want also the cause, since when, and the attempts", parked[0])
	}
	f.consistentBut(name, map[string]uint64{key[len("Thing/"):]: position})
}

// unparks unparks a key while the owner and another process record events of it.
func (f *fixture[T]) unparks() {
	f.failing(broken(projection.Permanent(errBroken), "b"))
	p := f.projection("unparks").WithParking(3).WithBatch(7, time.Hour)
	f.start(p)
	elsewhere := f.projection("unparks").WithParking(3)
	for _, unparking := range []*projection.Projection[T, fact]{p, elsewhere, p} {
		f.failing(broken(projection.Permanent(errBroken), "b"))
		f.append("b", slices.Repeat([]string{"Happened"}, 300)...)
		f.wait(p, f.history(40))
		f.failing(nil)
		recorded := make(chan uint64, 1)
		go func() {
			defer close(recorded)
			recorded <- f.history(40)
		}()
		err := unparking.Unpark(f.ctx, "Thing/b")
		last := <-recorded // also if that has failed
		if err != nil {
			f.Fatalf("Unpark while more events of the key are recorded = %v, want success", err)
		}
		f.wait(p, last)
		for { // events recorded after the last check of Unpark may be parked again
			parked, err := p.Parked(f.ctx)
			if err != nil {
				f.Fatalf("Parked = %v", err)
			}
			if len(parked) == 0 {
				break
			}
			f.unpark(unparking, "Thing/b")
		}
		f.wait(p, f.append("b", "Happened").Position, "Thing/b")
		f.consistent("unparks")
		f.unpark(unparking, "Thing/b") // it is free
	}
}

// failsAgain unparks a key, some of whose events fail again.
func (f *fixture[T]) failsAgain() {
	f.failing(broken(projection.Permanent(errBroken), "b"))
	p := f.projection("again").WithParking(3)
	stop := f.start(p)
	var bad uint64
	for i := range 9 {
		if a := f.append("b", "Happened"); i == 5 {
			bad = a.Position
		}
	}
	f.wait(p, f.append("a", "Happened").Position)
	_ = stop()
	f.failing(func(e projection.Event[fact]) error {
		if e.Recorded.Position == bad {
			return errBroken
		}
		return nil
	})
	var failed *projection.EventError
	if err := p.Unpark(f.ctx, "Thing/b"); !errors.As(err, &failed) || failed.Position != bad {
		f.Fatalf("Unpark = %v, want an *EventError of position %d", err, bad)
	}
	f.parkedOnly("again", "Thing/b", bad)
	f.reach(f.projection("again").WithParking(3), f.append("b", "Happened").Position)
	f.parkedOnly("again", "Thing/b", bad)
	f.failing(nil)
	f.unpark(p, "Thing/b")
	f.consistent("again")
}

// parksFew lets more keys fail than may be parked.
func (f *fixture[T]) parksFew() {
	f.failing(broken(projection.Permanent(errBroken), "a", "b", "c"))
	for _, key := range []string{"a", "b", "a", "d", "b"} {
		f.append(key, "Happened")
	}
	third := f.append("c", "Happened")
	last := f.append("d", "Happened")
	p := f.projection("few").WithParking(2)
	f.start(p)
	f.until("it retries the third", func() bool { is := p.Progress(); return is.State == projection.Retrying && is.Attempts > 3 })
	f.parked(p, 2)
	if is := p.Progress(); is.Position != third.Position-1 {
		f.Fatalf("the position is %d while the event at %d blocks, want the one before", is.Position, third.Position)
	}
	f.failing(nil)
	f.wait(p, last.Position)
}

// permanent distinguishes permanent failures from temporary ones.
func (f *fixture[T]) permanent() {
	text := f.thing("Happened")
	text.Data = []byte(`{"N":"text"}`)
	at := map[string]uint64{}
	for _, key := range []string{"permanent", "panics", "transient", "fine"} {
		at[key] = f.append(key, "Happened").Position
	}
	at["text"] = f.appendTo(f.Store, store.Stream{Type: "Thing", ID: "text"}, text).Position
	last := f.append("text", "Happened").Position
	tried := map[string]*atomic.Int32{}
	for key := range at {
		tried[key] = new(atomic.Int32)
	}
	f.failing(func(e projection.Event[fact]) error {
		tried[e.Event.Key].Add(1)
		switch e.Event.Key {
		case "permanent":
			return fmt.Errorf("wrapped: %w", projection.Permanent(errBroken))
		case "panics":
			panic(errBroken)
		case "transient":
			return errBroken
		}
		return nil
	})
	retry := quick()
	retry.For = time.Nanosecond // each attempt takes longer than that
	p := f.projection("permanent").WithParking(9).WithRetry(retry)
	f.start(p)
	f.wait(p, last)
	for _, key := range f.parked(p, 4) { // permanent, panics, text and transient
		id := key.Key[len("Thing/"):]
		if key.Position != at[id] {
			f.Fatalf("%s is parked at %d, want %d", key.Key, key.Position, at[id])
		}
		const most = 3 // in a batch, and alone
		switch n := tried[id].Load(); {
		case id == "transient" && n <= most, id != "transient" && n > most:
			f.Fatalf("an event of %q was tried %d times", id, n)
		}
	}
}

// ended ends the context while the handler runs, which then fails.
func (f *fixture[T]) ended() {
	bad := f.append("a", "Happened")
	p := f.projection("ended").WithParking(9)
	for range 3 {
		in := make(chan struct{}, 1)
		out := make(chan struct{})
		f.failing(func(projection.Event[fact]) error {
			select {
			case in <- struct{}{}:
			default:
			}
			<-out
			return projection.Permanent(errBroken)
		})
		ctx, cancel := context.WithCancel(f.ctx)
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		<-in
		cancel()
		close(out)
		f.canceled(<-done)
		f.parked(p, 0)
	}
	f.failing(nil)
	f.reach(p, bad.Position)
	f.consistent("ended")
}

// panics runs user code that panics everywhere.
func (f *fixture[T]) panics() {
	last := f.history(10)
	p := f.projection("panics").WithObserver(observing(func(projection.Notice) { panic(errBroken) }))
	f.reach(p, last)
	f.consistent("panics")
	if fault := p.Progress().Fault; !errors.Is(fault, errBroken) {
		f.Fatalf("the fault is %v, want the observer's panic", fault)
	}
	keyed := f.projection("keyed").WithParking(3).WithKey(func(projection.Event[fact]) string { panic(errBroken) })
	f.start(keyed)
	f.until("it blocks", func() bool { return errors.Is(keyed.Progress().Cause, errBroken) })
	var failed *projection.EventError
	if cause := keyed.Progress().Cause; !errors.As(cause, &failed) || failed.Build != "keyed@1" || failed.Position == 0 {
		f.Fatalf("the cause is %v, want an *EventError that names the event", cause)
	}
}
