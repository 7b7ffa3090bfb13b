package process

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
)

// owner runs a process while it may. Everything except the retries belongs to one
// goroutine.
type owner[T projection.Tx, E, S, C any] struct {
	r     *Runtime[T, E, S, C]
	send  Send[C]
	kinds kinds

	at      store.Checkpoint // as stored in the target
	turn    uint64           // as stored in the target
	wanted  int              // the later version that wants to take over; 0: none
	handled uint64           // the log is handled up to here
	head    uint64
	scratch []codec.Decoded[E]

	known     map[string]*note  // instances that do not wait, as stored in the target
	knownSize int               // the size of their states in bytes
	failing   map[string]*retry // instances that wait
	retried   chan retried[S]
	retries   sync.WaitGroup
	slots     chan struct{} // one for each worker

	timers  int               // running timers
	nextDue int64             // when the next timer is due that has not fired; 0: none
	firing  *firing           // timers that are due, but may not overtake the log
	fired   map[string]uint64 // the positions of timer events, by the key of the timer
	worked  func()
	cancel  context.CancelFunc
}

func newOwner[T projection.Tx, E, S, C any](r *Runtime[T, E, S, C], send Send[C]) *owner[T, E, S, C] {
	return &owner[T, E, S, C]{
		r: r, send: send, kinds: kindsOf(r.build()), known: map[string]*note{}, failing: map[string]*retry{}, retried: make(chan retried[S]),
		slots: make(chan struct{}, r.workers), fired: map[string]uint64{}, cancel: func() {},
	}
}

// stop ends everything that o has begun, and waits for it.
func (o *owner[T, E, S, C]) stop() {
	o.cancel()
	o.retries.Wait()
}

// checkpoint returns the name of a process's checkpoint in its target.
func (r *Runtime[T, E, S, C]) checkpoint() string { return checkpointOf(r.build()) }

func checkpointOf(build string) string { return "process/" + build }

// work reacts to the log until ctx ends or something fails.
func (o *owner[T, E, S, C]) work(ctx context.Context, worked func()) error {
	ctx, o.cancel = context.WithCancel(ctx) //nolint:gosec // stop calls it
	o.worked = worked
	if err := o.begin(ctx); err != nil {
		return err
	}
	from, err := store.Resume(ctx, o.r.log, o.at)
	if err != nil {
		return err
	}
	o.handled = o.at.Position
	pages := make(chan store.Page, 1)
	broken := make(chan error, 1)
	o.retries.Go(func() { broken <- o.read(ctx, from, pages) })
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		select {
		case page := <-pages:
			events, last := o.gather(page, pages)
			err = o.pages(ctx, events, last)
		case done := <-o.retried:
			err = o.settle(ctx, done)
		case <-wake.C:
			err = o.wake(ctx)
		case <-o.r.live.poked:
			err = errFenced // an instance has been changed: begin again
		case err = <-broken:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		if err == nil && o.wanted > o.r.version {
			err = o.r.superseded(o.wanted) // everything that was sent is saved
		}
		if err != nil {
			return err
		}
		o.rearm(wake)
	}
}

// read sends the pages of the log.
func (o *owner[T, E, S, C]) read(ctx context.Context, from uint64, pages chan<- store.Page) error {
	for page, err := range o.r.log.Subscribe(ctx, store.LogOptions{From: from, Filter: o.r.source.Filter()}) {
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		select {
		case pages <- page:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// gather returns page without its events, together with the events of page and of the
// pages that have already arrived. It never waits for more.
func (o *owner[T, E, S, C]) gather(page store.Page, pages <-chan store.Page) (events [][]store.Recorded, last store.Page) {
	events = [][]store.Recorded{page.Events}
	for n := len(page.Events); n < maxBatch; n += len(page.Events) {
		select {
		case page = <-pages:
			events = append(events, page.Events)
		default:
			return events, page
		}
	}
	return events, page
}

// begin loads the notes from the target, and takes over from an earlier version.
func (o *owner[T, E, S, C]) begin(ctx context.Context) error {
	if err := o.enter(ctx); err != nil {
		return err
	}
	clear(o.failing)
	o.timers = 0
	return o.r.view(ctx, func(tx store.DocumentTx, at func(string) (store.Checkpoint, error)) error {
		var err error
		if o.at, err = at(o.r.checkpoint()); err != nil {
			return err
		}
		var b buildNote
		if _, err = load(tx, o.r.build(), &b); err != nil {
			return err
		}
		o.turn = b.Turn
		if err := o.loadMarked(tx); err != nil {
			return err
		}
		return o.loadTimers(tx)
	})
}

// pages handles events of the log. Last is the page that ends them.
func (o *owner[T, E, S, C]) pages(ctx context.Context, events [][]store.Recorded, last store.Page) error {
	work, ids, done, broken := o.route(events)
	if len(ids) > 0 {
		if err := o.handle(ctx, work, ids, done); err != nil {
			return err
		}
	}
	if broken != nil { // the events before it are handled
		o.r.live.change(func(p *Progress) { p.Position = max(p.Position, broken.position-1) })
		return broken.err
	}
	o.handled, o.head = max(o.handled, last.Next-1), max(o.head, last.Head)
	o.worked()
	o.r.live.works(o.handled, o.head, last.End)
	o.tell()
	if o.firing != nil && last.End {
		o.catchUp(ctx, o.firing.head)
	}
	return o.fire(ctx)
}

// broken is an event that cannot be decoded.
type broken struct {
	position uint64
	err      error
}

// route decodes events. It returns the inputs of each instance, the instances in the
// order of the log, and the last event that was decoded. Bad is the event after it if
// that cannot be decoded.
func (o *owner[T, E, S, C]) route(pages [][]store.Recorded) (
	work map[string][]input[E], ids []string, last store.Checkpoint, bad *broken,
) {
	work = map[string][]input[E]{}
	var found []routed[E]
	for _, events := range pages {
		for i := range events {
			e := &events[i]
			if e.Position <= o.at.Position {
				continue
			}
			var err error
			if found, err = o.r.decodeInputs(found[:0], &o.scratch, e); err != nil {
				return work, ids, last, &broken{e.Position, err}
			}
			last = store.Checkpoint{Position: e.Position, EventID: e.ID}
			for _, f := range found {
				inputs, ok := work[f.instance]
				if !ok {
					ids = append(ids, f.instance)
				}
				work[f.instance] = append(inputs, f.input)
			}
		}
	}
	return work, ids, last, nil
}

// handled is the outcome of an instance's inputs in a page.
type handled[E, S any] struct {
	instance *instance[S]
	waiting  []input[E]
	cause    error
	began    bool // it began to wait
}

// handle applies the inputs to the instances in parallel, and commits.
func (o *owner[T, E, S, C]) handle(ctx context.Context, work map[string][]input[E], ids []string, last store.Checkpoint) error {
	notes, err := o.notes(ctx, ids)
	if err != nil {
		return err
	}
	results := make([]handled[E, S], len(ids))
	errs := make([]error, len(ids))
	o.sideBySide(len(ids), func(n int) {
		i, err := o.r.open(ids[n], notes[ids[n]])
		if err != nil {
			errs[n] = err
			return
		}
		results[n].instance = i
		results[n].waiting, results[n].cause = o.r.advance(ctx, o.send, i, work[ids[n]])
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	now := o.r.now()
	for n := range results {
		if errs[n] != nil {
			return errs[n]
		}
		if h := &results[n]; h.cause != nil {
			h.began = true
			h.instance.is = h.instance.is.fail(h.waiting[0].at, h.cause, now, o.r.budget)
		}
	}
	if err := o.commit(ctx, results, last); err != nil {
		return err
	}
	for n := range results {
		if h := &results[n]; h.began {
			o.failed(ctx, h.instance, h.cause)
		}
	}
	return nil
}

// sideBySide calls do for 0 to n-1, several at once.
func (o *owner[T, E, S, C]) sideBySide(n int, do func(int)) {
	if n == 1 || o.r.workers == 1 {
		for i := range n {
			do(i)
		}
		return
	}
	var group sync.WaitGroup
	var next atomic.Int64
	for range min(n, o.r.workers) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	group.Wait()
}

// commit writes the outcome of a page in one transaction: the checkpoint first, which
// fails if another owner has moved it.
func (o *owner[T, E, S, C]) commit(ctx context.Context, results []handled[E, S], to store.Checkpoint) error {
	var docs []store.Document
	for n := range results {
		h := &results[n]
		if h.instance.is != h.instance.was {
			changed, err := o.kinds.change(h.instance.id, h.instance.was, h.instance.is)
			if err != nil {
				return err
			}
			docs = append(docs, changed...)
		}
		for _, in := range h.waiting {
			docs = append(docs, store.Document{Kind: o.kinds.waiting, ID: waitingKey(h.instance.id, in.at.Position), Data: []byte{}})
		}
	}
	err := o.r.target.Update(ctx, func(tx T) error {
		if err := o.hold(tx, o.at, to); err != nil {
			return err
		}
		return saveAll(tx, docs)
	})
	if err != nil {
		return err
	}
	o.at = to
	for n := range results {
		o.counted(results[n].instance)
		o.remember(results[n].instance)
	}
	return nil
}

// hold moves the checkpoint in a transaction, which keeps all others from moving it. It
// returns errFenced if another owner has changed anything since o last looked.
func (o *owner[T, E, S, C]) hold(tx T, from, to store.Checkpoint) error {
	if err := tx.SaveCheckpoint(o.r.checkpoint(), from, to); err != nil {
		return fenced(err)
	}
	var b buildNote
	if _, err := load(tx, o.r.build(), &b); err != nil {
		return err
	}
	if b.Turn != o.turn {
		return errFenced
	}
	o.wanted = b.Wanted
	return o.r.active(tx)
}

// turned is hold without moving the checkpoint, for changes of instances. It takes a
// turn, which others notice.
func (o *owner[T, E, S, C]) turned(tx T) error {
	if err := o.hold(tx, o.at, o.at); err != nil {
		return err
	}
	return editBuild(tx, o.r.build(), func(b *buildNote) { b.Turn++ })
}

// editBuild changes the note about a build.
func editBuild(tx store.DocumentTx, build string, edit func(*buildNote)) error {
	var b buildNote
	if _, err := load(tx, build, &b); err != nil {
		return err
	}
	edit(&b)
	doc, err := document(builds, build, b)
	if err != nil {
		return err
	}
	return tx.SaveDocuments([]store.Document{doc})
}

// counted records the timers of i once its new note is in the target.
func (o *owner[T, E, S, C]) counted(i *instance[S]) {
	o.timers += len(i.is.Timers) - len(i.was.Timers)
	for n := range i.is.Timers {
		t := &i.is.Timers[n]
		if _, ok := o.fired[timerKey(i.id, t)]; !ok && (o.nextDue == 0 || t.Due < o.nextDue) {
			o.nextDue = t.Due
		}
	}
	for n := range i.was.Timers {
		if !slices.ContainsFunc(i.is.Timers, i.was.Timers[n].is) {
			delete(o.fired, timerKey(i.id, &i.was.Timers[n]))
		}
	}
	i.was = i.is
}

// tell publishes how many instances wait, and how many timers run.
func (o *owner[T, E, S, C]) tell() {
	waiting, quarantined := 0, 0
	for _, f := range o.failing {
		if f.quarantined {
			quarantined++
		} else {
			waiting++
		}
	}
	o.r.live.change(func(p *Progress) { p.Waiting, p.Quarantined, p.Timers = waiting, quarantined, o.timers })
}
