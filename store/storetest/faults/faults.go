// Package faults makes a store fail in the ways that real stores do: the store is down, an
// answer is lost, an append lands late, or somebody else is faster.
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

// ErrInjected matches the error of every call that a [Faulty] or a [Target] failed. It is
// not definite: the caller cannot know whether the append happened.
var ErrInjected = errors.New("faults: injected fault")

// Fault is what can go wrong with one call of a store.
type Fault int

const (
	// None lets the call pass.
	None Fault = iota
	// Down fails the call, and nothing happens.
	Down
	// Lost lets the call happen and loses its answer: the caller gets an error.
	Lost
	// Late fails the call and lets it happen later; see [Faulty.Land].
	Late
	// Slow delays the call, or its answer. The call fails with the error of ctx if
	// ctx ends first.
	Slow
	// Refuse lets another writer append to the stream first, so that an append that expects
	// a version gets a real conflict.
	Refuse
	// Undone runs the transaction and fails its commit: nothing that it wrote
	// stays.
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

// Rate gives each fault a probability from 0 to 1. Their sum must not be above 1. An
// append, with or without claims, can have every fault except Undone. A save of a
// snapshot or a checkpoint, and a call about a lease, can be Down, Lost or Slow. A call
// that reads can be Down or Slow. A transaction can be Down, Undone, Lost or Slow. The
// zero Rate has only the faults that you queue with [Faulty.Next] and its siblings.
type Rate struct {
	Down, Lost, Late, Slow, Refuse, Undone float64

	// Delay is the longest delay of Slow. Zero is 10 ms.
	Delay time.Duration
	// Rival makes the append of Refuse. It should not use the Faulty. If it returns
	// an error, the call returns that error. Nil appends the first of the refused
	// events again, with another id.
	Rival func(ctx context.Context, s store.Stream) error
}

// Faulty is a store with faults; [Wrap] makes it. It is as safe for concurrent use as the
// store that it wraps. The same seed and the same order of calls give the same faults.
type Faulty struct {
	inner store.Store
	rate  Rate

	mu      sync.Mutex
	random  *rand.Rand    // guarded by mu
	appends []Fault       // what Next queued, guarded by mu
	reads   []Fault       // what NextRead queued, guarded by mu
	updates []Fault       // what NextUpdate queued, guarded by mu
	late    []*landing    // in the order they were called, guarded by mu
	count   map[Fault]int // guarded by mu
}

var _ store.Store = (*Faulty)(nil)

// landing is an append that is still to happen.
type landing struct {
	ctx    context.Context //nolint:containedctx // the values of the call that is postponed
	append appending
	events []store.Event
	calls  int // it lands before the call that counts this to zero; below zero: by Land only
}

// appending is an append of a store, of other events or under another ctx than at
// first perhaps.
type appending func(ctx context.Context, events []store.Event) (store.Appended, error)

// Wrap returns s with random faults at a rate. The seed decides which calls fail. The
// Faulty has the methods of store.Store only; [Faulty.Store] returns it with the other
// capabilities of s.
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

// Next queues faults for the next appends, one for each. They come before random faults.
// [None] lets an append succeed.
func (f *Faulty) Next(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.appends = append(f.appends, faults...)
}

// NextRead queues faults for the next calls that read, one for each. It panics if one of
// them is not None, Down or Slow.
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
// they have. Without Land, a late append of the rate happens right before one of the next
// four calls, and a late append of [Faulty.Next] never happens.
func (f *Faulty) Land() {
	f.mu.Lock()
	due := f.late
	f.late = nil
	f.mu.Unlock()
	f.land(due)
}

// Count returns how often fault has happened, so that a test can check that it has tested
// something.
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

// append is an append of events to s, with faults.
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

// reading is a call that reads, with faults.
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

// saving is a call that changes something other than a stream, with faults.
func (f *Faulty) saving(ctx context.Context, save func() error) error {
	fault, _ := f.next(nil, Down, Lost, Slow)
	return f.perform(ctx, fault, save)
}

// perform makes a call with a fault that needs to know nothing of it.
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

// next returns the fault of the next call, one of possible, and whether it was
// in the queue; before that it lands what is due.
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

// draw chooses by the rate; it takes one number whatever is possible. It needs mu.
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

// due takes out what lands before this call. It needs mu.
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

// land appends what was late. Nobody hears what came of it.
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

// delay returns how long a slow call takes before and after it happens: one of
// them is zero.
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

// pause returns after d, or with the error of ctx if that ends before.
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
