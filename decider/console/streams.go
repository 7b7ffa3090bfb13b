package console

import (
	"context"
	"slices"

	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/store"
)

type streamsView struct {
	view `json:"-"`

	Type    string             `json:"type,omitempty"`
	ID      string             `json:"id,omitempty"`
	Streams []store.StreamInfo `json:"streams"`
	More    bool               `json:"more"`
	Last    store.Stream       `json:"-"`
	First   bool               `json:"-"`
	Recent  bool               `json:"recent"` // of the newest events only, because the store cannot list its streams
	Types   []string           `json:"-"`
}

// streamsPage lists streams.
func (c *Console) streamsPage(q *request) error {
	ctx := q.r.Context()
	v := streamsView{view: q.view("streams", "Streams"), Type: q.r.FormValue("type"), ID: q.r.FormValue("id")}
	o := store.StreamsOptions{
		Type: v.Type, IDPrefix: v.ID, Limit: pageSize,
		After: store.Stream{Type: q.r.FormValue("after_type"), ID: q.r.FormValue("after")},
	}
	v.First = o.After == store.Stream{}
	var page store.StreamsPage
	var err error
	if q.source.finder != nil {
		page, err = q.source.finder.ListStreams(ctx, o)
	} else {
		v.Recent = true
		page, err = q.source.recentStreams(ctx, o)
	}
	if err != nil {
		return err
	}
	v.Streams, v.More = page.Streams, !page.End
	if v.More {
		v.Last = page.Streams[len(page.Streams)-1].Stream
	}
	if v.Types, err = q.types(); err != nil {
		return err
	}
	return q.answer("streams", v)
}

// recentStreams lists the streams of the newest events, for a store that cannot list its
// streams.
func (s *source) recentStreams(ctx context.Context, o store.StreamsOptions) (store.StreamsPage, error) {
	found := make(map[store.Stream]store.StreamInfo)
	filter := store.Filter{IDPrefix: o.IDPrefix}
	if o.Type != "" {
		filter.StreamTypes = []string{o.Type}
	}
	if err := o.Validate(); err != nil {
		return store.StreamsPage{}, err
	}
	_, err := s.scan(ctx, store.LogOptions{Backward: true, Filter: filter}, func(e *store.Recorded) bool {
		if _, known := found[e.Stream]; !known && o.Matches(e.Stream) {
			found[e.Stream] = store.StreamInfo{Stream: e.Stream, Version: e.Version, Position: e.Position, EventType: e.Type, RecordedAt: e.RecordedAt}
		}
		return true
	})
	page := store.StreamsPage{End: len(found) <= o.Limit}
	for _, info := range found {
		page.Streams = append(page.Streams, info)
	}
	slices.SortFunc(page.Streams, func(a, b store.StreamInfo) int { return a.Stream.Compare(b.Stream) })
	page.Streams = page.Streams[:min(len(page.Streams), o.Limit)]
	return page, err
}

type streamView struct {
	view `json:"-"`

	Stream   store.Stream  `json:"stream"`
	Head     uint64        `json:"head"`
	V        uint64        `json:"version"` // the version to show; 0: before the first event
	Rows     []row         `json:"events"`
	Older    uint64        `json:"older,omitempty"`
	Newer    uint64        `json:"newer,omitempty"`
	Modelled bool          `json:"modelled"` // there is a model, and so there are states
	Commands bool          `json:"-"`
	Replays  bool          `json:"-"`
	Event    *row          `json:"event,omitempty"`
	Data     *payload      `json:"data,omitempty"` // of the event at V
	State    *show.Node    `json:"state,omitempty"`
	Changes  []show.Change `json:"changes"`
	Against  uint64        `json:"against"` // the version to compare with
	Problem  string        `json:"problem,omitempty"`
	Over     bool          `json:"over,omitempty"` // the state is terminal
}

// streamPage shows a stream at one of its versions.
func (c *Console) streamPage(q *request) error {
	v, err := q.stream()
	if err != nil {
		return err
	}
	return q.answer("stream", v)
}

// streamOf returns the stream and the version in the arguments. Asked is false if there
// is no version.
func (q *request) streamOf() (s store.Stream, version uint64, asked bool, err error) {
	s = store.Stream{Type: q.r.FormValue("type"), ID: q.r.FormValue("id")}
	if err := s.Validate(); err != nil {
		return s, 0, false, err
	}
	asked = q.r.FormValue("v") != ""
	version, err = number(q.r, "v")
	return s, version, asked, err
}

func (q *request) stream() (*streamView, error) {
	ctx := q.r.Context()
	s, version, asked, err := q.streamOf()
	if err != nil {
		return nil, err
	}
	from, err := number(q.r, "from")
	if err != nil {
		return nil, err
	}
	v := &streamView{view: q.view("streams", clean(s.Type+"/"+s.ID)), Stream: s, V: version}
	if from == 0 && asked {
		from = version + 8 // so that it is visible at once, with the events after it
		if version < pageSize/2 {
			from = pageSize
		}
	}
	page, err := q.source.read(ctx, s, store.ReadOptions{From: from, Backward: true, Limit: pageSize})
	if err != nil {
		return nil, err
	}
	if len(page.Events) == 0 {
		return nil, errNotFound
	}
	v.Head = page.Head
	if !asked || v.V > v.Head {
		v.V = v.Head
	}
	v.Rows, v.Older = rowsOf(page.Events), page.Next
	if newest := page.Events[0].Version; newest < v.Head {
		v.Newer = min(newest+pageSize, v.Head)
	}
	return v, q.moment(ctx, v, page.Events)
}

// moment sets the state of the stream at v.V.
func (q *request) moment(ctx context.Context, v *streamView, shown []store.Recorded) error {
	if v.V > 0 {
		e, err := q.event(ctx, v.Stream, v.V, shown)
		if err != nil {
			return err
		}
		is := rowOf(e)
		v.Event = &is
		v.Data = q.payload(e)
	}
	v.Against = v.V - min(v.V, 1)
	t, modelled := q.c.types[v.Stream.Type]
	if !modelled || v.Hidden {
		return q.dataChanges(ctx, v, shown)
	}
	v.Modelled, v.Commands, v.Replays = true, len(t.model.commands()) > 0, len(t.model.candidates()) > 0
	var m moment
	err := q.c.fold(ctx, func(ctx context.Context) (err error) {
		m, err = t.model.at(ctx, q.source, v.Stream, v.V)
		return err
	})
	if err != nil {
		return err
	}
	v.State, v.Over, v.Problem = &m.state, m.over, m.problem
	v.Changes = show.TreeChanges(m.before, m.state)
	return nil
}

// event returns an event of a stream, which may be among those shown.
func (q *request) event(ctx context.Context, s store.Stream, version uint64, shown []store.Recorded) (*store.Recorded, error) {
	if i := slices.IndexFunc(shown, func(e store.Recorded) bool { return e.Version == version }); i >= 0 {
		return &shown[i], nil
	}
	page, err := q.source.read(ctx, s, store.ReadOptions{From: version, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(page.Events) == 0 {
		return nil, errNotFound
	}
	return &page.Events[0], nil
}

// dataChanges sets the differences between the data of the event at v.V and the previous
// event of its type among those shown.
func (q *request) dataChanges(_ context.Context, v *streamView, shown []store.Recorded) error {
	v.Against = 0
	if v.Data == nil || v.Data.Tree == nil {
		return nil
	}
	for i := range shown {
		if e := &shown[i]; e.Version < v.V && e.Type == v.Event.Type {
			if was := q.payload(e); was.Tree != nil {
				v.Changes, v.Against = show.TreeChanges(*was.Tree, *v.Data.Tree), e.Version
			}
			return nil
		}
	}
	return nil
}
