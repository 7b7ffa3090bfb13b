package console

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
)

var _ runner.Observer = (*Recent)(nil)

// Recent keeps the latest commands of runners, in the memory of this process. Rejections
// and conflicts leave nothing in the log, so this is where you see them. Use it as the
// observer of your runners and as [Config.Recent]. [NewRecent] makes one. It is safe for
// concurrent use.
type Recent struct {
	mu      sync.Mutex
	notices []*recent // guarded by mu; a ring
	next    int       // guarded by mu
}

type recent struct {
	at     time.Time
	notice runner.Notice
}

// NewRecent returns a Recent that keeps the last n commands. It panics if n < 1.
func NewRecent(n int) *Recent {
	if n < 1 {
		panic("console: NewRecent: n is below 1")
	}
	return &Recent{notices: make([]*recent, 0, n)}
}

// Observe is [runner.Observer.Observe]. It keeps the end of each command.
func (r *Recent) Observe(_ context.Context, n runner.Notice) {
	if n.Kind != runner.CommandHandled {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	is := &recent{now(), n}
	if len(r.notices) < cap(r.notices) {
		r.notices = append(r.notices, is)
		return
	}
	r.notices[r.next] = is
	r.next = (r.next + 1) % len(r.notices)
}

// newest returns the commands, newest first.
func (r *Recent) newest() []*recent {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.Concat(r.notices[r.next:], r.notices[:r.next])
	slices.Reverse(all)
	return all
}

type recentRow struct {
	At        time.Time    `json:"at"`
	Stream    store.Stream `json:"stream"`
	Command   string       `json:"command"`
	CommandID string       `json:"command_id,omitempty"`
	Outcome   string       `json:"outcome"`
	Attempts  int          `json:"attempts"`
	Version   uint64       `json:"version,omitempty"`
	Took      duration     `json:"took_seconds"`
	Why       string       `json:"why,omitempty"`
	Bad       bool         `json:"-"`
	Try       string       `json:"-"`
}

type recentView struct {
	view `json:"-"`

	Rows   []recentRow `json:"commands"`
	Only   string      `json:"only,omitempty"`
	Counts []outcome   `json:"counts"`
}

type outcome struct {
	Name string `json:"outcome"`
	N    int    `json:"n"`
}

// recentPage shows the latest commands of runners. It assumes that they belong to the
// default tenant.
func (c *Console) recentPage(q *request) error {
	if c.config.Recent == nil || q.tenant != store.DefaultTenant {
		return errNotFound
	}
	v := recentView{view: q.view("recent", "Recent"), Only: q.r.FormValue("only")}
	counts := make(map[string]int)
	for _, is := range c.config.Recent.newest() {
		r := recentRowOf(is)
		if counts[r.Outcome]++; v.Only != "" && v.Only != r.Outcome || len(v.Rows) >= 4*pageSize {
			continue
		}
		if !q.access.Data { // a rejection may reveal the state
			r.Why = ""
		}
		if t, ok := c.types[r.Stream.Type]; ok && q.access.Data && len(t.model.commands()) > 0 {
			r.Try = v.Link("try", "type", r.Stream.Type, "id", r.Stream.ID)
		}
		v.Rows = append(v.Rows, r)
	}
	for _, name := range []string{"appended", "unchanged", "replayed", "rejected", "conflict", "failed"} {
		if counts[name] > 0 {
			v.Counts = append(v.Counts, outcome{name, counts[name]})
		}
	}
	return q.answer("recent", v)
}

func recentRowOf(is *recent) recentRow {
	n := &is.notice
	r := recentRow{
		At: is.at, Stream: n.Stream, Command: n.Command, CommandID: n.CommandID, Attempts: n.Attempt, Version: n.Version, Took: duration(n.Took),
	}
	switch {
	case errors.Is(n.Err, store.ErrConflict):
		r.Outcome = "conflict"
	case errors.Is(n.Err, runner.ErrRejected):
		r.Outcome, r.Bad = "rejected", true
	case n.Err != nil:
		r.Outcome, r.Bad = "failed", true
	case n.Replayed:
		r.Outcome = "replayed"
	case n.Events == 0:
		r.Outcome = "unchanged"
	default:
		r.Outcome = "appended"
	}
	switch {
	case n.Err != nil:
		r.Why = n.Err.Error()
	case n.Attempt > 2:
		r.Why = "this stream has many writers: a runner.Group handles their commands together"
	}
	return r
}
