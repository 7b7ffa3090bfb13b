package runner

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/evolvego/evolve/store"
)

// Where a batch is full, unless it is a single command that gives more.
const (
	maxBatchEvents = 1000
	maxBatchData   = 1 << 20
)

// plan is what the jobs of a batch give, one after the other.
type plan[S, E any] struct {
	steps   []step[S, E]
	encoded []store.Event
	claims  []store.Claim
	size    int       // bytes of data in encoded
	at      Loaded[S] // after the steps
	now     time.Time // of the last events
}

// step is what one job of a batch gives.
type step[S, E any] struct {
	job    *job[S, E]
	events []E
	at     Loaded[S]
	err    error // if it is rejected
}

// run loads, decides and appends until each of jobs has its answer. Those for which
// the batch has no room go back to q.
func (g *Group[C, S, E]) run(ctx context.Context, f flight[S], q *queue[S, E], jobs []*job[S, E]) {
	defer func() {
		_ = recover() // the callers meet it again, each on its own goroutine
		g.handBack(jobs)
	}()
	f.most = slices.MaxFunc(jobs, func(a, b *job[S, E]) int { return a.most - b.most }).most
	if q.known {
		f.o.source, f.o.memento = fromMemento, q.at
	}
	err := g.r.open(ctx, &f)
	for err == nil {
		p := plan[S, E]{at: f.at}
		jobs = g.fill(&p, &f, q, jobs)
		if len(p.encoded) == 0 {
			g.r.keep(&f)
			q.at, q.known = f.at, true
			return
		}
		var appended store.Appended
		appended, err = g.r.commit(ctx, &f, p.encoded, p.claims)
		switch {
		case err == nil && !appended.Replayed:
			g.recorded(ctx, &f, &p, appended)
			q.at, q.known = f.at, true
			return
		case err == nil: // each looks for its own events
			return
		case errors.Is(err, store.ErrConflict):
			g.unsend(jobs, f.attempt, err)
			if err = g.r.again(ctx, &f, err); err == nil {
				err = g.r.catchUp(ctx, &f)
			}
		case errors.Is(err, store.ErrDuplicate) && g.turnOut(&p, err):
			g.unsend(jobs, 0, nil)
			err, f.doubt = nil, false
		default:
			if !errors.Is(err, ErrUnknownOutcome) {
				g.unsend(jobs, 0, nil)
			}
			g.failed(&p, err)
			return
		}
	}
	for _, j := range jobs {
		g.reply(j, answer[S, E]{err: err})
	}
}

// fill plans jobs until the batch is full, and returns those that it has taken. A
// job that has an answer without an append gets it.
func (g *Group[C, S, E]) fill(p *plan[S, E], f *flight[S], q *queue[S, E], jobs []*job[S, E]) []*job[S, E] {
	jobs = g.live(jobs)
	for i, j := range jobs {
		s, encoded, ok := g.step(p, f, j)
		switch {
		case !ok:
			g.reply(j, answer[S, E]{alone: true})
		case len(s.events) == 0 && len(p.encoded) == 0:
			g.settled(f, &s)
		case len(s.events) == 0:
			p.steps = append(p.steps, s)
		case p.full(encoded):
			g.requeue(q, jobs[i:])
			return jobs[:i]
		case g.send(j):
			p.steps = append(p.steps, s)
			p.encoded = append(p.encoded, encoded...)
			p.claims = g.r.addClaims(p.claims, f.stream, s.events)
			p.at = s.at
		}
	}
	return jobs
}

// full adds the size of encoded to p, and reports whether that is too much.
func (p *plan[S, E]) full(encoded []store.Event) bool {
	for i := range encoded {
		p.size += len(encoded[i].Data)
	}
	return len(p.encoded) > 0 && (len(p.encoded)+len(encoded) > maxBatchEvents || p.size > maxBatchData)
}

// step decides j on the state after p. It is not ok if j is to be run alone: if it
// panics, which is its caller's to meet, or if its command may have landed before.
func (g *Group[C, S, E]) step(p *plan[S, E], f *flight[S], j *job[S, E]) (s step[S, E], encoded []store.Event, ok bool) {
	defer func() { _ = recover() }()
	events, err := j.decide(p.at.State)
	if err != nil {
		events, err = nil, &RejectedError{Stream: f.stream, Err: err}
	}
	if len(events) > 0 {
		p.now = g.r.clock()
		j.key = j.key.begun(p.now)
		if encoded, err = g.r.encode(nil, f.stream, j.key, j.meta, events, p.now); err != nil {
			events = nil
		}
	}
	if len(events) == 0 {
		return step[S, E]{job: j, at: p.at, err: err}, nil, j.key.command == ""
	}
	after := Loaded[S]{State: p.at.State, Version: p.at.Version + uint64(len(events))}
	for i := range events {
		after.State = g.r.decider.Evolve(after.State, events[i])
	}
	return step[S, E]{job: j, events: events, at: after}, encoded, true
}

// settled answers s, which gave no events on what is recorded.
func (g *Group[C, S, E]) settled(f *flight[S], s *step[S, E]) {
	g.reply(s.job, answer[S, E]{out: Outcome[S, E]{Loaded: g.r.own(s.at), Attempts: f.attempt}, err: s.err})
}

// recorded answers p, whose events were appended.
func (g *Group[C, S, E]) recorded(ctx context.Context, f *flight[S], p *plan[S, E], a store.Appended) {
	f.at, f.fresh, f.seen = p.at, true, p.now
	g.r.keep(f)
	if g.r.snapshots != nil {
		out := Outcome[S, E]{Loaded: p.at, Position: a.Position, Attempts: f.attempt}
		for i := range p.steps {
			out.Events = append(out.Events, p.steps[i].events...)
		}
		g.r.snap(ctx, f.stream, out)
	}
	for i := range p.steps {
		s := &p.steps[i]
		if len(s.events) == 0 {
			g.settled(f, s)
			continue
		}
		g.reply(s.job, answer[S, E]{out: Outcome[S, E]{
			Loaded: g.r.own(s.at), Events: s.events, Position: a.Position, Attempts: f.attempt,
		}})
	}
}

// turnOut lets the job of p alone whose event id is the taken one that err tells,
// and reports false if there is none.
func (g *Group[C, S, E]) turnOut(p *plan[S, E], err error) bool {
	var taken *store.DuplicateError
	if !errors.As(err, &taken) {
		return false
	}
	at := slices.IndexFunc(p.encoded, func(e store.Event) bool { return e.ID == taken.EventID })
	for i := range p.steps {
		s := &p.steps[i]
		if n := len(s.events); at >= 0 && at < n {
			g.reply(s.job, answer[S, E]{alone: true})
			return true
		}
		at -= len(s.events)
	}
	return false
}

// failed answers p, whose append ended with err. What is not one job's own matter is
// not answered: the job is run alone.
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
