package projection

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// batch holds decoded events that wait to be applied.
type batch[E any] struct {
	items   []item
	events  []Event[E]
	keys    []string // of events; empty until they are needed
	decoded []codec.Decoded[E]
	keyed   bool // the keys have been computed
}

// item is a recorded event.
type item struct {
	recorded *store.Recorded
	from, to int   // its events in the batch
	err      error // why it cannot be decoded or has no key
}

// failure is an event that failed and is retried.
type failure struct {
	position uint64
	since    time.Time
	times    int
	pauses   backoff
}

// applyError is an error of an event that was not put into the read model. The index is
// its index in the batch, or -1 if that is not known. Whatever err matches, it says
// nothing about the target, the log or the lease.
type applyError struct {
	index int
	err   error
}

func (e *applyError) Error() string { return e.err.Error() }
func (e *applyError) Unwrap() error { return e.err }

// errFreed means that a key which was parked is no longer parked.
var errFreed = errors.New("projection: a parked key is free")

// load decodes the events of pages as the next batch.
func (r *run[T, E]) load(pages [][]store.Recorded) {
	b := &r.hand
	b.items, b.events, b.keys = b.items[:0], b.events[:0], b.keys[:0]
	b.keyed = r.p.part != nil || r.p.parking > 0 || r.p.live.parkedKeys() > 0
	for _, events := range pages {
		for i := range events {
			b.items = append(b.items, r.p.decode(b, &events[i], r.live))
		}
	}
}

// decode adds the events of recorded to b.
func (p *Projection[T, E]) decode(b *batch[E], recorded *store.Recorded, live bool) item {
	it := item{recorded: recorded, from: len(b.events)}
	it.err = guard("source", func() (err error) {
		b.decoded, err = p.source.Decode(b.decoded[:0], recorded)
		return err
	})
	if it.err != nil {
		it.to = it.from
		return it
	}
	for i := range b.decoded {
		e := Event[E]{Recorded: recorded, Index: b.decoded[i].Index, Event: b.decoded[i].Event, Live: live}
		if b.keyed && (p.key != nil || p.part != nil) {
			key, err := p.keyOf(e)
			if err != nil {
				it.err, it.to = err, it.from
				b.events, b.keys = b.events[:it.from], b.keys[:it.from]
				return it
			}
			if p.part != nil && !p.part(key) {
				continue
			}
			b.keys = append(b.keys, key)
		}
		b.events = append(b.events, e)
	}
	it.to = len(b.events)
	return it
}

// apply puts the events of pages into the read model, in as many transactions as it
// takes.
func (r *run[T, E]) apply(ctx context.Context, pages [][]store.Recorded) error {
	r.load(pages)
	for items := r.hand.items; ; {
		r.at = later(r.at, r.p.live.inlined())
		for len(items) > 0 && items[0].recorded.Position <= r.at.Position {
			items = items[1:]
		}
		if len(items) == 0 {
			return nil
		}
		r.p.live.hasInHand(items[0].recorded.RecordedAt)
		n := r.next(items)
		done, err := r.attempt(ctx, items[:n])
		switch {
		case err == nil:
			items = items[done:]
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case fenced(err), errors.Is(err, errFreed):
			r.parking = nil
			if err := r.again(ctx); err != nil {
				return err
			}
		default:
			if err := r.failed(ctx, items[:n], err); err != nil {
				return err
			}
		}
	}
}

// attempt calls transact, and tells the observer and the clock.
func (r *run[T, E]) attempt(ctx context.Context, items []item) (done int, err error) {
	began := r.p.now()
	ctx = r.beginBatch(ctx, items)
	failed := r.batchNotice(BatchFailed, items)
	failed.Err = errPanicked
	defer func() {
		if failed.Err != nil {
			failed.Took = r.p.now().Sub(began)
			r.p.notify(ctx, failed)
		}
	}()
	done, err = r.transact(ctx, items)
	if failed.Err = err; err == nil {
		r.committed(ctx, items[:done], r.p.now().Sub(began))
	}
	return done, err
}

// next returns how many of items the next transaction takes: as many as usually succeed,
// or only one if it has failed before.
func (r *run[T, E]) next(items []item) int {
	n := min(len(items), r.size)
	if r.limit > 0 {
		n = min(n, r.limit)
	}
	for i := range items[:n] {
		if it := &items[i]; it.err != nil || it.recorded.Position == r.alone {
			return max(i, 1)
		}
	}
	return n
}

// committed updates the run after a commit of items.
func (r *run[T, E]) committed(ctx context.Context, items []item, took time.Duration) {
	last := items[len(items)-1].recorded
	r.at = store.Checkpoint{Position: last.Position, EventID: last.ID}
	r.scanned = max(r.scanned, last.Position)
	r.limit = 0
	if last.Position >= r.alone {
		r.alone, r.failing = 0, nil
	}
	switch {
	case took > r.p.atMost:
		// As many as would have fit, but at least half, because most of the time may be
		// due to a busy machine.
		fit := int64(len(items)) * int64(r.p.atMost) / int64(took)
		r.size = max(1, len(items)/2, int(fit))
	case took < r.p.atMost/2 && len(items) == r.size:
		r.size = min(2*r.size, r.p.batch)
	}
	r.pauses = backoff{}
	r.p.live.committed(last.Position)
	r.worked()
	if r.parking != nil {
		r.p.notify(ctx, Notice{
			Kind: EventParked, Position: r.parking.why.Position, Key: r.parking.key, Live: r.live,
			Attempt: r.parking.why.Attempts, Events: 1, Err: r.parking.err,
		})
		r.parking = nil
	}
	n := r.batchNotice(BatchApplied, items)
	n.Parked, n.Took = min(r.parkedLast, len(items)), took
	r.p.notify(ctx, n)
}

// transact puts items, or the first of them, into the read model and moves the
// checkpoint, in one transaction. It returns how many of them it applied.
func (r *run[T, E]) transact(ctx context.Context, items []item) (done int, err error) {
	work, err := r.plan(items)
	if err != nil {
		return 0, err
	}
	if r.p.effect && len(work.events) > 0 {
		if items, err = r.deliver(ctx, items, work); err != nil {
			return 0, err
		}
	}
	last := items[len(items)-1].recorded
	to := store.Checkpoint{Position: last.Position, EventID: last.ID}
	passesOver := to.Position-r.at.Position > uint64(len(items)) // the events that are not in the source

	var said error // returned by do; nil if it was not called or succeeded
	err = r.p.target.Update(ctx, func(tx T) error {
		said = r.write(ctx, tx, to, passesOver, work)
		return said
	})
	switch {
	case err == nil:
		r.parkedNow(work)
		r.parkedLast = len(work.parked)
		return len(items), nil
	case said != nil:
		return 0, said
	}
	return 0, r.settle(ctx, err)
}

// write is the transaction: it moves the checkpoint first, then parks events, then runs
// user code.
func (r *run[T, E]) write(ctx context.Context, tx T, to store.Checkpoint, passesOver bool, work work[E]) error {
	if err := r.fence(tx, to); err != nil {
		return err
	}
	if err := r.park(tx, work); err != nil {
		return err
	}
	if passesOver {
		if err := r.readsAll(tx); err != nil {
			return err
		}
	}
	if len(work.events) == 0 || r.p.effect {
		return nil
	}
	failed, err := r.p.applier(ctx, &r.p.config, tx, work.events)
	if err != nil {
		return &applyError{work.index(failed), err}
	}
	return nil
}

// settle finds out whether a transaction was committed when the error of Update does not
// say. It never returns nil. It returns ErrFenced if this transaction or another owner
// has moved the checkpoint, so that the run loads it again.
func (r *run[T, E]) settle(ctx context.Context, err error) error {
	at, down := r.look(ctx)
	switch {
	case down != nil:
		return errors.Join(err, down)
	case at != r.at:
		return ErrFenced
	}
	return &applyError{-1, err}
}

// look returns the checkpoint that the target holds.
func (r *run[T, E]) look(ctx context.Context) (at store.Checkpoint, err error) {
	err = r.p.target.Update(ctx, func(tx T) (err error) {
		at, err = tx.LoadCheckpoint(r.p.build())
		return err
	})
	return at, err
}

// failed decides what happens after nothing of items could be put into the read model. It
// returns an error if the run must end.
func (r *run[T, E]) failed(ctx context.Context, items []item, err error) error {
	if final(err) || errors.Is(err, codec.ErrNewerSchema) {
		return eventError(r.p.build(), items[0].recorded, err)
	}
	var bad *applyError
	switch {
	case !errors.As(err, &bad):
		return r.down(ctx, err) // no event is the cause
	case bad.index >= 0 && len(items) > 1:
		r.alone = r.itemOf(bad.index).recorded.Position // apply what is before it first
		return nil
	case len(items) > 1:
		r.limit = len(items) / 2
		return nil
	}
	it := &items[0]
	r.alone = it.recorded.Position
	if r.failing == nil || r.failing.position != r.alone {
		r.failing = &failure{position: r.alone, since: r.p.now()}
	}
	err = eventError(r.p.build(), it.recorded, bad.err)
	if !isPermanent(err) {
		if _, down := r.look(ctx); down != nil {
			if r.failing = nil; final(down) { // the target fails, not the event
				return down
			}
			return r.down(ctx, errors.Join(err, down))
		}
	}
	r.failing.times++
	since, attempts := r.p.live.failing(err)
	if r.mayPark(it, bad.index, err, since, attempts) {
		return nil
	}
	pause := r.failing.pauses.next(r.p.retry)
	if isPermanent(err) {
		pause = r.p.retry.MaxPause // only a change from outside can fix it
	}
	r.p.notify(ctx, Notice{Kind: EventFailed, Position: r.alone, Events: 1, Live: r.live, Attempt: attempts, Took: pause, Err: err})
	return sleep(ctx, pause)
}

// down pauses, because something other than an event fails.
func (r *run[T, E]) down(ctx context.Context, err error) error {
	_, attempts := r.p.live.failing(err)
	pause := r.pauses.next(r.p.retry)
	r.p.notify(ctx, Notice{Kind: RunFailed, Attempt: attempts, Took: pause, Err: err})
	return sleep(ctx, pause)
}

// itemOf returns the item that holds the event with this index in the batch.
func (r *run[T, E]) itemOf(index int) *item {
	i, _ := slices.BinarySearchFunc(r.hand.items, index, func(it item, index int) int {
		if it.to <= index {
			return -1
		}
		return 1
	})
	return &r.hand.items[min(i, len(r.hand.items)-1)]
}
