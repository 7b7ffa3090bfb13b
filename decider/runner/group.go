package runner

import (
	"context"
	"runtime"
	"slices"
	"sync"

	"github.com/evolvego/evolve/store"
)

// Group is a runner for streams that many write to at once. Concurrent commands on one
// stream form a batch, with one load and one append: each command is decided on the
// state after the one before it, and their events are appended together. Between
// processes the versions of the store decide, as they do for a [Runner].
//
// A group does not read what it appended itself. It decides on the last state that it
// knows, and the version of the append tells whether that was the head. So a batch costs
// one append while nobody else writes to the stream.
//
// A batch loads, appends and saves snapshots for all its callers, on a context of its
// own. That context ends when the last of the callers is gone, and has none of their
// values: a store that looks into it for credentials, a tenant or a trace finds them
// only if [Group.WithContext] puts them there.
//
// A group keeps a goroutine only while a stream has commands queued. It is safe
// for concurrent use.
type Group[C, S, E any] struct {
	r      *Runner[C, S, E]
	values func(callers []context.Context) context.Context // nil: none
	done   sync.WaitGroup                                  // of the batches
	mu     sync.Mutex
	closed bool                    // guarded by mu
	queues map[string]*queue[S, E] // guarded by mu; by id, of the streams that have a batch
}

// queue is a stream that has a batch under way.
type queue[S, E any] struct {
	waiting   []*job[S, E] // guarded by Group.mu; for the next batch
	contended bool         // others wrote beside the last batch; only the batch under way uses it
}

// job is a call in a group.
type job[S, E any] struct {
	ctx    context.Context //nolint:containedctx // of the call, which waits for the job
	decide func(S) ([]E, error)
	key    key
	meta   store.Metadata
	most   int               // attempts
	answer chan answer[S, E] // room for the one answer

	// Guarded by Group.mu.
	batch *batch // nil while it waits
	sent  bool   // its events may be recorded
	done  bool   // it has its answer, or its caller is gone
}

// answer is what a job's caller gets. With alone set there is no outcome: the
// caller is to run the command by itself, on its own goroutine and context.
type answer[S, E any] struct {
	out   Outcome[S, E]
	err   error
	alone bool
	doubt bool // its events may be recorded
	taken bool // the id of one of its events is
}

// batch counts the callers that wait for it.
type batch struct {
	live   int // guarded by Group.mu
	cancel context.CancelFunc
}

// less counts one caller less. Who calls it holds Group.mu.
func (b *batch) less() {
	if b.live--; b.live == 0 {
		b.cancel()
	}
}

// yields is how often a batch that has ended lets others run before the next begins.
const yields = 2

// groupCache is how many states a group keeps whose runner has no cache.
const groupCache = 1000

// NewGroup returns a group over r, with its retry, cache, snapshots and observer. If r
// has no cache, the group makes one, for a thousand streams. The state that one command
// leads to is the one that the next is decided on, so NewGroup panics if S is no plain
// value, which a caller could change in place, and r has no cache with Clone or Shared.
func NewGroup[C, S, E any](r *Runner[C, S, E]) *Group[C, S, E] {
	if r.cache == nil {
		mustShare("NewGroup", Cache[S]{})
		r = r.WithCache(Cache[S]{Size: groupCache})
	}
	return &Group[C, S, E]{r: r, queues: make(map[string]*queue[S, E])}
}

// WithContext returns a group like g, to be used in its place, whose batches have a
// context with values: it is called with the contexts of the callers of a batch, in the
// order in which they queued, and the store and the observer get one that has the
// values of what it returns. Neither the end of that nor the end of a caller's context
// ends a batch. If it panics, the callers of the batch are handled one by one.
//
// What it returns is used for the commands of all callers, so take from a caller only
// what is right for all of them. WithContext panics if values is nil.
func (g *Group[C, S, E]) WithContext(values func(callers []context.Context) context.Context) *Group[C, S, E] {
	if values == nil {
		panic("runner: WithContext: values must not be nil")
	}
	with := NewGroup(g.r)
	with.values = values
	return with
}

// batchContext returns the context for the work of jobs, which ends with ctx.
func (g *Group[C, S, E]) batchContext(ctx context.Context, jobs []*job[S, E]) (context.Context, func()) {
	if g.values == nil {
		return ctx, func() {}
	}
	callers := make([]context.Context, len(jobs))
	for i, j := range jobs {
		callers[i] = j.ctx //nolint:fatcontext // that of another call
	}
	batch, cancel := context.WithCancel(context.WithoutCancel(g.values(callers)))
	stop := context.AfterFunc(ctx, cancel)
	return batch, func() {
		stop()
		cancel()
	}
}

// Handle is [Runner.Handle] with these differences. Each command keeps its own
// rejection, events, version, command id and context: when its ctx ends, the call
// returns at once, with an *[UnknownOutcomeError] if its events were on their way,
// and its neighbours go on. Outcome.Position may be that of a later event that was
// appended together with the command's. Options that say how to load are not
// needed and do nothing.
//
// Some commands are run alone, as by the runner: those that expect a version, those
// whose event ids are taken, those with a [CommandID] that are rejected or have nothing
// to do, and those that panic, whose panic reaches their own caller. After Close, Handle
// returns ErrClosed.
func (g *Group[C, S, E]) Handle(ctx context.Context, id string, cmd C, opts ...Option) (Outcome[S, E], error) {
	f := g.r.newFlight(id, gather(opts))
	f.command = g.r.named(cmd)
	return g.r.handle(ctx, &f, func(ctx context.Context) (Outcome[S, E], error) {
		if ctx.Err() != nil {
			return Outcome[S, E]{}, ended(ctx, nil)
		}
		j := &job[S, E]{
			ctx: ctx, key: f.key, meta: f.o.meta, most: f.most, answer: make(chan answer[S, E], 1),
			decide: func(state S) ([]E, error) { return g.r.decide(cmd, state) },
		}
		if f.o.expect != nil {
			j.answer <- answer[S, E]{alone: true}
		}
		if err := g.join(id, j); err != nil {
			return Outcome[S, E]{}, err
		}
		return g.await(ctx, &f, j)
	})
}

// Close waits until the commands that are queued have ended. Further calls of Handle
// return ErrClosed. Close may be called again.
func (g *Group[C, S, E]) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.done.Wait()
}

// join queues j, unless it has its answer, and starts a batch if none is under way.
func (g *Group[C, S, E]) join(id string, j *job[S, E]) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return ErrClosed
	}
	if len(j.answer) > 0 {
		return nil
	}
	q, busy := g.queues[id]
	if !busy {
		q = &queue[S, E]{}
		g.queues[id] = q
	}
	q.waiting = append(q.waiting, j)
	if !busy {
		g.start(id, q)
	}
	return nil
}

// start takes what waits in q and runs it as a batch; without any it forgets q. The
// caller holds mu.
func (g *Group[C, S, E]) start(id string, q *queue[S, E]) {
	ctx, cancel := context.WithCancel(context.Background())
	b := &batch{cancel: cancel}
	var jobs []*job[S, E]
	for _, j := range q.waiting {
		if !j.done {
			j.batch = b
			jobs = append(jobs, j)
		}
	}
	b.live, q.waiting = len(jobs), nil
	if len(jobs) == 0 {
		cancel()
		delete(g.queues, id)
		return
	}
	g.done.Go(func() {
		defer g.next(id, q)
		defer cancel()
		g.run(ctx, q, g.r.newFlight(id, options{}), jobs)
	})
}

// next starts the batch after the one that has ended. It lets the callers of that one go
// on first: those who send another command at once are then in the next batch, and do
// not wait for one to pass.
func (g *Group[C, S, E]) next(id string, q *queue[S, E]) {
	for range yields {
		runtime.Gosched()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.start(id, q)
}

// await returns the outcome of j, or what is known of it when ctx ends.
func (g *Group[C, S, E]) await(ctx context.Context, f *flight[S], j *job[S, E]) (Outcome[S, E], error) {
	var a answer[S, E]
	select {
	case a = <-j.answer:
	case <-ctx.Done():
		a = g.leave(ctx, f, j)
	}
	if !a.alone {
		return a.out, a.err
	}
	f.key = j.key
	if a.taken {
		f.o.source = fromBeginning
	}
	if f.doubt = a.doubt; a.doubt {
		f.watch = f.key.id(f.stream, 0)
	}
	return g.r.run(ctx, f, j.decide)
}

// leave takes out j, whose ctx has ended, and returns its answer if it has one by now,
// and otherwise an error.
func (g *Group[C, S, E]) leave(ctx context.Context, f *flight[S], j *job[S, E]) answer[S, E] {
	g.mu.Lock()
	defer g.mu.Unlock()
	if j.done {
		return <-j.answer
	}
	g.end(j)
	err := ended(ctx, nil)
	if j.sent {
		err = &UnknownOutcomeError{Stream: f.stream, CommandID: f.o.command, Err: err}
	}
	return answer[S, E]{err: err}
}

// reply gives j its answer, if it still waits for one.
func (g *Group[C, S, E]) reply(j *job[S, E], a answer[S, E]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !j.done {
		j.answer <- a
		g.end(j)
	}
}

// end takes j out of its batch, which ends when nobody waits for it any longer. The
// caller holds mu.
func (g *Group[C, S, E]) end(j *job[S, E]) {
	j.done = true
	if j.batch != nil {
		j.batch.less()
	}
}

// handBack lets jobs of a batch that still wait, and not for the next one, be run alone.
func (g *Group[C, S, E]) handBack(jobs []*job[S, E]) {
	for _, j := range jobs {
		g.mu.Lock()
		doubt, ours := j.sent, j.batch != nil
		g.mu.Unlock()
		if ours {
			g.reply(j, answer[S, E]{alone: true, doubt: doubt})
		}
	}
}

// requeue puts jobs back to the front of q.
func (g *Group[C, S, E]) requeue(q *queue[S, E], jobs []*job[S, E]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, j := range jobs {
		if !j.done {
			j.batch.less()
			j.batch = nil
		}
	}
	q.waiting = append(slices.Clone(jobs), q.waiting...)
}

// live returns those of jobs that still wait for an answer.
func (g *Group[C, S, E]) live(jobs []*job[S, E]) []*job[S, E] {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(jobs), func(j *job[S, E]) bool { return j.done })
}

// send says that j's events are on their way, and reports false if its caller is
// gone.
func (g *Group[C, S, E]) send(j *job[S, E]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	j.sent = !j.done
	return j.sent
}

// unsend says that the events of jobs were not recorded and will not be. Those for
// which attempt was the last one get err.
func (g *Group[C, S, E]) unsend(jobs []*job[S, E], attempt int, err error) {
	g.mu.Lock()
	for _, j := range jobs {
		j.sent = false
	}
	g.mu.Unlock()
	for _, j := range jobs {
		if attempt >= j.most {
			g.reply(j, answer[S, E]{err: &ExhaustedError{Attempts: attempt, Err: err}})
		}
	}
}
