package runner

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/evolvego/evolve/store"
)

// Limits of a batch, unless a single command exceeds them.
const (
	maxBatchEvents = 1000
	maxBatchData   = 1 << 20
)

// plan is what the jobs of a batch decide, one after the other.
type plan[S, E any] struct {
	steps   []step[S, E]
	encoded []store.Event
	claims  []store.Claim
	size    int       // bytes of data in encoded
	at      Loaded[S] // after the steps
	now     time.Time // of the last events
	save    savepoint
}

// step is what one job of a batch decides.
type step[S, E any] struct {
	job     *job[S, E]
	events  []E
	encoded []store.Event
	claims  []store.Claim
	after   Loaded[S] // for the next job
	own     Loaded[S] // a copy for the job's caller
	err     error     // if the command is rejected
}

// run gives each of jobs its answer. Jobs for which the batch has no room go back to q.
func (g *Group[C, S, E]) run(ctx context.Context, q *queue[S, E], f flight[S], jobs []*job[S, E]) {
	defer func() {
		_ = recover() // each caller will see the panic again, on its own goroutine
		g.handBack(jobs)
	}()
	ctx = g.batchContext(ctx, jobs)
	if g.r.observer == nil {
		_, _ = g.handle(ctx, q, &f, jobs)
		return
	}
	began := g.r.clock()
	f.start = began
	ctx = g.r.begin(ctx, &f, BatchHandled)
	n := f.notice(BatchHandled, 0, 0, errPanicked)
	defer func() { g.r.notify(ctx, &n, began) }()
	n.Events, n.Err = g.handle(ctx, q, &f, jobs)
	n.Version, n.Attempt = f.at.Version, f.attempt
}

// handle loads, decides and appends until each of jobs has its answer, and returns how
// many events it appended. It begins with the cached state, if there is one, and lets the
// append tell whether that was the head. It reads the stream first if others wrote to it
// during the previous batch, or for a job that may be appended only once.
func (g *Group[C, S, E]) handle(ctx context.Context, q *queue[S, E], f *flight[S], jobs []*job[S, E]) (events int, err error) {
	f.most = 0
	least := jobs[0].most
	for _, j := range jobs {
		f.most, least = max(f.most, j.most), min(least, j.most)
	}
	if !q.contended && least > 1 {
		f.o.source = fromCached
	}
	q.contended = false
	err = g.r.open(ctx, f)
	for err == nil {
		p := plan[S, E]{at: f.at}
		jobs = g.fill(&p, f, q, jobs)
		if len(p.encoded) == 0 {
			if err = g.unchanged(ctx, f, &p); err == nil && len(p.steps) == 0 {
				return 0, nil
			}
			continue
		}
		g.seal(&p, f)
		var appended store.Appended
		appended, err = g.r.commit(ctx, f, p.encoded, p.claims)
		if err != nil && !errors.Is(err, ErrUnknownOutcome) {
			g.unsend(jobs)
		}
		switch {
		case err == nil && !appended.Replayed:
			g.recorded(ctx, f, &p, appended)
			return len(p.encoded), nil
		case err == nil: // each caller looks for its own events
			return len(p.encoded), nil
		case errors.Is(err, store.ErrConflict):
			q.contended = true
			g.exhaust(jobs, f.attempt, err)
			if err = g.r.again(ctx, f, err); err == nil {
				err = g.r.catchUp(ctx, f)
			}
		case errors.Is(err, store.ErrDuplicate) && g.turnOut(&p, err):
			err, f.doubt = nil, false
		case refused(err) && g.old(ctx, f, &err):
		default:
			g.failed(&p, err)
			return 0, err
		}
	}
	for _, j := range jobs {
		g.reply(j, answer[S, E]{err: err})
	}
	return 0, err
}

// old reports whether err, a refusal of events, comes from a state in f that was not the
// head of the stream. Then it moves f to the head and clears err.
func (g *Group[C, S, E]) old(ctx context.Context, f *flight[S], err *error) bool {
	f.guess = !f.fresh
	moved, lost := g.r.confirm(ctx, f)
	if moved || lost != nil {
		*err = lost
	}
	return moved
}

// unchanged answers the jobs of p, none of which decided any events, once it is certain
// that they were decided on the head of the stream. If they were not, p keeps its steps,
// and the jobs must be decided again.
func (g *Group[C, S, E]) unchanged(ctx context.Context, f *flight[S], p *plan[S, E]) error {
	if !f.fresh && len(p.steps) > 0 {
		if err := g.r.catchUp(ctx, f); err != nil || f.at.Version != p.at.Version {
			return err
		}
	}
	for i := range p.steps {
		g.settled(f, &p.steps[i])
	}
	p.steps = nil
	g.r.keep(f)
	return nil
}

// fill plans jobs until the batch is full, and returns the jobs that it has taken. It
// tells jobs that must run alone.
func (g *Group[C, S, E]) fill(p *plan[S, E], f *flight[S], q *queue[S, E], jobs []*job[S, E]) []*job[S, E] {
	jobs = g.live(jobs)
	for i, j := range jobs {
		s, ok := g.step(p, f, j)
		switch {
		case !ok:
			g.reply(j, answer[S, E]{alone: true})
		case len(s.events) == 0:
			p.steps = append(p.steps, s)
		case p.full(s.encoded):
			g.requeue(q, jobs[i:])
			return jobs[:i]
		case g.send(j):
			p.steps = append(p.steps, s)
			p.encoded = append(p.encoded, s.encoded...)
			p.claims = addClaims(p.claims, s.claims)
			p.at = s.after
		}
	}
	return jobs
}

// full adds the size of encoded to p, and reports whether p is too large.
func (p *plan[S, E]) full(encoded []store.Event) bool {
	for i := range encoded {
		p.size += len(encoded[i].Data)
	}
	return len(p.encoded) > 0 && (len(p.encoded)+len(encoded) > maxBatchEvents || p.size > maxBatchData)
}

// step decides j on the state after p. It runs every user function, so that none has to
// run after the append. It returns false if j must run alone: if it panics, because its
// own caller must see the panic, or if its command may have been recorded before.
func (g *Group[C, S, E]) step(p *plan[S, E], f *flight[S], j *job[S, E]) (s step[S, E], ok bool) {
	defer func() { _ = recover() }()
	s = step[S, E]{job: j, own: g.r.own(p.at)} // the others never see what j does to it
	events, err := j.decide(s.own.State)
	if err != nil {
		events, err = nil, &RejectedError{Stream: f.stream, Err: err}
	}
	if len(events) > 0 {
		err = g.draft(p, f, &s, events)
	}
	if s.err = err; err != nil || len(events) == 0 {
		return s, j.key.command == ""
	}
	s.events = events
	return s, true
}

// draft completes s with events.
func (g *Group[C, S, E]) draft(p *plan[S, E], f *flight[S], s *step[S, E], events []E) error {
	p.now = g.r.clock()
	s.job.key = s.job.key.begun(p.now)
	encoded, err := g.r.encode(nil, f.stream, s.job.key, s.job.meta, events, p.now)
	if err != nil {
		return err
	}
	scratch := g.r.borrow()
	next, err := g.r.apply(scratch, f.stream, s.own, events, encoded)
	g.r.giveBack(scratch, scratch.encoded)
	if err != nil {
		return err
	}
	s.encoded, s.claims, s.after, s.own = encoded, next.claims, next.at, g.r.own(next.at)
	return nil
}

// settled answers s, which decided no events.
func (g *Group[C, S, E]) settled(f *flight[S], s *step[S, E]) {
	g.reply(s.job, answer[S, E]{out: Outcome[S, E]{Loaded: s.own, Attempts: f.attempt}, err: s.err})
}

// seal prepares the work that follows once p is recorded.
func (g *Group[C, S, E]) seal(p *plan[S, E], f *flight[S]) {
	if g.r.snapshots == nil {
		return
	}
	out := Outcome[S, E]{Attempts: f.attempt}
	for i := range p.steps {
		out.Events = append(out.Events, p.steps[i].events...)
	}
	if err := guarded("Cache.Clone", func() { out.Loaded = g.r.own(p.at) }); err != nil {
		p.save = savepoint{due: true, err: err}
		return
	}
	p.save = g.r.savepoint(out)
}

// recorded answers the jobs of p, whose events were appended.
func (g *Group[C, S, E]) recorded(ctx context.Context, f *flight[S], p *plan[S, E], a store.Appended) {
	f.at, f.fresh, f.seen = p.at, true, p.now
	g.r.put(f)
	for i := range p.steps {
		s := &p.steps[i]
		if len(s.events) == 0 {
			g.settled(f, s)
			continue
		}
		g.reply(s.job, answer[S, E]{out: Outcome[S, E]{
			Loaded: s.own, Events: s.events, Position: a.Position, Attempts: f.attempt,
		}})
	}
	g.r.save(ctx, f, &p.save, p.at.Version)
}

// turnOut makes the job of p whose event ID is taken, according to err, run alone. It
// returns false if there is none.
func (g *Group[C, S, E]) turnOut(p *plan[S, E], err error) bool {
	var taken *store.DuplicateError
	if !errors.As(err, &taken) {
		return false
	}
	at := slices.IndexFunc(p.encoded, func(e store.Event) bool { return e.ID == taken.EventID })
	for i := range p.steps {
		s := &p.steps[i]
		if n := len(s.events); at >= 0 && at < n {
			g.reply(s.job, answer[S, E]{alone: true, taken: true})
			return true
		}
		at -= len(s.events)
	}
	return false
}

// failed answers the jobs of p, whose append ended with err. If it is not certain which
// job caused the error, it does not answer them, and so they run alone.
func (g *Group[C, S, E]) failed(p *plan[S, E], err error) {
	writers := 0
	for i := range p.steps {
		writers += min(1, len(p.steps[i].events))
	}
	var unknown *UnknownOutcomeError
	for i := range p.steps {
		s := &p.steps[i]
		switch {
		case len(s.events) == 0:
		case errors.As(err, &unknown):
			g.reply(s.job, answer[S, E]{err: &UnknownOutcomeError{
				Stream: unknown.Stream, CommandID: s.job.key.command, Err: unknown.Err,
			}})
		case writers == 1:
			g.reply(s.job, answer[S, E]{err: err})
		}
	}
}
