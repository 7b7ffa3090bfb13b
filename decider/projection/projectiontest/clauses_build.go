package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
)

// grows runs a program that reads more event types than before.
func (f *fixture[T]) grows() {
	wide := func(name string) *projection.Projection[T, fact] {
		return f.into(f.Target, name, reads(additions()))
	}
	f.reach(f.projection("clean"), f.append("a", "Happened").Position)
	f.reach(f.projection("missing"), f.append("a", "Added", "Happened").Position)
	clean, missing := wide("clean"), wide("missing")
	if err := f.end(missing); !errors.Is(err, projection.ErrFilterGrew) {
		f.Fatalf("Run of a projection that newly reads a type that is behind its checkpoint = %v, want ErrFilterGrew", err)
	}
	last := f.append("b", "Added", "Happened")
	f.reach(clean, last.Position)
	f.same(f.look("clean@1", "clean").lists, f.expected(additions(), last.Position, nil))

	// An older program reads fewer types, and passes over those that the newer one reads.
	f.reach(f.projection("clean"), f.append("c", "Added", "Happened").Position)
	if err := f.end(wide("clean")); !errors.Is(err, projection.ErrFilterGrew) {
		f.Fatalf("Run after an older program has passed over a type = %v, want ErrFilterGrew", err)
	}
}

// passesOver runs an older program all the time, while a newer one that reads more begins
// and ends.
func (f *fixture[T]) passesOver() {
	wide := func() *projection.Projection[T, fact] { return f.into(f.Target, "old", reads(additions())) }
	old, newer := f.projection("old"), wide()
	stop := f.start(old)
	f.wait(old, f.append("d", "Happened").Position)
	stopNewer := f.start(newer)
	f.until("the newer program has begun", func() bool { return newer.Progress().State == projection.Live })
	_ = stopNewer()
	f.wait(old, f.append("d", "Added", "Happened").Position)
	_ = stop()
	if err := f.end(wide()); !errors.Is(err, projection.ErrFilterGrew) {
		f.Fatalf("Run after an older program has passed over a type = %v, want ErrFilterGrew", err)
	}
}

// end returns the error that Run ends with by itself.
func (f *fixture[T]) end(p runner) error {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.ctx, 20*time.Second)
	defer cancel()
	return p.Run(ctx)
}

// versions runs two versions side by side.
func (f *fixture[T]) versions() {
	one := f.projection("versions")
	two := projection.New(f.Store, f.Target, "versions", reads(happenings()), f.list("two")).
		WithVersion(2).WithoutLease().WithRetry(quick()).WithParking(3).WithObserver(nil)
	f.reach(one, f.history(20))
	before := f.look("versions@1", "versions")
	f.failing(broken(projection.Permanent(errBroken), "b"))
	last := f.history(20)
	f.reach(two, last)
	f.failing(nil)
	if after := f.look("versions@1", "versions"); fmt.Sprint(after) != fmt.Sprint(before) {
		f.Fatalf("version 2 has changed version 1 from %v to %v", before, after)
	}
	f.parked(one, 0) // they are version 2's
	f.unpark(two, "Thing/b")
	f.reach(one, last)
	f.consistent("versions")
	got := f.look("versions@2", "two")
	f.same(got.lists, f.expected(happenings(), last, nil))
}

// setsUpOnce starts several instances at once, and again when all have ended.
func (f *fixture[T]) setsUpOnce() {
	const instances = 4
	last := f.history(10)
	setup := func(_ context.Context, tx T) error {
		docs, err := tx.LoadDocuments("setup", []string{"times"})
		if err != nil {
			return err
		}
		n, _ := strconv.Atoi(string(docs[0].Data))
		docs[0].Data = []byte(strconv.Itoa(n + 1))
		return tx.SaveDocuments(docs)
	}
	for range 2 {
		stops := make([]func() error, instances)
		all := make([]*projection.Projection[T, fact], instances)
		for i := range stops {
			all[i] = f.projection("setup").WithSetup(setup)
			stops[i] = f.start(all[i])
		}
		f.reach(f.projection("setup").WithSetup(setup), last)
		for _, p := range all {
			f.until("every instance is live", func() bool { return p.Progress().State == projection.Live })
		}
		for _, stop := range stops {
			f.canceled(stop())
		}
	}
	if times := f.look("setup@1", "setup").lists["times"]; times != "1" {
		f.Fatalf("setup was called %q times, want 1", times)
	}
}

// setupFails runs a setup that fails and one that panics.
func (f *fixture[T]) setupFails() {
	last := f.history(3)
	write := func(tx T) error {
		return tx.SaveDocuments([]store.Document{{Kind: "setup", ID: "trace", Data: []byte("x")}})
	}
	for name, setup := range map[string]func(context.Context, T) error{
		"fails":  func(_ context.Context, tx T) error { return errors.Join(write(tx), errBroken) },
		"panics": func(_ context.Context, tx T) error { panic(errors.Join(write(tx), errBroken)) },
	} {
		p := f.projection(name).WithSetup(setup)
		if err := f.end(p); !errors.Is(err, errBroken) {
			f.Fatalf("Run with a setup that %s = %v, want its error", name, err)
		}
		if is := p.Progress(); is.State != projection.Failed || !errors.Is(is.Cause, errBroken) {
			f.Fatalf("after a setup that %s the progress is %+v, want that it has failed with that error", name, is)
		}
		if got := f.look(name+"@1", "setup"); got.at.Position != 0 || len(got.lists) != 0 {
			f.Fatalf("a setup that %s has left %v", name, got)
		}
		f.reach(f.projection(name), last)
	}
}

// ready runs version 1, and builds version 2 while events arrive.
func (f *fixture[T]) ready() {
	var readers atomic.Uint64 // the position that readers see
	one := f.projection("ready")
	f.start(one)
	f.wait(one, f.history(40))
	f.until("version 1 is ready", func() bool { return one.Progress().Ready })
	calls, lateCalls := 0, 0
	slow := make(chan struct{}, 1)
	two := projection.New(f.Store, f.Target, "ready", reads(happenings()), f.list("two")).
		WithVersion(2).WithoutLease().WithRetry(quick()).WithObserver(nil).WithBatch(3, time.Hour).
		WithReady(func(_ context.Context, tx T) error {
			calls++
			if calls == 1 {
				return errBroken // it is retried
			}
			mine, err := tx.LoadCheckpoint("ready@2")
			if err != nil {
				return err
			}
			active, err := tx.LoadCheckpoint("ready@1")
			if err == nil && mine.Position < active.Position {
				err = fmt.Errorf("ready at %d, while readers see %d", mine.Position, active.Position)
				f.Errorf("%v", err)
			}
			readers.Store(mine.Position)
			return err
		})
	// It reaches the end of its log, which is not yet the end of the other log.
	held := &heldLog{Log: f.Store, open: slow}
	late := projection.New(held, f.Target, "ready", reads(happenings()), f.list("three")).
		WithVersion(3).WithoutLease().WithRetry(quick()).
		WithReady(func(_ context.Context, tx T) error {
			lateCalls++
			mine, err := tx.LoadCheckpoint("ready@3")
			if err == nil && mine.Position < readers.Load() {
				f.Errorf("version 3 is ready at %d, while readers see %d", mine.Position, readers.Load())
			}
			return err
		})
	stop := f.start(two)
	f.wait(two, f.history(20))
	f.until("version 2 is ready", func() bool { return two.Progress().Ready })
	f.pass(50 * time.Millisecond) // now it could become ready again
	_ = stop()
	f.start(two)              // and again without a pause
	f.wait(two, f.history(1)) // Run applies one more event and checks whether the version is ready
	f.wait(two, f.history(1))
	if calls != 2 {
		f.Fatalf("ready was called %d times, want once more than it failed", calls)
	}
	f.start(late)
	f.until("version 3 has read a part of the log", func() bool { return late.Progress().Position > 0 })
	if late.Progress().Ready {
		f.Fatalf("version 3 is ready at %d, before it has what version 2 has", late.Progress().Position)
	}
	close(slow)
	f.until("version 3 is ready", func() bool { return late.Progress().Ready })
	f.consistent("ready")
	f.pass(5 * time.Second)
	f.wait(late, f.history(5))
	f.wait(late, f.history(1)) // and checks whether it is ready before
	if calls != 2 || lateCalls != 1 {
		f.Fatalf("ready was called %d times by version 2 and %d times by version 3, want 2, of which one failed, and 1", calls, lateCalls)
	}
}

// heldLog reports after a few events that there are no more, until open is closed.
type heldLog struct {
	store.Log
	open chan struct{}
}

// notBack runs an older version that was never ready.
func (f *fixture[T]) notBack() {
	two := f.projection("back").WithVersion(2)
	f.start(two)
	f.wait(two, f.history(5))
	f.until("version 2 is ready", func() bool { return two.Progress().Ready })
	one := f.projection("back").WithReady(func(context.Context, T) error {
		f.Errorf("the older version leads readers back")
		return nil
	})
	f.start(one)
	f.wait(one, f.history(5))
	f.until("version 1 is live", func() bool { return one.Progress().State == projection.Live })
	last := f.history(5)
	f.wait(one, last)
	f.wait(two, last)
}

// retires ends a version.
func (f *fixture[T]) retires() {
	drop := func(_ context.Context, tx T) error {
		docs, err := tx.ScanDocuments("retires", "", "", 0)
		for i := range docs {
			docs[i].Data = nil
		}
		return errors.Join(err, tx.SaveDocuments(docs))
	}
	f.failing(broken(projection.Permanent(errBroken), "b"))
	one := f.projection("retires").WithParking(3).WithDrop(drop)
	stop := f.start(one)
	f.wait(one, f.history(20))
	f.until("version 1 is ready", func() bool { return one.Progress().Ready })
	if err := one.Retire(f.ctx); !errors.Is(err, projection.ErrActive) {
		f.Fatalf("Retire of the version that readers use = %v, want ErrActive", err)
	}
	f.wait(one, f.history(20))
	_ = stop()
	f.failing(nil)
	two := projection.New(f.Store, f.Target, "retires", reads(happenings()), f.list("two")).
		WithVersion(2).WithoutLease().WithRetry(quick())
	stop = f.start(two)
	f.until("version 2 is ready", func() bool { return two.Progress().Ready })
	_ = stop()
	for range 2 {
		if err := one.Retire(f.ctx); err != nil {
			f.Fatalf("Retire = %v, want success", err)
		}
	}
	if got := f.look("retires@1", "retires"); got.at != (store.Checkpoint{}) || len(got.lists) > 0 {
		f.Fatalf("the retired version has left %v", got)
	}
	f.parked(one, 0)
	if err := f.end(f.projection("retires")); !errors.Is(err, projection.ErrRetired) {
		f.Fatalf("Run of a retired version = %v, want ErrRetired", err)
	}
	f.reach(two, f.history(3))
}

// diverged uses a checkpoint that the log does not contain.
func (f *fixture[T]) diverged() {
	last := f.history(20)
	for name, at := range map[string]store.Checkpoint{
		"another event":   {Position: 3, EventID: "another"},
		"beyond the head": {Position: last + 100, EventID: "beyond"},
	} {
		f.move(name+"@1", store.Checkpoint{}, at)
		p := f.projection(name)
		if err := f.end(p); !errors.Is(err, store.ErrLogDiverged) {
			f.Fatalf("Run with a checkpoint of another log (%s) = %v, want ErrLogDiverged", name, err)
		}
		if got := f.look(name+"@1", name); got.at != at || len(got.lists) > 0 {
			f.Fatalf("Run with a checkpoint of another log has written %v", got)
		}
	}
	// The same while it runs.
	p := f.projection("running")
	done := make(chan error, 1)
	go func() { done <- p.Run(f.ctx) }()
	f.wait(p, last)
	at := f.look("running@1", "running").at
	f.until("the checkpoint can be moved", func() bool {
		err := f.Target.Update(f.ctx, func(tx T) (err error) {
			if at, err = tx.LoadCheckpoint("running@1"); err != nil {
				return err
			}
			return tx.SaveCheckpoint("running@1", at, store.Checkpoint{Position: at.Position + 1000, EventID: "another"})
		})
		return err == nil
	})
	f.append("a", "Happened")
	if err := <-done; !errors.Is(err, store.ErrLogDiverged) {
		f.Fatalf("Run whose checkpoint became that of another log = %v, want ErrLogDiverged", err)
	}
}

// move moves a checkpoint.
func (f *fixture[T]) move(build string, from, to store.Checkpoint) {
	f.Helper()
	err := f.Target.Update(f.ctx, func(tx T) error { return tx.SaveCheckpoint(build, from, to) })
	if err != nil {
		f.Fatalf("move the checkpoint of %s: %v", build, err)
	}
}

// parts reads two parts with different names from two types of streams.
func (f *fixture[T]) parts() {
	source := codec.Events(
		codec.From("Thing", happenings(), func(r *store.Recorded, e event) fact { return fact{r.Stream.ID, e} }),
		codec.From("Other", codec.JSON(map[string]event{"Added": added{}}),
			func(r *store.Recorded, e event) fact { return fact{"other " + r.Stream.ID, e} }),
	)
	f.append("a", "Happened", "Added", "Happened") // Added is not an event of Thing here
	other := f.thing("Happened")
	other.Data = []byte("not JSON")
	f.appendTo(f.Store, store.Stream{Type: "Other", ID: "o"}, other, f.thing("Added"))
	last := f.append("a", "Happened")
	f.reach(f.into(f.Target, "parts", source), last.Position)
	got := f.look("parts@1", "parts").lists
	f.same(got, map[string]string{"a": entry(1, 0) + entry(3, 0) + entry(6, 0), "other o": entry(5, 0)})
}

// newer has an event with a schema that no program here knows.
func (f *fixture[T]) newer() {
	first := f.append("a", "Happened").Position
	next := f.thing("Happened")
	next.Schema = 99
	at := f.appendTo(f.Store, store.Stream{Type: "Thing", ID: "b"}, next)
	p := projection.New(f.Store, f.Target, "newer", reads(happenings()), f.list("newer")).WithParking(9).WithRetry(quick()).WithObserver(nil)
	f.start(p)
	f.until("it is outdated", func() bool { return p.Progress().State == projection.Outdated })
	if is := p.Progress(); !errors.Is(is.Cause, codec.ErrNewerSchema) || is.Position != first || is.Position != at.Position-1 {
		f.Fatalf("the progress is %+v, want position %d, and the newer schema at %d as its cause", is, first, at.Position)
	}
	f.parked(p, 0)
	f.consistent("newer")
	if leases, ok := f.Target.(store.Leases); ok { // a newer program can have it
		f.until("the lease is free", func() bool {
			_, err := leases.AcquireLease(f.ctx, "projection/newer@1", "the newer program", time.Minute)
			return err == nil
		})
	}
}

// partitions handles each part of the keys in a projection of its own.
func (f *fixture[T]) partitions() {
	const parts = 3
	for i := range 30 {
		f.append("k"+strconv.Itoa(i), "Happened", "Doubled")
	}
	last := f.history(40)
	var all []*projection.Projection[T, fact]
	for i := range parts {
		all = append(all, f.projection("parts").Partition(i, parts))
		f.start(all[i])
	}
	for _, p := range all {
		f.wait(p, last)
	}
	got := f.look("parts@1/0 of 3", "parts")
	f.same(got.lists, f.expected(happenings(), last, nil))
}
