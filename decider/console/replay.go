package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/store"
)

const (
	maxKept     = 20  // jobs to keep
	maxExamples = 200 // differences of each kind to keep
)

// jobs holds replays that are running or have ended. The zero value is ready to use.
type jobs struct {
	mu   sync.Mutex
	last int          // guarded by mu
	all  map[int]*job // guarded by mu
}

// job is a replay: what a candidate would have decided on the recorded events.
type job struct {
	id        int
	tenant    string
	streams   string // their type
	candidate string
	since     time.Time
	began     time.Time

	mu     sync.Mutex
	result replayed // guarded by mu
}

// replayed is the result of a replay so far.
type replayed struct {
	Streams  int       `json:"streams"`
	Events   int       `json:"events"`
	Commands int       `json:"commands"`
	Same     int       `json:"same"`     // the same events
	Other    int       `json:"other"`    // other events
	Rejected int       `json:"rejected"` // now rejected
	Unknown  int       `json:"unknown"`  // the command is not known
	Failed   int       `json:"failed"`   // streams that could not be folded to the end
	States   int       `json:"states"`   // streams whose last state differs
	Examples []example `json:"examples"`
	Done     bool      `json:"done"`
	Problem  string    `json:"problem,omitempty"`
	Took     duration  `json:"took_seconds"`
}

// duration is a duration that is JSON in seconds.
type duration time.Duration

func (d duration) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(d).Seconds(), 'f', 3, 64), nil
}

// String formats d for people.
func (d duration) String() string { return took(time.Duration(d)) }

// example is a difference that a replay has found.
type example struct {
	Kind    string       `json:"kind"` // "different events", "now rejected", "different state" or "cannot be folded"
	Stream  store.Stream `json:"stream"`
	Version uint64       `json:"version"` // before the command
	Command string       `json:"command,omitempty"`
	Was     string       `json:"was,omitempty"`
	Now     string       `json:"now,omitempty"`
}

// note changes the result of j.
func (j *job) note(change func(*replayed)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(&j.result)
}

func (j *job) example(x example) {
	j.note(func(r *replayed) {
		of := 0
		for i := range r.Examples {
			if r.Examples[i].Kind == x.Kind {
				of++
			}
		}
		if of < maxExamples {
			r.Examples = append(r.Examples, x)
		}
	})
}

// snapshot returns the result of j so far.
func (j *job) snapshot() replayed {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.result
	r.Examples = slices.Clone(r.Examples)
	if !r.Done {
		r.Took = duration(now().Sub(j.began))
	}
	return r
}

// begin runs do as a job, unless too many are running already.
func (c *Console) begin(j *job, do func(context.Context) error) error {
	select {
	case c.asks <- struct{}{}:
	default:
		return &pageError{http.StatusServiceUnavailable, "Busy", "Too many replays are running. Wait until one has ended."}
	}
	c.jobs.add(j)
	c.goOn(func() {
		defer func() { <-c.asks }()
		var err error
		func() {
			defer recovered("the replay", &err)
			err = do(c.stopped)
		}()
		j.note(func(r *replayed) {
			r.Done, r.Took = true, duration(now().Sub(j.began))
			if err != nil {
				r.Problem = err.Error()
			}
		})
	})
	return nil
}

func (s *jobs) add(j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[int]*job)
	}
	s.last++
	j.id, j.began = s.last, now()
	s.all[j.id] = j
	for id, old := range s.all {
		if id <= s.last-maxKept && old.snapshot().Done {
			delete(s.all, id)
		}
	}
}

func (s *jobs) find(id uint64, tenant string) (*job, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.all[int(id)] //nolint:gosec // another number is no job
	return j, ok && j.tenant == tenant
}

type replayView struct {
	view `json:"-"`

	Type       string   `json:"type"`
	Candidates []string `json:"candidates"`
}

// replayable returns the type that the arguments name.
func (q *request) replayable() (Type, error) {
	t, ok := q.c.types[q.r.FormValue("type")]
	if !ok || len(t.model.candidates()) == 0 || !q.access.Data {
		return Type{}, errNotFound
	}
	return t, nil
}

func (c *Console) replayPage(q *request) error {
	t, err := q.replayable()
	if err != nil {
		return err
	}
	name := t.model.name()
	return q.answer("replay", replayView{q.view("streams", "Replay "+clean(name)), name, t.model.candidates()})
}

// startReplay begins a replay, and redirects to its page.
func (c *Console) startReplay(q *request) error {
	t, err := q.replayable()
	if err != nil {
		return err
	}
	j := &job{tenant: q.tenant, streams: t.model.name(), candidate: q.r.FormValue("candidate")}
	if !slices.Contains(t.model.candidates(), j.candidate) {
		return badRequest("There is no candidate %q.", j.candidate)
	}
	if since := q.r.FormValue("since"); since != "" {
		if j.since, err = parseTime(since); err != nil {
			return err
		}
	}
	src := *q.source
	if err := c.begin(j, func(ctx context.Context) error { return t.model.replay(ctx, &src, j) }); err != nil {
		return err
	}
	redirect(q.w, q.view("", "").Link("job", "id", j.id))
	return nil
}

type jobView struct {
	view `json:"-"`

	Type      string   `json:"type"`
	Candidate string   `json:"candidate"`
	Since     string   `json:"since,omitempty"`
	Result    replayed `json:"result"`
	Reload    string   `json:"-"`
}

func (c *Console) jobPage(q *request) error {
	id, err := number(q.r, "id")
	if err != nil {
		return err
	}
	j, ok := c.jobs.find(id, q.tenant)
	if !ok || !q.access.Data {
		return errNotFound
	}
	v := jobView{view: q.view("streams", "Replay "+clean(j.streams)), Type: j.streams, Candidate: j.candidate, Since: when(j.since), Result: j.snapshot()}
	if !v.Result.Done {
		v.Reload = v.Link("job", "id", id)
	}
	return q.answer("job", v)
}

// replay runs each recorded command with a candidate, on the state that the candidate
// makes of the events before it.
func (a aggregate[C, S, E]) replay(ctx context.Context, src *source, j *job) error {
	return eachStream(ctx, src, a.m.Type, func(s store.Stream) error {
		r := replaying[C, S, E]{aggregate: a, job: j, stream: s}
		return r.run(ctx, src)
	})
}

// eachStream calls do for each stream of a type. If the store cannot list its streams, it
// reads the whole log.
func eachStream(ctx context.Context, src *source, typ string, do func(store.Stream) error) error {
	if src.finder == nil {
		seen := make(map[store.Stream]bool)
		for o := (store.LogOptions{Filter: store.Filter{StreamTypes: []string{typ}}}); ; {
			page, err := src.readAll(ctx, o)
			if err != nil {
				return err
			}
			for i := range page.Events {
				if s := page.Events[i].Stream; !seen[s] {
					seen[s] = true
					if err := do(s); err != nil {
						return err
					}
				}
			}
			if page.End {
				return nil
			}
			o.From = page.Next
		}
	}
	for o := (store.StreamsOptions{Type: typ}); ; {
		page, err := src.finder.ListStreams(ctx, o)
		if err != nil {
			return err
		}
		for _, info := range page.Streams {
			if err := do(info.Stream); err != nil {
				return err
			}
			o.After = info.Stream
		}
		if page.End {
			return nil
		}
	}
}

// replaying is the replay of a stream.
type replaying[C, S, E any] struct {
	aggregate[C, S, E]

	job      *job
	stream   store.Stream
	is, then *folding[C, S, E] // by today's rules, and by those of the candidate
	batch    []store.Recorded
}

func (r *replaying[C, S, E]) run(ctx context.Context, src *source) error {
	r.job.note(func(res *replayed) { res.Streams++ })
	candidate := r.m.Candidates[r.job.candidate]
	var failed error
	if r.is, failed = r.start(r.m.Decider); failed == nil {
		r.then, failed = r.start(candidate)
	}
	if failed == nil {
		err := walk(ctx, src, r.stream, ^uint64(0)>>1, func(e *store.Recorded) error {
			if n := len(r.batch); n > 0 && (e.Meta.CausationID == "" || e.Meta.CausationID != r.batch[n-1].Meta.CausationID) {
				if failed = r.flush(); failed != nil {
					return errFolded
				}
			}
			r.batch = append(r.batch, *e)
			return ctx.Err()
		})
		if err != nil && !errors.Is(err, errFolded) {
			return err
		}
	}
	if failed == nil {
		failed = r.flush()
	}
	switch {
	case failed != nil:
		r.job.note(func(res *replayed) { res.Failed++ })
		r.job.example(example{Kind: "cannot be folded", Stream: r.stream, Now: show.Cut(failed.Error(), 300)})
	case !show.Same(r.is.state, r.then.state):
		r.job.note(func(res *replayed) { res.States++ })
		r.job.example(example{Kind: "different state", Stream: r.stream, Was: show.Cut(show.Text(r.is.state), 300), Now: show.Cut(show.Text(r.then.state), 300)})
	}
	return nil
}

// flush runs the command of the batch with the candidate, and folds the batch.
func (r *replaying[C, S, E]) flush() error {
	if len(r.batch) == 0 {
		return nil
	}
	if !r.batch[0].RecordedAt.Before(r.job.since) {
		if err := r.judge(); err != nil {
			return err
		}
	}
	for i := range r.batch {
		for _, f := range []*folding[C, S, E]{r.is, r.then} {
			if err := f.add(&r.batch[i]); err != nil {
				return err
			}
		}
	}
	n := len(r.batch)
	r.job.note(func(res *replayed) { res.Events += n })
	r.batch = r.batch[:0]
	return nil
}

func (r *replaying[C, S, E]) judge() error {
	cmd, known, err := r.caused()
	if err != nil {
		return err
	}
	if !known {
		r.job.note(func(res *replayed) { res.Unknown++ })
		return nil
	}
	was, err := r.m.Codec.Decode(nil, r.batch)
	if err != nil {
		return err
	}
	events, rejection, err := decide(r.m.Candidates[r.job.candidate], cmd, r.then.state)
	if err != nil {
		rejection = err
	}
	x := example{Stream: r.stream, Version: r.batch[0].Version - 1, Command: show.Cut(show.Text(cmd), 300), Was: show.Cut(texts(was), 300)}
	switch {
	case rejection != nil:
		r.job.note(func(res *replayed) { res.Commands++; res.Rejected++ })
		x.Kind, x.Now = "now rejected", show.Cut(rejection.Error(), 300)
	case show.Same(was, events):
		r.job.note(func(res *replayed) { res.Commands++; res.Same++ })
		return nil
	default:
		r.job.note(func(res *replayed) { res.Commands++; res.Other++ })
		x.Kind, x.Now = "different events", show.Cut(texts(events), 300)
	}
	r.job.example(x)
	return nil
}

func (r *replaying[C, S, E]) caused() (cmd C, known bool, err error) {
	defer recovered("Caused", &err)
	cmd, known = r.m.Caused(r.batch)
	return cmd, known, nil
}

// texts returns events on one line.
func texts[E any](events []E) string {
	if len(events) == 0 {
		return "nothing"
	}
	all := make([]string, len(events))
	for i, e := range events {
		all[i] = show.Text(e)
	}
	return strings.Join(all, ", ")
}
