package runner

import (
	"context"
	"slices"
	"sync"

	"github.com/evolvego/evolve/store"
)

// Group is a runner for streams that many write to at once. Concurrent commands
// on one stream queue behind one load and one append: each is decided on the state
// after the one before it, and what they give is appended together. Between
// processes the store's versions decide, as for a [Runner].
//
// A group keeps a goroutine only while a stream has commands queued. It is safe
// for concurrent use.
type Group[C, S, E any] struct {
	r      *Runner[C, S, E]
	done   sync.WaitGroup // of the batches
	mu     sync.Mutex
	closed bool                    // guarded by mu
	queues map[string]*queue[S, E] // guarded by mu; by id, of the streams that have a batch
}

// queue is a stream that has a batch under way.
type queue[S, E any] struct {
	waiting []*job[S, E] // guarded by Group.mu; for the next batch

	// What the last batch knew is what the next one begins with. Only the
	// batch under way uses it.
	at    Loaded[S]
	known bool
}

// job is a call in a group.
type job[S, E any] struct {
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
}

// batch counts the callers that wait for it.
type batch struct {
	live   int // guarded by Group.mu
	cancel context.CancelFunc
}

// less counts one caller less. The caller holds Group.mu.
func (b *batch) less() {
	if b.live--; b.live == 0 {
		b.cancel()
	}
}

// NewGroup returns a group over r, with r's retry, cache, snapshots and observer. What
// one command leads to is what the next one is decided on, so NewGroup panics if an S
// could be changed in place by who gets it, being no plain value, and r has no cache
// with Clone or Shared.
func NewGroup[C, S, E any](r *Runner[C, S, E]) *Group[C, S, E] {
	if r.cache == nil {
		mustShare("NewGroup", Cache[S]{})
	}
	return &Group[C, S, E]{r: r, queues: make(map[string]*queue[S, E])}
}

// Handle is [Runner.Handle] with these differences. Each command keeps its own
// rejection, events, version, command id and context: when its ctx ends the call
// returns at once, with an *[UnknownOutcomeError] if its events were on their way,
// and its neighbours go on. Outcome.Position may be that of a later event that was
// appended together with the command's. Options that say how to load are not
// needed and do nothing. With [ExpectVersion] the call does not queue, and one whose
// event id is taken, that is rejected or has nothing to do under a [CommandID], or
// that panics in Decide is run alone. After Close it returns ErrClosed.
func (g *Group[C, S, E]) Handle(ctx context.Context, id string, cmd C, opts ...Option) (Outcome[S, E], error) {
	o := gather(opts)
	f := g.r.newFlight(id, o)
	decide := func(state S) ([]E, error) { return g.r.decider.Decide(cmd, state) }
	return g.r.handle(ctx, &f, func() (Outcome[S, E], error) {
		if ctx.Err() != nil {
			return Outcome[S, E]{}, ended(ctx, nil)
		}
		j := &job[S, E]{
			decide: decide, key: f.key, meta: o.meta, most: f.most, answer: make(chan answer[S, E], 1),
		}
		if o.expect {
			j.answer <- answer[S, E]{alone: true}
		}
		if err := g.join(id, j); err != nil {
			return Outcome[S, E]{}, err
		}
		return g.await(ctx, &f, j)
	})
}

// Close lets the commands that are queued end, and returns when they have. Further
// calls of Handle return ErrClosed. Close may be called again.
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
		g.run(ctx, g.r.newFlight(id, options{}), q, jobs)
	})
}

// next starts the batch after the one that has ended.
func (g *Group[C, S, E]) next(id string, q *queue[S, E]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.start(id, q)
}

// await returns j's outcome, or what is known when ctx ends.
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
	if f.doubt = a.doubt; a.doubt {
		f.watch = f.key.id(f.stream, 0)
	}
	return g.r.run(ctx, f, j.decide)
}

// leave takes j out, whose ctx has ended, and returns the answer it has by now, or
// the one for that.
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

// end takes j out of its batch, which ends when nobody waits for it any more. The
// caller holds mu.
func (g *Group[C, S, E]) end(j *job[S, E]) {
	j.done = true
	if j.batch != nil {
		j.batch.less()
	}
}

// handBack lets jobs that still wait be run alone.
func (g *Group[C, S, E]) handBack(jobs []*job[S, E]) {
	for _, j := range jobs {
		g.mu.Lock()
		doubt := j.sent
		g.mu.Unlock()
		g.reply(j, answer[S, E]{alone: true, doubt: doubt})
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
