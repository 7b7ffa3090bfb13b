package console

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
)

const (
	maxBulk     = 1000             // keys or instances of one action
	auditWithin = 10 * time.Second // for the entry that an action failed, even if the client is gone
)

// Action is the data of an entry for [Config].Audit, as JSON.
type Action struct {
	Who      string `json:"who"`
	Tenant   string `json:"tenant"`
	What     string `json:"what"`               // retry, retry-all, release, release-all, skip or abandon
	Name     string `json:"name"`               // the projection or the process
	Of       string `json:"of,omitempty"`       // the key or the instance; empty: several
	Position uint64 `json:"position,omitempty"` // of the input that is skipped
	Most     int    `json:"most,omitempty"`     // of a bulk action: the limit
	Reason   string `json:"reason,omitempty"`
	Error    string `json:"error,omitempty"` // why it failed
}

// action is an Action that a form requests.
type action struct {
	Action

	expect  uint64 // the number that the page showed
	confirm string
}

func (q *request) action() (a action, err error) {
	value := q.r.PostFormValue
	a.Action = Action{
		Who: q.access.Name, Tenant: q.tenant, What: value("what"), Name: value("name"), Of: value("of"), Reason: value("reason"),
	}
	a.confirm = value("confirm")
	if a.expect, err = number(q.r, "expect"); err != nil {
		return a, err
	}
	if a.What == "skip" {
		if a.Position, err = number(q.r, "position"); err != nil {
			return a, err
		}
	}
	switch a.What {
	case "retry", "release":
	case "skip", "abandon":
		if a.confirm != a.Name {
			return a, badRequest("You cannot undo this (%s). Type the name of the process, %s, to confirm.", a.What, clean(a.Name))
		}
	case "retry-all", "release-all":
		most, err := number(q.r, "most")
		if err != nil {
			return a, err
		}
		if a.Of, a.Most = "", int(min(most, maxBulk+1)); a.Most < 1 || a.Most > maxBulk {
			return a, badRequest("Enter how many to retry: 1 to %d at once.", maxBulk)
		}
		if a.confirm != a.Name {
			return a, badRequest("This retries several. Type the name, %s, to confirm.", clean(a.Name))
		}
	default:
		return a, badRequest("There is no action %q.", a.What)
	}
	return a, nil
}

// act does what a form requests, if its client may act and if the form is still up to
// date. It records the action first, if Config.Audit is set.
func (c *Console) act(q *request) error {
	if !q.access.Act {
		return &pageError{http.StatusForbidden, "Not allowed", "You may look, but you may not act."}
	}
	a, err := q.action()
	if err != nil {
		return err
	}
	ctx := q.r.Context()
	page, prepare := "waiting", q.onProcess
	if a.What == "retry" || a.What == "retry-all" {
		page, prepare = "parked", q.onProjection
	}
	do, err := prepare(ctx, a)
	if err != nil {
		return err
	}
	entry, err := c.audit(ctx, "ActionTaken", a.Action, "")
	if err != nil {
		c.logger.ErrorContext(ctx, "console: an action could not be recorded, so it was not done", "who", a.Who, "what", a.What, "name", a.Name, "error", err)
		return &pageError{http.StatusBadGateway, "Not done", "The action could not be recorded, so it was not done. The log of this program says why."}
	}
	done, err := do()
	c.logger.InfoContext(ctx, "console: action", "who", a.Who, "tenant", a.Tenant, "what", a.What, "name", a.Name, "of", a.Of, "most", a.Most, "reason", a.Reason, "error", err)
	if err != nil {
		a.Error = err.Error()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditWithin)
		defer cancel()
		if _, err := c.audit(ctx, "ActionFailed", a.Action, entry); err != nil {
			c.logger.ErrorContext(ctx, "console: the failure of an action could not be recorded", "entry", entry, "error", err)
		}
		return &pageError{http.StatusConflict, "It did not succeed", clean(err.Error())}
	}
	redirect(q.w, q.view("", "").Link(page, "name", a.Name, "done", done))
	return nil
}

// auditLog is the stream of the entries.
func auditLog() store.Stream { return store.Stream{Type: "Console", ID: "actions"} }

// auditStore returns the store for the entries, or nil if there are none.
func (c *Config) auditStore() (store.Store, error) {
	switch c.Audit {
	case "":
		return nil, nil //nolint:nilnil // there is none
	case store.DefaultTenant:
		return c.Store, nil
	}
	tenants, ok := c.Store.(store.Tenants)
	if !ok {
		return nil, fmt.Errorf("a %T has no tenants", c.Store)
	}
	return tenants.Tenant(c.Audit)
}

// audit records an entry, and returns its id. Cause is the id of the previous entry.
func (c *Console) audit(ctx context.Context, eventType string, a Action, cause string) (id string, err error) {
	if c.audits == nil {
		return "", nil
	}
	data, err := json.Marshal(a)
	if err != nil {
		return "", err
	}
	id = store.NewID()
	_, err = c.audits.Append(ctx, auditLog(), store.Any, []store.Event{{
		ID: id, Type: eventType, ContentType: "application/json", Data: data, Time: now(),
		Meta: store.Metadata{ActorID: a.Who, CausationID: cause},
	}})
	return id, err
}

// stale is the answer to a form that is out of date.
func stale(shown uint64, is int) error {
	return &pageError{http.StatusConflict, "It has changed", "The page showed " + strconv.FormatUint(shown, 10) + ", and now there are " + strconv.Itoa(is) + ". Reload the page."}
}

// onProjection returns the function that performs a.
func (q *request) onProjection(ctx context.Context, a action) (do func() (string, error), err error) {
	p, err := q.projection(ctx, a.Name)
	if err != nil {
		return nil, err
	}
	keys, err := p.Parked(ctx)
	if err != nil {
		return nil, err
	}
	if uint64(len(keys)) != a.expect {
		return nil, stale(a.expect, len(keys))
	}
	if a.What == "retry" {
		return func() (string, error) { return "tried " + line(a.Of) + " again", p.Unpark(ctx, a.Of) }, nil
	}
	slices.SortFunc(keys, func(x, y projection.Parked) int { return cmp.Compare(x.Position, y.Position) })
	return func() (string, error) {
		return a.each(ctx, len(keys), "key", func(i int) error { return p.Unpark(ctx, keys[i].Key) })
	}, nil
}

// onProcess returns the function that performs a.
func (q *request) onProcess(ctx context.Context, a action) (do func() (string, error), err error) {
	p, err := q.process(ctx, a.Name)
	if err != nil {
		return nil, err
	}
	waiting, err := p.Instances(ctx, func(i process.Instance) bool { return i.Waiting != nil })
	if err != nil {
		return nil, err
	}
	if uint64(len(waiting)) != a.expect {
		return nil, stale(a.expect, len(waiting))
	}
	switch a.What {
	case "release":
		return func() (string, error) { return "released " + line(a.Of), p.Release(ctx, a.Of) }, nil
	case "skip":
		return func() (string, error) { return "skipped an input of " + line(a.Of), p.Skip(ctx, a.Of, a.Position) }, nil
	case "abandon":
		return func() (string, error) { return "abandoned " + line(a.Of), p.Abandon(ctx, a.Of) }, nil
	}
	slices.SortFunc(waiting, func(x, y process.Instance) int { return cmp.Compare(x.Waiting.Position, y.Waiting.Position) })
	return func() (string, error) {
		return a.each(ctx, len(waiting), "instance", func(i int) error { return p.Release(ctx, waiting[i].ID) })
	}, nil
}

// each calls do for the first a.Most of n things, oldest first. A failure does not stop
// the others, because it would stop them each time.
func (a *action) each(ctx context.Context, n int, thing string, do func(i int) error) (done string, err error) {
	n = min(n, a.Most)
	failed, first := 0, error(nil)
	for i := range n {
		if ctx.Err() != nil {
			return "", fmt.Errorf("after %s: %w", plural(i, thing), ctx.Err())
		}
		if err := do(i); err != nil {
			if failed++; first == nil {
				first = err
			}
		}
	}
	if failed > 0 {
		return "", fmt.Errorf("%d of %s failed again; the first: %w", failed, plural(n, thing), first)
	}
	return "tried " + plural(n, thing) + " again", nil
}
