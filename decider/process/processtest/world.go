package processtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
)

// name is the name of the suite's process.
const name = "Jobs"

type (
	runtime[T projection.Tx] = process.Runtime[T, event, job, string]
	command                  = process.Command[string]
	send                     = process.Send[string]
)

// world is what a law is checked in: a log, a target, and a receiver of commands. It is
// in a bubble with a clock of its own.
type world[T projection.Tx] struct {
	ctx    context.Context //nolint:containedctx // of the test
	log    process.Store
	target projection.Target[T]
	plant  plant[T]
	fresh  func() Setup[T]

	sparse   bool
	receiver *receiver
	running  []*running[T]
	seen     *notices
}

// receiver executes commands, each once by its ID, as a runner does.
type receiver struct {
	hooks  sync.Mutex // held while a hook runs
	mu     sync.Mutex
	calls  []call                               // guarded by mu
	landed []string                             // guarded by mu; in order
	ids    map[string]bool                      // guarded by mu
	before func(c command) error                // if set, called before a command is executed
	after  func(c command) error                // if set, called after a command was executed
	wait   func(ctx context.Context, c command) // if set, called first
}

// call is a call of Send.
type call struct {
	command
	at time.Time
}

func (r *receiver) send(ctx context.Context, c command) error {
	if r.wait != nil {
		r.wait(ctx, c)
	}
	r.mu.Lock()
	r.calls = append(r.calls, call{c, time.Now()})
	r.mu.Unlock()
	if err := r.hook(&r.before, c); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	if !r.ids[c.ID] {
		r.ids[c.ID] = true
		r.landed = append(r.landed, c.Command)
	}
	r.mu.Unlock()
	return r.hook(&r.after, c)
}

// hook calls one of the hooks, if it is set.
func (r *receiver) hook(do *func(c command) error, c command) error {
	r.hooks.Lock()
	defer r.hooks.Unlock()
	if *do == nil {
		return nil
	}
	return (*do)(c)
}

// set changes the hooks or their state.
func (r *receiver) set(do func()) {
	r.hooks.Lock()
	defer r.hooks.Unlock()
	do()
}

// all returns the executed commands.
func (r *receiver) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.landed)
}

// of returns the calls for a command.
func (r *receiver) of(text string) (calls []call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		if c.Command == text {
			calls = append(calls, c)
		}
	}
	return calls
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.calls)
}

// fail sets the hook that is called before a command is executed.
func (r *receiver) fail(before func(c command) error) {
	r.set(func() { r.before = before })
}

// notices records the notices of an observer.
type notices struct {
	mu  sync.Mutex
	all []process.Notice // guarded by mu
}

// Observe records n.
func (o *notices) Observe(_ context.Context, n process.Notice) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, n)
}

func (o *notices) of(kind process.Kind) (found []process.Notice) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, n := range o.all {
		if n.Kind == kind {
			found = append(found, n)
		}
	}
	return found
}

func newWorld[T projection.Tx](ctx context.Context, fresh func() Setup[T], bug plant[T]) *world[T] {
	w := &world[T]{ctx: ctx, plant: bug, fresh: fresh, receiver: &receiver{ids: map[string]bool{}}, seen: &notices{}}
	s := fresh()
	w.sparse = s.Sparse
	w.log, w.target = bug.log(s.Log), bug.target(s.Target)
	return w
}

// new returns the process, with the changes of the law.
func (w *world[T]) new(target projection.Target[T], change ...func(*runtime[T]) *runtime[T]) *runtime[T] {
	return w.process(target, jobs(), change...)
}

func (w *world[T]) process(target projection.Target[T], p decider.Process[event, job, string], change ...func(*runtime[T]) *runtime[T]) *runtime[T] {
	r := process.New(w.log, target, name, p, source()).WithTimers(happened()).WithObserver(w.seen)
	for _, do := range change {
		r = do(r)
	}
	return w.plant.runtime(r)
}

// running is a process in progress.
type running[T projection.Tx] struct {
	*runtime[T]
	cancel context.CancelFunc
	done   chan struct{}
	err    error // of Run; set before done is closed
}

// run starts r.
func (w *world[T]) run(r *runtime[T]) *running[T] {
	ctx, cancel := context.WithCancel(w.ctx)
	g := &running[T]{runtime: r, cancel: cancel, done: make(chan struct{})}
	send := w.plant.send(w.receiver.send)
	go func() {
		defer close(g.done)
		g.err = r.Run(ctx, send)
	}()
	w.running = append(w.running, g)
	return g
}

// stop ends r as a crash would: at once, wherever it is.
func (g *running[T]) stop() {
	g.cancel()
	<-g.done
}

// close stops everything that runs.
func (w *world[T]) close() {
	for _, g := range w.running {
		g.stop()
	}
}

// append records events, each in an append of its own.
func (w *world[T]) append(events ...event) (last store.Recorded, err error) {
	for _, e := range events {
		encoded, err := happened().Encode(e)
		if err != nil {
			return last, err
		}
		if last, err = w.record(cmp.Or(e.Job, "nobody"), encoded); err != nil {
			return last, err
		}
	}
	return last, nil
}

// appendBoth records an event of the older schema that combined two events.
func (w *world[T]) appendBoth(first, second event) error {
	encoded, err := bothCodec().Encode(both{first, second})
	if err != nil {
		return err
	}
	_, err = w.record(first.Job, encoded)
	return err
}

func (w *world[T]) record(id string, e store.Event) (store.Recorded, error) {
	e.ID = store.NewID()
	e.Meta = store.Metadata{CorrelationID: "correlation of " + id}
	s := store.Stream{Type: stream, ID: id}
	appended, err := w.log.Append(w.ctx, s, store.Any, []store.Event{e})
	return store.Recorded{Event: e, Stream: s, Position: appended.Position}, err
}

// settle waits until nothing happens any more except timers.
func (w *world[T]) settle() { synctest.Wait() }

// pass lets time pass.
func (w *world[T]) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// own returns the events that the process recorded for a job.
func (w *world[T]) own(id string) ([]store.Recorded, error) {
	page, err := w.log.Read(w.ctx, store.Stream{Type: name, ID: id}, store.ReadOptions{})
	return page.Events, err
}

// crash is one failure of a run, at one of the places where it can fail.
type crash struct {
	mu   sync.Mutex
	left int // guarded by mu; how many places to pass first
	stop func()
	done bool // guarded by mu; it has happened
}

// here is called at each place. It crashes at one of them.
func (c *crash) here() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left--
	if c.left != 0 {
		return nil
	}
	c.done = true
	if c.stop != nil {
		c.stop()
	}
	return errCrash
}

// run calls do with a context that ends at the crash.
func (c *crash) run(ctx context.Context, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.mu.Lock()
	c.stop = cancel
	c.mu.Unlock()
	return do(ctx)
}

// happened reports whether the crash has happened.
func (c *crash) happened() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done
}

// fragile is a target that crashes before or after a transaction.
type fragile[T projection.Tx] struct {
	projection.Target[T]
	crash *crash
}

// Update calls the target's Update, with a crash before or after it.
func (f fragile[T]) Update(ctx context.Context, do func(tx T) error) error {
	if err := f.crash.here(); err != nil {
		return err
	}
	err := f.Target.Update(ctx, do)
	if crash := f.crash.here(); crash != nil && err == nil {
		return crash // committed, but the answer is lost
	}
	return err
}

// everyCrash calls try with a crash at each place, one after the other, until there are
// no more places.
func everyCrash[T projection.Tx](w *world[T], try func(w *world[T], c *crash) error) error {
	step := 1
	if w.sparse {
		step = 11
	}
	for n := 1; ; n += step {
		c := &crash{left: n}
		again := newWorld(w.ctx, w.fresh, w.plant)
		err := try(again, c)
		again.close()
		if err != nil {
			return fmt.Errorf("with a crash at place %d: %w", n, err)
		}
		if !c.happened() {
			return nil
		}
		if n > 500 {
			return errors.New("a run has more than 500 places where it can crash")
		}
	}
}
