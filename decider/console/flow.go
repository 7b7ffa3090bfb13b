package console

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evolvego/evolve/store"
)

const (
	maxAncestors = 64  // causes that a flow follows back
	maxFlow      = 500 // events of a flow
)

// flowNode is an event of a flow, with the events that it caused.
type flowNode struct {
	Row   row         `json:"event"`
	After duration    `json:"after_seconds"`  // since the first event of the flow
	Here  bool        `json:"here,omitempty"` // the requested event
	Kids  []*flowNode `json:"caused,omitempty"`
}

type flowView struct {
	view `json:"-"`

	ID          string      `json:"id,omitempty"`
	Correlation string      `json:"correlation_id,omitempty"`
	Roots       []*flowNode `json:"flow"`
	N           int         `json:"events"`
	Streams     int         `json:"streams"`
	Cause       string      `json:"cause,omitempty"`       // the cause that the first event names: a command
	Cut         bool        `json:"cut,omitempty"`         // there may be more
	Newest      bool        `json:"newest_only,omitempty"` // the store cannot find older events by their ids
	Mermaid     string      `json:"-"`
}

// flowPage shows the causes and consequences of an event: the events that name its
// correlation, or name one another as their causes.
func (c *Console) flowPage(q *request) error {
	ctx := q.r.Context()
	v := flowView{view: q.view("./", "Flow"), ID: q.r.FormValue("id"), Correlation: q.r.FormValue("correlation")}
	events, err := q.flow(ctx, &v)
	if err != nil {
		return err
	}
	if len(events) == 0 && v.ID != "" {
		return q.missing()
	}
	v.Newest = q.source.finder == nil
	v.grow(events)
	return q.answer("flow", v)
}

// flow returns the events of a flow, oldest first.
func (q *request) flow(ctx context.Context, v *flowView) (events []store.Recorded, err error) {
	if v.ID == "" {
		next, err := q.source.scan(ctx, store.LogOptions{Backward: true}, func(e *store.Recorded) bool {
			if v.Correlation != "" && e.Meta.CorrelationID == v.Correlation {
				events = append(events, *e)
			}
			return len(events) < maxFlow
		})
		v.Cut = next > 0
		slices.Reverse(events)
		return events, err
	}
	first, found, err := q.source.find(ctx, v.ID)
	if err != nil || !found {
		return nil, err
	}
	v.Correlation = first.Meta.CorrelationID
	known := map[string]bool{first.ID: true}
	events = append(events, first)
	for range maxAncestors {
		cause, found, err := q.source.find(ctx, first.Meta.CausationID)
		if err != nil {
			return nil, err
		}
		if !found || known[cause.ID] {
			break
		}
		known[cause.ID] = true
		events, first = append(events, cause), cause
	}
	next, err := q.source.scan(ctx, store.LogOptions{From: first.Position}, func(e *store.Recorded) bool {
		if !known[e.ID] && (known[e.Meta.CausationID] || v.Correlation != "" && e.Meta.CorrelationID == v.Correlation) {
			known[e.ID] = true
			events = append(events, *e)
		}
		return len(events) < maxFlow
	})
	v.Cut = next > 0
	slices.SortFunc(events, func(a, b store.Recorded) int { return int(a.Position) - int(b.Position) }) //nolint:gosec // of one log, near each other
	return events, err
}

// grow builds trees of events: each event is below the one that it names as its cause.
func (v *flowView) grow(events []store.Recorded) {
	nodes := make(map[string]*flowNode, len(events))
	streams := make(map[store.Stream]bool)
	var mermaid strings.Builder
	mermaid.WriteString("flowchart TD\n")
	for i := range events {
		e := &events[i]
		n := &flowNode{Row: rowOf(e), Here: e.ID == v.ID, After: duration(max(0, e.RecordedAt.Sub(events[0].RecordedAt)).Round(time.Microsecond))}
		nodes[e.ID], streams[e.Stream] = n, true
		fmt.Fprintf(&mermaid, "  e%d[\"%s<br>%s v%d\"]\n", e.Position, plain(e.Type), plain(e.Stream.Type+"/"+e.Stream.ID), e.Version)
		if cause := nodes[e.Meta.CausationID]; cause != nil && cause != n {
			cause.Kids = append(cause.Kids, n)
			fmt.Fprintf(&mermaid, "  e%d --> e%d\n", cause.Row.Position, e.Position)
			continue
		}
		v.Roots = append(v.Roots, n)
	}
	if len(v.Roots) > 0 {
		v.Cause = v.Roots[0].Row.Causation
	}
	v.N, v.Streams, v.Mermaid = len(events), len(streams), mermaid.String()
}

// plain returns text without characters that Mermaid interprets.
func plain(text string) string {
	return strings.NewReplacer(`"`, "#quot;", "<", "#lt;", ">", "#gt;", "`", "#96;").Replace(line(text))
}
