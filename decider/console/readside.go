package console

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
)

// Projection is the part of a projection that a console shows and acts on.
// *[projection.Projection] implements it. It must be safe for concurrent use.
type Projection interface {
	// Progress returns the progress.
	Progress() projection.Progress
	// Parked lists the parked keys.
	Parked(ctx context.Context) ([]projection.Parked, error)
	// Unpark retries the parked events of a key.
	Unpark(ctx context.Context, key string) error
}

// Process is the part of a process that a console shows and acts on. *[process.Runtime]
// implements it. It must be safe for concurrent use.
type Process interface {
	// Progress returns the progress.
	Progress() process.Progress
	// Instances returns the instances for which keep returns true.
	Instances(ctx context.Context, keep func(process.Instance) bool) ([]process.Instance, error)
	// Release retries an instance that waits.
	Release(ctx context.Context, instance string) error
	// Skip makes an instance continue after the input at position.
	Skip(ctx context.Context, instance string, position uint64) error
	// Abandon ends an instance permanently.
	Abandon(ctx context.Context, instance string) error
}

type projectionRow struct {
	Build    string    `json:"build"`
	State    string    `json:"state"`
	Position uint64    `json:"position"`
	Head     uint64    `json:"head"`
	Lag      uint64    `json:"lag"`
	Age      duration  `json:"lag_seconds"`
	Parked   int       `json:"parked"`
	Ready    bool      `json:"ready"`
	Cause    string    `json:"cause,omitempty"`
	Moved    time.Time `json:"moved,omitzero"`
	Bad      bool      `json:"-"`
}

type processRow struct {
	Build       string `json:"process"`
	State       string `json:"state"`
	Position    uint64 `json:"position"`
	Head        uint64 `json:"head"`
	Lag         uint64 `json:"lag"`
	Timers      int    `json:"timers"`
	Waiting     int    `json:"waiting"`
	Quarantined int    `json:"quarantined"`
	Cause       string `json:"cause,omitempty"`
	Bad         bool   `json:"-"`
}

type projectionsView struct {
	view `json:"-"`

	Rows []projectionRow `json:"projections"`
}

type processesView struct {
	view `json:"-"`

	Rows []processRow `json:"processes"`
}

func (q *request) readSide(ctx context.Context) ([]Projection, []Process, error) {
	if q.c.config.ReadSide == nil {
		return nil, nil, errNotFound
	}
	return q.c.config.ReadSide(ctx, q.tenant)
}

func (c *Console) projectionsPage(q *request) error {
	all, _, err := q.readSide(q.r.Context())
	if err != nil {
		return err
	}
	v := projectionsView{view: q.view("projections", "Projections")}
	for _, p := range all {
		v.Rows = append(v.Rows, projectionRowOf(p.Progress()))
	}
	return q.answer("projections", v)
}

func projectionRowOf(p projection.Progress) projectionRow {
	r := projectionRow{
		Build: p.Build, State: string(p.State), Position: p.Position, Head: p.Head, Lag: p.Head - min(p.Head, p.Position),
		Age: duration(p.Lag), Parked: p.Parked, Ready: p.Ready, Moved: p.Moved,
	}
	if p.Cause != nil {
		r.Cause = p.Cause.Error()
	}
	r.Bad = p.Cause != nil || p.Parked > 0
	return r
}

func (c *Console) processesPage(q *request) error {
	_, all, err := q.readSide(q.r.Context())
	if err != nil {
		return err
	}
	v := processesView{view: q.view("processes", "Processes")}
	for _, p := range all {
		is := p.Progress()
		r := processRow{
			Build: is.Process, State: string(is.State), Position: is.Position, Head: is.Head, Lag: is.Head - min(is.Head, is.Position),
			Timers: is.Timers, Waiting: is.Waiting, Quarantined: is.Quarantined, Bad: is.Cause != nil || is.Quarantined > 0,
		}
		if is.Cause != nil {
			r.Cause = is.Cause.Error()
		}
		v.Rows = append(v.Rows, r)
	}
	return q.answer("processes", v)
}

type parkedView struct {
	view `json:"-"`

	Name string              `json:"projection"`
	Keys []projection.Parked `json:"parked"`
	N    int                 `json:"n"`
	Done string              `json:"-"`
}

// projection returns the projection with a name.
func (q *request) projection(ctx context.Context, name string) (Projection, error) {
	all, _, err := q.readSide(ctx)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(all, func(p Projection) bool { return p.Progress().Build == name }); i >= 0 {
		return all[i], nil
	}
	return nil, errNotFound
}

// process returns the process with a name.
func (q *request) process(ctx context.Context, name string) (Process, error) {
	_, all, err := q.readSide(ctx)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(all, func(p Process) bool { return p.Progress().Process == name }); i >= 0 {
		return all[i], nil
	}
	return nil, errNotFound
}

// parkedPage lists the parked keys of a projection.
func (c *Console) parkedPage(q *request) error {
	name := q.r.FormValue("name")
	p, err := q.projection(q.r.Context(), name)
	if err != nil {
		return err
	}
	keys, err := p.Parked(q.r.Context())
	if err != nil {
		return err
	}
	v := parkedView{view: q.view("projections", "Parked in "+clean(name)), Name: name, Keys: keys, N: len(keys), Done: q.r.FormValue("done")}
	v.Keys = keys[:min(len(keys), 4*pageSize)]
	if !q.access.Data {
		for i := range v.Keys {
			v.Keys[i].Cause = ""
		}
	}
	return q.answer("parked", v)
}

type waitingRow struct {
	ID          string    `json:"id"`
	Position    uint64    `json:"position"`
	Timers      int       `json:"timers"`
	Waiting     bool      `json:"waiting"`
	Quarantined bool      `json:"quarantined"`
	Since       time.Time `json:"since,omitzero"`
	Attempts    int       `json:"attempts,omitempty"`
	Cause       string    `json:"cause,omitempty"`
}

type waitingView struct {
	view `json:"-"`

	Name    string       `json:"process"`
	Rows    []waitingRow `json:"instances"`
	Waiting int          `json:"waiting"`
	N       int          `json:"n"`
	Done    string       `json:"-"`
}

// waitingPage lists the instances of a process that are not over, those that wait first.
func (c *Console) waitingPage(q *request) error {
	name := q.r.FormValue("name")
	p, err := q.process(q.r.Context(), name)
	if err != nil {
		return err
	}
	all, err := p.Instances(q.r.Context(), nil)
	if err != nil {
		return err
	}
	v := waitingView{view: q.view("processes", "Instances of "+clean(name)), Name: name, N: len(all), Done: q.r.FormValue("done")}
	slices.SortStableFunc(all, func(a, b process.Instance) int {
		switch {
		case a.Waiting != nil && b.Waiting == nil:
			return -1
		case a.Waiting == nil && b.Waiting != nil:
			return 1
		}
		return strings.Compare(a.ID, b.ID)
	})
	for _, i := range all {
		r := waitingRow{ID: i.ID, Position: i.Position, Timers: i.Timers}
		if w := i.Waiting; w != nil {
			v.Waiting++
			r.Waiting, r.Quarantined, r.Since, r.Attempts, r.Position = true, w.Quarantined, w.Since, w.Attempts, w.Position
			if q.access.Data {
				r.Cause = w.Cause
			}
		}
		v.Rows = append(v.Rows, r)
	}
	v.Rows = v.Rows[:min(len(v.Rows), 4*pageSize)]
	return q.answer("waiting", v)
}
