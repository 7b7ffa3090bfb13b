package runner

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"sync"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// Loaded is the state of a stream at a version, where 0 is a stream without events. Pass
// it to [LoadFrom].
type Loaded[S any] struct {
	State   S
	Version uint64
}

// Outcome is the result of a command.
type Outcome[S, E any] struct {
	// Loaded is the state after the command's events. If Replayed is set, it is the
	// current state. If there are no events, it is the state that the command was decided
	// on.
	Loaded[S]
	// Events are the events of the command, in order, whether they were appended now or
	// earlier.
	Events []E
	// Position is the position of the last of Events in the log. It is 0 if there are no
	// events or the store has no log.
	Position uint64
	// Attempts counts how often the command was decided or its events were sent to the
	// store. 1 means that the first attempt succeeded. A decision on an old state of a
	// [Cache] that was not sent does not count.
	Attempts int
	// Replayed reports that the events were found in the stream: an earlier call with the
	// same command ID appended them, or an attempt of this call whose answer was lost.
	Replayed bool
}

// Runner runs a decider on the streams of one type in a store. It is safe for
// concurrent use. The With… methods return copies, which share its cache.
type Runner[C, S, E any] struct {
	streamType string
	firstType  string // the first type of the streams, if it was another one
	decider    decider.Decider[C, S, E]
	store      store.Store
	codec      codec.Codec[E]
	vouched    bool              // the codec can read everything that it writes
	values     store.ValueReader // store, if it lends what the codec keeps; otherwise nil
	retry      Retry
	observer   Observer                             // nil: none
	beginner   Beginner                             // observer, if it is a Beginner; otherwise nil
	metadata   func(context.Context) store.Metadata // nil: none
	clock      func() time.Time
	since      func(time.Time) time.Duration // by clock
	cache      *cache[S]                     // nil: none
	snapshots  *snapshots[S, E]              // nil: none
	scratch    *sync.Pool                    // of *scratch[E]
	claims     Claiming[S, E]                // nil: none
	claimer    store.Claims                  // the store, if there are claims
}

// scratch is memory that a call borrows.
type scratch[E any] struct {
	events  []E           // decoded from a page
	encoded []store.Event // to append

	recorded []store.Recorded // a page, or encoded, as it will be read
}

// maxScratch is the most events that scratch keeps room for.
const maxScratch = 4 * store.DefaultLimit

// New returns a runner of d for the streams of type streamType in st, whose events are
// stored with c. It panics if streamType is not a valid stream type, or if Decide,
// Evolve, st or c is nil.
func New[C, S, E any](streamType string, d decider.Decider[C, S, E], st store.Store, c codec.Codec[E]) *Runner[C, S, E] {
	if err := (store.Stream{Type: streamType, ID: "any"}).Validate(); err != nil {
		panic(fmt.Sprintf("runner: New: %v", err))
	}
	if d.Decide == nil || d.Evolve == nil || st == nil || c == nil {
		panic("runner: New: Decide, Evolve, the store and the codec must not be nil")
	}
	values, _ := st.(store.ValueReader)
	if !codec.KeepsValues(c) {
		values = nil
	}
	return &Runner[C, S, E]{
		streamType: streamType,
		decider:    d,
		store:      st,
		codec:      c,
		vouched:    vouches(c),
		values:     values,
		retry:      Retry{}.orDefaults(),
		clock:      time.Now,   //nolint:forbidigo // a shell has a clock
		since:      time.Since, // which reads half of what time.Now reads
		scratch:    &sync.Pool{New: func() any { return new(scratch[E]) }},
	}
}

// WithRetry returns a copy of r that retries as retry says. It panics if a field of retry
// is negative.
func (r *Runner[C, S, E]) WithRetry(retry Retry) *Runner[C, S, E] {
	c := *r
	c.retry = retry.orDefaults()
	return &c
}

// WithClock returns a copy of r that calls now instead of time.Now for the time of events
// and of their IDs, and for the age of cached states. now must be safe for concurrent
// use.
func (r *Runner[C, S, E]) WithClock(now func() time.Time) *Runner[C, S, E] {
	c := *r
	c.clock, c.since = now, func(began time.Time) time.Duration { return now().Sub(began) }
	return &c
}

// Handle decides cmd on the state of stream id and appends the events. It returns a zero
// Outcome if it returns an error. The package comment lists the errors.
func (r *Runner[C, S, E]) Handle(ctx context.Context, id string, cmd C, opts ...Option) (Outcome[S, E], error) {
	f := r.newFlight(id, gather(opts))
	f.command, f.mayGuess = r.named(cmd), f.most > 1
	return r.handle(ctx, &f, func(ctx context.Context) (Outcome[S, E], error) {
		return r.run(ctx, &f, func(state S) ([]E, error) { return r.decide(cmd, state) })
	})
}

// decide calls Decide, and names the command in the error if it is unhandled.
func (r *Runner[C, S, E]) decide(cmd C, state S) ([]E, error) {
	events, err := r.decider.Decide(cmd, state)
	if err != nil {
		return nil, decider.Unhandled(err, cmd)
	}
	return events, nil
}

// named returns the Go type of cmd, if anything will use it.
func (r *Runner[C, S, E]) named(cmd C) string {
	if r.observer == nil {
		return ""
	}
	t := reflect.TypeFor[C]()
	if t.Kind() == reflect.Interface {
		t = reflect.TypeOf(cmd)
	}
	if t == nil { // a nil interface
		return "<nil>"
	}
	return t.String() // without an allocation
}

// Transact is Handle with decide instead of a command, for decisions that also have a
// result. The result is that of the attempt whose events were appended. It is the zero R
// if Transact returns an error, or if the events were recorded before the call decided
// (see [Outcome].Replayed).
func Transact[R, C, S, E any](
	ctx context.Context, r *Runner[C, S, E], id string, decide func(S) (R, []E, error), opts ...Option,
) (R, Outcome[S, E], error) {
	f := r.newFlight(id, gather(opts))
	f.mayGuess = f.most > 1
	var result, zero R
	out, err := r.handle(ctx, &f, func(ctx context.Context) (Outcome[S, E], error) {
		return r.run(ctx, &f, func(state S) (events []E, err error) {
			result, events, err = decide(state)
			return events, err
		})
	})
	if err != nil || out.Replayed && !f.own() {
		return zero, out, err
	}
	return result, out, nil
}

// Load returns the state and version of stream id. For a stream without events it returns
// the initial state at version 0.
func (r *Runner[C, S, E]) Load(ctx context.Context, id string, opts ...Option) (Loaded[S], error) {
	o := gather(opts)
	if o.expect != nil {
		o = o.refuse("expected version", commandsOnly)
	}
	if o.err != nil {
		return Loaded[S]{}, o.err
	}
	f := r.newFlight(id, o)
	if o.asOf {
		return r.loadAsOf(ctx, &f)
	}
	if err := r.open(ctx, &f); err != nil {
		return Loaded[S]{}, err
	}
	r.keep(&f)
	return f.at, nil
}

// handle calls run, and does what every call needs: metadata and the observer.
func (r *Runner[C, S, E]) handle(
	ctx context.Context, f *flight[S], run func(ctx context.Context) (Outcome[S, E], error),
) (Outcome[S, E], error) {
	if f.o.asOf {
		f.o = f.o.refuse("as of", "is for Load only")
	}
	if f.o.err != nil {
		return Outcome[S, E]{}, f.o.err
	}
	if r.observer == nil {
		r.stamp(ctx, f)
		return r.answer(ctx, f, run)
	}
	began := r.clock()
	f.start = began
	ctx = r.begin(ctx, f, CommandHandled)
	n := f.notice(CommandHandled, 0, 0, errPanicked)
	defer func() {
		if !f.ended.IsZero() {
			n.Took, began = f.ended.Sub(began), time.Time{}
		}
		r.notify(ctx, &n, began)
	}()
	r.stamp(ctx, f)
	out, err := r.answer(ctx, f, run)
	n.Version, n.Events, n.Attempt = out.Version, len(out.Events), max(f.attempt, out.Attempts)
	n.Replayed, n.Err = out.Replayed, err
	return out, err
}

// answer returns the result of run. If the events may be recorded, it makes sure that
// neither an error nor a panic hides that. This costs about 4 % of a command whose
// aggregate is cached, on the store in memory. Without it, a caller would believe that a
// command has failed although it was recorded.
func (r *Runner[C, S, E]) answer(
	ctx context.Context, f *flight[S], run func(ctx context.Context) (Outcome[S, E], error),
) (out Outcome[S, E], err error) {
	defer func() {
		switch {
		case f.doubt:
			if v := recover(); v != nil {
				err = &PanicError{In: "the call", Value: v, Stack: debug.Stack()}
			}
		case f.guess:
			if recover() != nil { // on a state that may be old: if it is current, that happens again
				f.guess, f.mayGuess = false, false
				out, err = r.answer(ctx, f, run)
			}
		}
		if err == nil {
			return
		}
		out = Outcome[S, E]{}
		if f.doubt && !errors.Is(err, ErrUnknownOutcome) {
			err = r.unknown(f, err)
		}
	}()
	return run(ctx)
}

// run loads, decides and appends until there is an outcome.
func (r *Runner[C, S, E]) run(ctx context.Context, f *flight[S], decide func(S) ([]E, error)) (Outcome[S, E], error) {
	if err := r.open(ctx, f); err != nil {
		return Outcome[S, E]{}, err
	}
	for {
		out, moved, err := r.try(ctx, f, decide)
		if !moved {
			return out, err
		}
		if err == nil {
			continue
		}
		if err := r.again(ctx, f, err); err != nil {
			return Outcome[S, E]{}, err
		}
		if err := r.catchUp(ctx, f); err != nil {
			return Outcome[S, E]{}, err
		}
	}
}

// try decides once, on the state in f, and appends the events. If moved is set, the
// command must be decided again: after a conflict, which is err, or because the state in
// f was old, without err.
func (r *Runner[C, S, E]) try(
	ctx context.Context, f *flight[S], decide func(S) ([]E, error),
) (out Outcome[S, E], moved bool, err error) {
	if !f.o.expect.holds(f.at.Version) && !f.fresh {
		if err := r.catchUp(ctx, f); err != nil {
			return out, false, err
		}
	}
	if f.landed != 0 {
		out, err = r.replayed(ctx, f)
		return out, false, err
	}
	if !f.o.expect.holds(f.at.Version) {
		return r.settle(ctx, f, f.o.expect.conflict(f.stream, f.at.Version))
	}
	f.base, f.decided = f.at.Version, true
	events, err := decide(f.at.State)
	if err != nil {
		err = &RejectedError{Stream: f.stream, Err: err}
	}
	if err != nil || len(events) == 0 {
		return r.settle(ctx, f, err)
	}
	return r.record(ctx, f, events)
}

// record appends events, which were decided on the state in f. Every user function runs
// before the append, so that its failure leaves nothing behind.
func (r *Runner[C, S, E]) record(
	ctx context.Context, f *flight[S], events []E,
) (out Outcome[S, E], moved bool, err error) {
	now := r.clock()
	f.key = f.key.begun(now)
	scratch := r.borrow()
	encoded, err := r.encode(scratch.encoded[:0], f.stream, f.key, f.o.meta, events, now)
	if err != nil {
		return r.settle(ctx, f, err)
	}
	next, err := r.apply(scratch, f.stream, r.own(f.at), events, encoded)
	if err != nil {
		return r.settle(ctx, f, err)
	}
	out = Outcome[S, E]{Loaded: next.at, Events: events, Attempts: f.attempt}
	cached := r.own(next.at)
	save := r.savepoint(out)
	guess := f.guess
	f.guess = false // what follows cannot be undone
	appended, err := r.commit(ctx, f, encoded, next.claims)
	r.giveBack(scratch, encoded)
	switch {
	case err == nil && !appended.Replayed:
		f.at, f.fresh, f.seen = cached, true, now
		r.put(f)
		out.Position, out.Attempts = appended.Position, f.attempt
		if r.save(ctx, f, &save, out.Version); !save.due {
			f.ended = f.answered
		}
		return out, false, nil
	case err == nil:
		f.landed = appended.Version - uint64(len(events)) + 1
		out, err = r.replayed(ctx, f)
		return out, false, err
	case errors.Is(err, store.ErrDuplicate), errors.Is(err, store.ErrConflict) && f.o.expect.once() && f.watch != "":
		return r.settle(ctx, f, err)
	case errors.Is(err, store.ErrConflict):
		return Outcome[S, E]{}, !f.o.expect.once(), err
	case guess && refused(err):
		f.guess = true
		if moved, lost := r.confirm(ctx, f); moved || lost != nil {
			return Outcome[S, E]{}, moved, lost
		}
	}
	return Outcome[S, E]{}, false, err
}

// settle returns the outcome of a call that appends nothing: because of err or, if err is
// nil, because there was nothing to do. If the command was recorded before, it returns
// that outcome. If the state in f was old, it sets moved instead.
func (r *Runner[C, S, E]) settle(ctx context.Context, f *flight[S], err error) (out Outcome[S, E], moved bool, _ error) {
	if moved, lost := r.confirm(ctx, f); moved || lost != nil {
		return out, moved, lost
	}
	if f.watch != "" && f.landed == 0 && (!f.whole() || errors.Is(err, store.ErrDuplicate) || errors.Is(err, store.ErrConflict)) {
		if lost := r.reading(ctx, f, func() error { return r.search(ctx, f) }); lost != nil {
			return out, false, lost
		}
	}
	if f.landed != 0 {
		out, err = r.replayed(ctx, f)
		return out, false, err
	}
	f.doubt = false
	r.keep(f)
	return Outcome[S, E]{Loaded: f.at, Attempts: f.attempt}, false, err
}

// replayed returns the outcome of a command whose first event has version f.landed. If
// that cannot be read, the error must not suggest that nothing has happened.
func (r *Runner[C, S, E]) replayed(ctx context.Context, f *flight[S]) (Outcome[S, E], error) {
	f.doubt = true
	out := Outcome[S, E]{Replayed: true}
	err := r.catchUp(ctx, f)
	if err == nil {
		err = r.reading(ctx, f, func() (err error) {
			out.Events, out.Position, err = r.recall(ctx, f)
			return err
		})
	}
	if err != nil {
		return out, err
	}
	if f.found != "" && f.o.mark != "" && f.found != f.o.mark {
		f.doubt = false // the caller's own command did not happen
		return out, &ReusedError{Stream: f.stream, CommandID: f.o.command, Version: f.landed}
	}
	r.keep(f)
	out.Loaded, out.Attempts = f.at, f.attempt
	return out, nil
}

// borrow returns scratch memory for one user. giveBack returns it to the pool. If a panic
// loses one, nothing is missing.
func (r *Runner[C, S, E]) borrow() *scratch[E] {
	return r.scratch.Get().(*scratch[E]) //nolint:errcheck // there is nothing else in the pool
}

// giveBack ends the use of s, whose encoded grew into encoded.
func (r *Runner[C, S, E]) giveBack(s *scratch[E], encoded []store.Event) {
	clear(encoded)
	s.encoded = encoded[:0]
	if cap(s.encoded) <= maxScratch && cap(s.events) <= maxScratch && cap(s.recorded) <= maxScratch {
		r.scratch.Put(s)
	}
}
