// Package faults makes a store fail in the ways that real stores do: the store is down,
// a result is lost, an append lands late, or another writer gets there first.
package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/internal/judge"
)

// ErrInjected matches the error of every call that a [Faulty] or a [Target] made fail.
// It is not definite: the caller cannot know whether the append happened.
var ErrInjected = errors.New("faults: injected fault")

// Fault is something that can go wrong with one call of a store.
type Fault int

const (
	// None lets the call pass.
	None Fault = iota
	// Down fails the call, and nothing happens.
	Down
	// Lost lets the call happen and loses its result: the caller gets an error.
	Lost
	// Late fails the call and lets it happen later; see [Faulty.Land].
	Late
	// Slow delays the call, or its return. The call fails with the error of ctx if ctx
	// ends first.
	Slow
	// Refuse lets another writer append to the stream first, so that an append that expects
	// a version gets a real conflict.
	Refuse
	// Undone runs the transaction and makes its commit fail: nothing that it wrote is
	// kept.
	Undone
)

// String returns the fault's name.
func (f Fault) String() string {
	names := [...]string{"none", "down", "lost", "late", "slow", "refuse", "undone"}
	if f < None || int(f) >= len(names) {
		return fmt.Sprintf("fault %d", int(f))
	}
	return names[f]
}

// Rate gives each fault a probability from 0 to 1. The sum must not exceed 1. An
// append, with or without claims, can have every fault except Undone. A save of a
// snapshot or a checkpoint, and a call about a lease, can be Down, Lost or Slow. A read
// can be Down or Slow. A transaction can be Down, Undone, Lost or Slow. With the zero
// Rate, the only faults are those that you queue with [Faulty.Next], [Faulty.NextRead]
// and [Faulty.NextUpdate].
type Rate struct {
	Down, Lost, Late, Slow, Refuse, Undone float64

	// Delay is the longest delay of Slow. Zero means 10 ms.
	Delay time.Duration
	// Rival makes the competing append of Refuse. It should not use the Faulty. If it
	// returns an error, the call returns that error. Nil appends a copy of the first
	// refused event with another id.
	Rival func(ctx context.Context, s store.Stream) error
}

// Faulty is a store with faults; [Wrap] makes it. It is as safe for concurrent use as the
// store that it wraps. The same seed and the same order of calls give the same faults.
type Faulty struct {
	inner store.Store
	rate  Rate

	mu      sync.Mutex
	random  *rand.Rand    // guarded by mu
	appends []Fault       // queued by Next; guarded by mu
	reads   []Fault       // queued by NextRead; guarded by mu
	updates []Fault       // queued by NextUpdate; guarded by mu
	late    []*landing    // in the order of the calls; guarded by mu
	count   map[Fault]int // guarded by mu
}

var _ store.Store = (*Faulty)(nil)

// landing is an append that has not happened yet.
type landing struct {
	ctx    context.Context //nolint:containedctx // the values of the call that is postponed
	append appending
	events []store.Event
	calls  int // it lands before the call that counts this down to zero; if negative, only Land lands it
}

// appending does an append. The events and ctx may differ from the original ones.
type appending func(ctx context.Context, events []store.Event) (store.Appended, error)

// Wrap returns s with random faults at the given rate. The seed decides which calls
// fail. The Faulty has only the methods of store.Store; [Faulty.Store] returns it with
// the other capabilities of s.
func Wrap(s store.Store, seed uint64, rate Rate) *Faulty {
	if rate.Delay == 0 {
		rate.Delay = 10 * time.Millisecond
	}
	return &Faulty{
		inner:  s,
		rate:   rate,
		random: rand.New(rand.NewPCG(seed, 0)),
		count:  map[Fault]int{},
	}
}

// Next queues one fault for each of the next appends. Queued faults come before random
// faults. [None] lets an append succeed.
func (f *Faulty) Next(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.appends = append(f.appends, faults...)
}

// NextRead queues one fault for each of the next reads. It panics if a fault is not
// None, Down or Slow.
func (f *Faulty) NextRead(faults ...Fault) {
	for _, fault := range faults {
		if fault != None && fault != Down && fault != Slow {
			panic("faults: a read cannot be " + fault.String())
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads = append(f.reads, faults...)
}

// Land makes all late appends happen now, in the order of their calls, and returns when
// they have. Without Land, a late append from the Rate happens right before one of the
// next four calls, and a late append queued by [Faulty.Next] never happens.
func (f *Faulty) Land() {
	f.mu.Lock()
	due := f.late
	f.late = nil
	f.mu.Unlock()
	f.land(due)
}

// Count returns how often fault has happened, so that a test can check that it really
// tested something.
func (f *Faulty) Count(fault Fault) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count[fault]
}

// Append is store.Store.Append, with faults.
func (f *Faulty) Append(ctx context.Context, s store.Stream, e store.Expected, events []store.Event) (store.Appended, error) {
	return f.append(ctx, s, events, func(ctx context.Context, events []store.Event) (store.Appended, error) {
		return f.inner.Append(ctx, s, e, events)
	})
}

// append appends events to s, with faults.
func (f *Faulty) append(ctx context.Context, s store.Stream, events []store.Event, call appending) (store.Appended, error) {
	fault, queued := f.next(&f.appends, Down, Lost, Late, Slow, Refuse)
	var appended store.Appended
	do := func() (err error) {
		appended, err = call(ctx, events)
		return err
	}
	switch fault {
	case Late:
		f.postpone(ctx, call, events, queued)
		return store.Appended{}, injected(fault)
	case Refuse:
		if err := f.rival(ctx, s, events); err != nil {
			return store.Appended{}, err
		}
	case None, Down, Lost, Slow, Undone:
	}
	if err := f.perform(ctx, fault, do); err != nil {
		return store.Appended{}, err
	}
	return appended, nil
}

// Read is store.Store.Read, with faults.
func (f *Faulty) Read(ctx context.Context, s store.Stream, o store.ReadOptions) (store.Page, error) {
	return reading(ctx, f, func() (store.Page, error) { return f.inner.Read(ctx, s, o) })
}

// reading makes a call that reads, with faults.
func reading[T any](ctx context.Context, f *Faulty, call func() (T, error)) (T, error) {
	var got T
	fault, _ := f.next(&f.reads, Down, Slow)
	err := f.perform(ctx, fault, func() (err error) {
		got, err = call()
		return err
	})
	if err != nil {
		var zero T
		return zero, err
	}
	return got, nil
}

// saving makes a call that changes something other than a stream, with faults.
func (f *Faulty) saving(ctx context.Context, save func() error) error {
	fault, _ := f.next(nil, Down, Lost, Slow)
	return f.perform(ctx, fault, save)
}

// perform makes a call with a fault that does not depend on the kind of call.
func (f *Faulty) perform(ctx context.Context, fault Fault, call func() error) error {
	if fault == Down {
		return injected(fault)
	}
	var before, after time.Duration
	if fault == Slow {
		before, after = f.delay()
	}
	if err := pause(ctx, before); err != nil {
		return err
	}
	err := call()
	if fault == Lost {
		return injected(fault)
	}
	if ended := pause(ctx, after); ended != nil {
		return errors.Join(err, ended)
	}
	return err
}

// next returns the fault for the next call, one of possible, and whether it was queued.
// Before that, it lands the late appends that are due.
func (f *Faulty) next(queue *[]Fault, possible ...Fault) (fault Fault, queued bool) {
	f.mu.Lock()
	due := f.due()
	fault = f.draw(possible)
	if queue != nil && len(*queue) > 0 {
		fault, *queue, queued = (*queue)[0], (*queue)[1:], true
	}
	f.count[fault]++
	f.mu.Unlock()
	f.land(due)
	return fault, queued
}

// draw picks a fault according to the rate. It always consumes exactly one random
// number. The caller holds mu.
func (f *Faulty) draw(possible []Fault) Fault {
	x := f.random.Float64()
	for _, p := range []struct {
		fault Fault
		rate  float64
	}{
		{Down, f.rate.Down}, {Lost, f.rate.Lost}, {Late, f.rate.Late}, {Slow, f.rate.Slow}, {Refuse, f.rate.Refuse}, {Undone, f.rate.Undone},
	} {
		if x < p.rate {
			if slices.Contains(possible, p.fault) {
				return p.fault
			}
			return None
		}
		x -= p.rate
	}
	return None
}

// due removes and returns the appends that land before this call. The caller holds mu.
func (f *Faulty) due() []*landing {
	var due []*landing
	f.late = slices.DeleteFunc(f.late, func(l *landing) bool {
		l.calls--
		if l.calls == 0 {
			due = append(due, l)
		}
		return l.calls == 0
	})
	return due
}

// land makes late appends happen. Nobody receives their results.
func (f *Faulty) land(due []*landing) {
	for _, l := range due {
		_, _ = l.append(l.ctx, l.events)
	}
}

func (f *Faulty) postpone(ctx context.Context, call appending, events []store.Event, held bool) {
	late := &landing{ctx: context.WithoutCancel(ctx), append: call, events: judge.Clone(events), calls: -1}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !held {
		late.calls = 1 + f.random.IntN(4)
	}
	f.late = append(f.late, late)
}

func (f *Faulty) rival(ctx context.Context, s store.Stream, events []store.Event) error {
	if f.rate.Rival != nil {
		return f.rate.Rival(ctx, s)
	}
	if len(events) == 0 {
		return nil
	}
	event := events[0]
	event.ID = store.NewID()
	_, err := f.inner.Append(ctx, s, store.Any, []store.Event{event})
	return err
}

// delay returns how long a slow call waits before and after it happens: one of them is
// zero.
func (f *Faulty) delay() (before, after time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := 1 + time.Duration(f.random.Int64N(int64(f.rate.Delay)))
	if f.random.IntN(2) == 0 {
		return d, 0
	}
	return 0, d
}

func injected(fault Fault) error {
	return fmt.Errorf("%w: %s", ErrInjected, fault)
}

// pause waits for d, and returns the error of ctx if ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
