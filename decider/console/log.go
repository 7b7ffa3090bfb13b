package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evolvego/evolve/store"
)

// logQuery holds the arguments of the log page: which events, and where to begin.
type logQuery struct {
	Type  string `json:"type,omitempty"`  // types of streams, with commas
	ID    string `json:"id,omitempty"`    // a prefix of their ids
	Event string `json:"event,omitempty"` // types of events, with commas
	Text  string `json:"q,omitempty"`     // anywhere in the event
	At    string `json:"at,omitempty"`    // a time: the events up to then
	From  uint64 `json:"from,omitempty"`  // a position; 0: the newest events
	Newer bool   `json:"newer,omitempty"` // from there towards newer events
}

type logView struct {
	view `json:"-"`

	Query     logQuery `json:"query"`
	Rows      []row    `json:"events"`
	Head      uint64   `json:"head"`
	Older     uint64   `json:"older,omitempty"` // position to continue at, 0: there are no older events
	Next      uint64   `json:"newer,omitempty"`
	Looked    uint64   `json:"looked_to,omitempty"` // how far the search has come, if it has not ended
	Filtered  bool     `json:"-"`
	Live      bool     `json:"-"`
	Types     []string `json:"-"`
	Newest    bool     `json:"-"`
	TailQuery string   `json:"-"`
}

func (q *request) logQuery() (logQuery, error) {
	r := q.r
	l := logQuery{
		Type: r.FormValue("type"), ID: r.FormValue("id"), Event: r.FormValue("event"), Text: r.FormValue("q"), At: r.FormValue("at"),
		Newer: r.FormValue("dir") == "newer",
	}
	var err error
	l.From, err = number(r, "from")
	return l, err
}

// number returns a numeric argument, or 0 if it is missing.
func number(r *http.Request, name string) (uint64, error) {
	text := strings.ReplaceAll(r.FormValue(name), ",", "")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, badRequest("%s must be a number, not %q.", name, text)
	}
	return n, nil
}

func (l logQuery) filter() store.Filter {
	return store.Filter{StreamTypes: list(l.Type), IDPrefix: l.ID, EventTypes: list(l.Event)}
}

// list returns the comma-separated names in text.
func list(text string) []string {
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// matches reports whether e contains the text.
func (l logQuery) matches(e *store.Recorded) bool {
	if l.Text == "" {
		return true
	}
	for _, in := range []string{string(e.Data), e.Type, e.Stream.Type + "/" + e.Stream.ID, e.ID, e.Meta.ActorID, e.Meta.CorrelationID, e.Meta.CausationID} {
		if strings.Contains(in, l.Text) {
			return true
		}
	}
	for _, value := range e.Meta.Headers {
		if strings.Contains(value, l.Text) {
			return true
		}
	}
	return false
}

// Args returns the arguments that select events, for a link.
func (l logQuery) Args() []any {
	return []any{"type", l.Type, "id", l.ID, "event", l.Event, "q", l.Text}
}

// Page returns the address of a page of the same log.
func (v *logView) Page(from uint64, dir string) string {
	args := v.Query.Args()
	if from > 0 {
		args = append(args, "from", from)
	}
	return v.Link("./", append(args, "dir", dir)...)
}

// logPage shows the log, newest first.
func (q *request) log(ctx context.Context, l logQuery) (*logView, error) {
	v := &logView{view: q.view("./", "Log"), Query: l}
	head, err := q.source.log.Head(ctx)
	if err != nil {
		return v, err
	}
	v.Head = head
	if l.At != "" {
		at, err := parseTime(l.At)
		if err != nil {
			return v, err
		}
		if l.From, err = q.source.before(ctx, at, head); err != nil {
			return v, err
		}
		if l.From == 0 { // before the first event
			return v, nil
		}
	}
	o := store.LogOptions{From: l.From, Filter: l.filter(), Backward: !l.Newer, Limit: pageSize}
	if l.Text != "" {
		o.Limit = 0
	}
	var rows []row
	next, err := q.source.scan(ctx, o, func(e *store.Recorded) bool {
		if l.matches(e) {
			rows = append(rows, rowOf(e))
		}
		return len(rows) < pageSize
	})
	if err != nil {
		return v, err
	}
	if len(rows) < pageSize {
		v.Looked = next
	}
	v.place(l, rows, next)
	return v, nil
}

// place sets where the previous and next pages begin.
func (v *logView) place(l logQuery, rows []row, next uint64) {
	v.Older, v.Newest = next, l.From == 0 && !l.Newer
	if l.From > 0 {
		v.Next = l.From + 1
	}
	if l.Newer {
		slices.Reverse(rows)
		v.Next = next
		v.Older = l.From - min(l.From, 1)
		if next > v.Head {
			v.Next = 0
		}
	}
	if v.Next > v.Head {
		v.Next = 0
	}
	v.Rows = rows
}

func (c *Console) logPage(q *request) error {
	l, err := q.logQuery()
	if err != nil {
		return err
	}
	v, err := q.log(q.r.Context(), l)
	if err != nil {
		return err
	}
	v.Filtered = l.Type+l.ID+l.Event+l.Text+l.At != ""
	v.Live = v.Newest && l.At == ""
	v.TailQuery = v.Link("tail", append(l.Args(), "from", v.Head+1)...)
	if v.Types, err = q.types(); err != nil {
		return err
	}
	return q.answer("log", v)
}

// types returns the types of streams, up to the length of a list.
func (q *request) types() ([]string, error) {
	if q.source.finder == nil {
		return nil, nil
	}
	types, err := q.source.finder.StreamTypes(q.r.Context())
	return types[:min(len(types), 200)], err
}

// parseTime reads a time as people write it. Without a zone it is UTC.
func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly,
	} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, badRequest("%q is not a time. Write 2026-11-20, 2026-11-20 14:00, or 2026-11-20T14:00:00Z.", text)
}

// before returns the position of the last event that was recorded at or before a time, by
// bisection, or 0 if there is none.
func (s *source) before(ctx context.Context, at time.Time, head uint64) (uint64, error) {
	low, high := uint64(0), head // the event at low is not after at; the event at high is
	for low < high {
		middle := low + (high-low+1)/2
		page, err := s.log.ReadAll(ctx, store.LogOptions{From: middle, Backward: true, Limit: 1})
		if err != nil {
			return 0, err
		}
		switch {
		case len(page.Events) == 0, page.Events[0].Position <= low: // a gap
			if low = middle; len(page.Events) == 0 {
				continue
			}
		case page.Events[0].RecordedAt.After(at):
			high = page.Events[0].Position - 1
		default:
			low = middle
		}
	}
	return low, nil
}

// search redirects to the page that the text means.
func (c *Console) search(q *request) error {
	ctx, v := q.r.Context(), q.view("", "Search")
	text := strings.TrimSpace(q.r.FormValue("find"))
	to := ""
	correlation, isCorrelation := strings.CutPrefix(text, "corr:")
	typ, id, isStream := strings.Cut(text, "/")
	position, notNumber := strconv.ParseUint(strings.ReplaceAll(text, ",", ""), 10, 63)
	_, notTime := parseTime(text)
	switch {
	case text == "":
		to = v.Link("./")
	case isCorrelation:
		to = v.Link("flow", "correlation", correlation)
	case notNumber == nil:
		to = v.Link("./", "from", position)
	case notTime == nil:
		to = v.Link("./", "at", text)
	}
	if to == "" {
		if _, found, err := q.source.find(ctx, text); err != nil {
			return err
		} else if found {
			to = v.Link("event", "id", text)
		}
	}
	if to == "" && isStream {
		to = v.Link("streams", "type", typ, "id", id)
		s := store.Stream{Type: typ, ID: id}
		if s.Validate() == nil {
			page, err := q.source.read(ctx, s, store.ReadOptions{Limit: 1})
			if err != nil {
				return err
			}
			if len(page.Events) > 0 {
				to = v.OfStream(s, 0)
			}
		}
	}
	redirect(q.w, cmp.Or(to, v.Link("./", "q", text)))
	return nil
}
