package console

import (
	"context"
	"encoding/hex"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/store"
)

// payload is the part of an event's data that a page shows.
type payload struct {
	Size   int        `json:"size"`
	Tree   *show.Node `json:"tree,omitempty"`   // if it is JSON, or a value
	Text   string     `json:"text,omitempty"`   // if it is text, but not a tree
	Hex    string     `json:"hex,omitempty"`    // of other bytes
	Cut    bool       `json:"cut,omitempty"`    // there is more
	Hidden bool       `json:"hidden,omitempty"` // the client may not see it
}

func (q *request) payload(e *store.Recorded) *payload {
	p := &payload{Size: len(e.Data), Hidden: q.source.hide}
	switch {
	case p.Hidden:
		return p
	case e.Value != nil:
		tree := show.Tree(e.Value)
		p.Tree = &tree
		return p
	case len(e.Data) <= maxTree:
		if tree, err := show.JSON(e.Data); err == nil {
			p.Tree = &tree
			return p
		}
	}
	head := e.Data[:min(len(e.Data), maxPreview)]
	p.Cut = len(head) < len(e.Data)
	text := string(head)
	for range utf8.UTFMax - 1 { // a rune may be cut
		if p.Cut && !utf8.ValidString(text) {
			text = text[:len(text)-1]
		}
	}
	if utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\n\r\t", r) }) {
		p.Text = text
		return p
	}
	p.Cut = len(e.Data) > maxPreview/8
	p.Hex = hex.Dump(e.Data[:min(len(e.Data), maxPreview/8)])
	return p
}

type header struct{ Name, Value string }

type eventView struct {
	view `json:"-"`

	Event    row               `json:"event"`
	Data     *payload          `json:"data"`
	Headers  map[string]string `json:"headers,omitempty"`
	Sorted   []header          `json:"-"`
	Trace    string            `json:"trace,omitempty"`
	Previous uint64            `json:"-"` // positions, 0: none
	Next     uint64            `json:"-"`
	Cause    bool              `json:"-"` // the causation is the id of an event
	Sought   bool              `json:"-"` // whether it is, has been checked
}

// eventOf returns the event that the arguments name by id, by position, or by stream and
// version.
func (q *request) eventOf() (*store.Recorded, error) {
	ctx := q.r.Context()
	position, err := number(q.r, "position")
	if err != nil {
		return nil, err
	}
	var e store.Recorded
	var found bool
	switch id := q.r.FormValue("id"); {
	case position > 0:
		e, found, err = q.source.at(ctx, position)
	case q.r.FormValue("type") != "":
		s, version, _, err := q.streamOf()
		if err != nil {
			return nil, err
		}
		return q.event(ctx, s, version, nil)
	default:
		e, found, err = q.source.find(ctx, id)
	}
	if err == nil && !found {
		err = q.missing()
	}
	return &e, err
}

// missing is the answer when no event has the id or position.
func (q *request) missing() error {
	if q.source.finder != nil || q.r.FormValue("id") == "" {
		return errNotFound
	}
	return &pageError{
		http.StatusNotFound, "Not among the newest events",
		"This store cannot find an event by its id, so only the newest " + count(maxScan) + " positions were searched. Open the event from its stream, or by its position.",
	}
}

// eventPage shows a complete event.
func (c *Console) eventPage(q *request) error {
	e, err := q.eventOf()
	if err != nil {
		return err
	}
	v := eventView{view: q.view("./", "Event "+count(e.Position)), Event: rowOf(e), Data: q.payload(e), Headers: e.Meta.Headers}
	for _, name := range slices.Sorted(maps.Keys(e.Meta.Headers)) {
		v.Sorted = append(v.Sorted, header{name, e.Meta.Headers[name]})
	}
	v.Trace, v.Sought = c.traceOf(e), q.source.finder != nil
	if cause := e.Meta.CausationID; cause != "" && v.Sought {
		if _, v.Cause, err = q.source.find(q.r.Context(), cause); err != nil {
			return err
		}
	}
	return q.answer("event", v)
}

// traceOf returns the address of the trace of an event, or "" if there is none.
func (c *Console) traceOf(e *store.Recorded) string {
	parts := strings.Split(e.Meta.Headers["traceparent"], "-")
	if c.config.TraceURL == "" || len(parts) != 4 || len(parts[1]) != 32 {
		return ""
	}
	if _, err := hex.DecodeString(parts[1]); err != nil {
		return ""
	}
	return strings.ReplaceAll(c.config.TraceURL, "{trace}", parts[1])
}

// data sends the payload of an event as a file.
func (c *Console) data(q *request) error {
	if q.source.hide {
		return &pageError{http.StatusForbidden, "Not allowed", "You may not see payloads."}
	}
	e, err := q.eventOf()
	if err != nil {
		return err
	}
	q.attachment("application/octet-stream", "event-"+strconv.FormatUint(e.Position, 10))
	q.w.Header().Set("Content-Length", strconv.Itoa(len(e.Data)))
	_, _ = q.w.Write(e.Data)
	return nil
}

// attachment marks the response as a file to save.
func (q *request) attachment(contentType, name string) {
	q.w.Header().Set("Content-Type", contentType)
	q.w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
}

// each calls do for the events of a stream, or of the log, that an export contains.
func (q *request) each(ctx context.Context, l logQuery, s store.Stream, do func(*store.Recorded) error) error {
	if s != (store.Stream{}) {
		for o := (store.ReadOptions{}); ; {
			page, err := q.source.read(ctx, s, o)
			if err != nil {
				return err
			}
			if err := doEach(page.Events, do); err != nil || page.End {
				return err
			}
			o.From = page.Next
		}
	}
	head, err := q.source.log.Head(ctx)
	if err != nil {
		return err
	}
	for o := (store.LogOptions{From: l.From, Filter: l.filter()}); ; {
		page, err := q.source.readAll(ctx, o)
		if err != nil {
			return err
		}
		wanted := slices.DeleteFunc(page.Events, func(e store.Recorded) bool { return e.Position > head || !l.matches(&e) })
		if err := doEach(wanted, do); err != nil || page.End || page.Next > head {
			return err
		}
		o.From = page.Next
	}
}

func doEach(events []store.Recorded, do func(*store.Recorded) error) error {
	for i := range events {
		if err := do(&events[i]); err != nil {
			return err
		}
	}
	return nil
}
