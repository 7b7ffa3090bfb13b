package runner

import (
	"context"
	"runtime"
	"slices"
	"sync"

	"github.com/evolvego/evolve/store"
)

// Group is a runner for streams with many concurrent writers. Concurrent commands on one
// stream form a batch, with one load and one append: each command is decided on the state
// after the previous one, and their events are appended together. Between processes the
// versions of the store decide, as they do for a [Runner].
//
// A group does not read what it appended itself. It decides on the last state that it
// knows, and the version of the append tells whether that was the head. So a batch costs
// one append while nothing else writes to the stream.
//
// A batch loads, appends and saves snapshots for all its callers, on a context of its
// own. That context ends when the last of the callers is gone, and has none of their
// values. A store that expects credentials, a tenant or a trace in the context finds them
// only if [Group.WithContext] puts them there.
//
// A group keeps a goroutine only while a stream has queued commands. It is safe for
// concurrent use.
type Group[C, S, E any] struct {
	r      *Runner[C, S, E]
	values func(callers []context.Context) context.Context // nil: none
	done   sync.WaitGroup                                  // of the batches
	mu     sync.Mutex
	closed bool                    // guarded by mu
	queues map[string]*queue[S, E] // guarded by mu; by ID, of the streams that have a batch
}

// queue is a stream with a batch in progress.
type queue[S, E any] struct {
	waiting   []*job[S, E] // guarded by Group.mu; for the next batch
	contended bool         // others wrote to the stream during the last batch; only the current batch uses it
}

// job is a call in a group.
type job[S, E any] struct {
	ctx    context.Context //nolint:containedctx // of the call, which waits for the job
	decide func(S) ([]E, error)
	key    key
	meta   store.Metadata
	most   int               // attempts
	answer chan answer[S, E] // has room for the one answer

	// Guarded by Group.mu.
	batch *batch // nil while it waits
	sent  bool   // its events may be recorded
	done  bool   // it has its answer, or its caller is gone
}

// answer is what a job's caller gets. If alone is set there is no outcome: the caller
// runs the command by itself, on its own goroutine and context.
type answer[S, E any] struct {
	out   Outcome[S, E]
	err   error
	alone bool
	doubt bool // its events may be recorded
	taken bool // the ID of one of its events is taken
}

// batch counts the callers that wait for it.
type batch struct {
	live   int // guarded by Group.mu
	cancel context.CancelFunc
}

// less removes one caller. The caller of less holds Group.mu.
func (b *batch) less() {
	if b.live--; b.live == 0 {
		b.cancel()
	}
}

// yields is how often a batch that has ended lets other goroutines run before the next
// begins.
const yields = 2

// groupCache is how many states a group keeps if its runner has no cache.
const groupCache = 1000

// NewGroup returns a group over r, with its retry, cache, snapshots and observer. If r
// has no cache, the group makes one, for a thousand streams. Each command is decided on
// the state that the previous one led to, so NewGroup panics if S is not a plain value,
// because a caller could change it in place, and r has no cache with Clone or Shared.
func NewGroup[C, S, E any](r *Runner[C, S, E]) *Group[C, S, E] {
	if r.cache == nil {
		mustShare("NewGroup", Cache[S]{})
		r = r.WithCache(Cache[S]{Size: groupCache})
	}
	return &Group[C, S, E]{r: r, queues: make(map[string]*queue[S, E])}
}

// WithContext returns a group like g, to be used in its place, that adds values to the
// contexts of its batches. It calls values with the contexts of the callers of a batch,
// in the order in which they queued. The store and the observer get a context with the
// values of the result. Neither the end of the result nor the end of a caller's context
// ends a batch. If values panics, the callers of the batch are handled one by one.
//
// The result is used for the commands of all callers, so take from a caller only what is
// right for all of them. WithContext panics if values is nil.
func (g *Group[C, S, E]) WithContext(values func(callers []context.Context) context.Context) *Group[C, S, E] {
	if values == nil {
		panic("runner: WithContext: values must not be nil")
	}
	with := NewGroup(g.r)
	with.values = values
	return with
}

// batchContext returns the context for the work of jobs, which ends when ctx does.
func (g *Group[C, S, E]) batchContext(ctx context.Context, jobs []*job[S, E]) context.Context {
	if g.values == nil {
		return ctx
	}
	callers := make([]context.Context, len(jobs))
	for i, j := range jobs {
		callers[i] = j.ctx //nolint:fatcontext // of another call
	}
	batch, cancel := context.WithCancel(context.WithoutCancel(g.values(callers)))
	context.AfterFunc(ctx, cancel)
	return batch
}

// Handle is [Runner.Handle] with these differences. Each command keeps its own rejection,
// events, version, command ID and context: when its ctx ends, the call returns at once,
// with an *[UnknownOutcomeError] if its events were already being sent, and the other
// commands continue. Outcome.Position may be that of a later event that was appended
// together with the command's. Options that say how to load are not needed and do
// nothing.
//
// Some commands run alone, as by the runner: those that expect a version, those whose
// event IDs are taken, those with a [CommandID] that are rejected or have nothing to do,
// and those that panic, whose panic reaches their own caller. After Close, Handle returns
// ErrClosed.
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

// Close waits until the queued commands have ended. Further calls of Handle return
// ErrClosed. Close may be called again.
func (g *Group[C, S, E]) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.done.Wait()
}

// join queues j, unless it has its answer, and starts a batch if none is in progress.
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

// start runs the jobs that wait in q as a batch. If there are none, it removes q. The
// caller holds mu.
func (g *Group[C, S, E]) start(id string, q *queue[S, E]) {
	jobs := slices.DeleteFunc(q.waiting, func(j *job[S, E]) bool { return j.done })
	if len(jobs) == 0 {
		delete(g.queues, id)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	b := &batch{live: len(jobs), cancel: cancel}
	for _, j := range jobs {
		j.batch = b
	}
	q.waiting = nil
	g.done.Go(func() {
		defer g.next(id, q)
		g.run(ctx, q, g.r.newFlight(id, options{}), jobs)
	})
}

// next starts the next batch after one has ended. It first lets the callers of the ended
// batch run, so that those who send another command at once are in the next batch instead
// of waiting for it.
func (g *Group[C, S, E]) next(id string, q *queue[S, E]) {
	for range yields {
		runtime.Gosched()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.start(id, q)
}

// await returns the outcome of j, or what is known about it when ctx ends.
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

// leave removes j, whose ctx has ended. It returns the answer of j if there is one
// already, and otherwise an error.
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

// end removes j from its batch, which ends when nothing waits for it any longer. The
// caller holds mu.
func (g *Group[C, S, E]) end(j *job[S, E]) {
	j.done = true
	if j.batch != nil {
		j.batch.less()
	}
}

// handBack makes those jobs of a batch that still wait run alone, except those that wait
// for the next batch.
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

// requeue puts jobs back at the front of q.
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

// live returns the jobs that still wait for an answer.
func (g *Group[C, S, E]) live(jobs []*job[S, E]) []*job[S, E] {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(jobs), func(j *job[S, E]) bool { return j.done })
}

// send records that j's events are being sent. It returns false if its caller is gone.
func (g *Group[C, S, E]) send(j *job[S, E]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	j.sent = !j.done
	return j.sent
}

// unsend records that the events of jobs were not recorded and will not be.
func (g *Group[C, S, E]) unsend(jobs []*job[S, E]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, j := range jobs {
		j.sent = false
	}
}

// exhaust answers the jobs for which attempt was the last one: it ended with err.
func (g *Group[C, S, E]) exhaust(jobs []*job[S, E], attempt int, err error) {
	for _, j := range jobs {
		if attempt >= j.most {
			g.reply(j, answer[S, E]{err: &ExhaustedError{Attempts: attempt, Err: err}})
		}
	}
}
