package memory_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// model is the simplest model of a tenant's store: one list of events, which each
// operation searches from the beginning.
type model struct {
	log         []store.Recorded
	snapshots   map[string]store.Snapshot
	checkpoints map[string]store.Checkpoint
}

func newModel() *model {
	return &model{snapshots: map[string]store.Snapshot{}, checkpoints: map[string]store.Checkpoint{}}
}

// stream returns the events of s.
func (m *model) stream(s store.Stream) []store.Recorded {
	return slices.DeleteFunc(slices.Clone(m.log), func(r store.Recorded) bool { return r.Stream != s })
}

// byID returns the event with id.
func (m *model) byID(id string) (store.Recorded, bool) {
	i := slices.IndexFunc(m.log, func(r store.Recorded) bool { return r.ID == id })
	if i < 0 {
		return store.Recorded{}, false
	}
	return m.log[i], true
}

func (m *model) append(
	s store.Stream, expected store.Expected, events []store.Event, now time.Time,
) (store.Appended, error) {
	for _, e := range events {
		if taken, ok := m.byID(e.ID); ok {
			if last, ok := m.replay(s, events); ok {
				return store.Appended{Version: last.Version, Position: last.Position, Replayed: true}, nil
			}
			return store.Appended{}, &store.DuplicateError{
				Stream: s, EventID: e.ID, In: taken.Stream, Version: taken.Version,
			}
		}
	}
	version := uint64(len(m.stream(s)))
	if !expected.Matches(version) {
		return store.Appended{}, &store.ConflictError{Stream: s, Expected: expected, Actual: version}
	}
	for _, e := range events {
		version++
		if e.ContentType == "" {
			e.ContentType = "application/octet-stream"
		}
		if e.Time.IsZero() {
			e.Time = now
		}
		e.Time = e.Time.UTC()
		m.log = append(m.log, store.Recorded{
			Event: e, Stream: s, Version: version, Position: uint64(len(m.log)) + 1, RecordedAt: now.UTC(),
		})
	}
	return store.Appended{Version: version, Position: uint64(len(m.log))}, nil
}

// replay returns the last of events if they are recorded in s one after another.
func (m *model) replay(s store.Stream, events []store.Event) (last store.Recorded, ok bool) {
	for i, e := range events {
		r, ok := m.byID(e.ID)
		if !ok || r.Stream != s || !r.Same(&e) || i > 0 && r.Version != last.Version+1 {
			return store.Recorded{}, false
		}
		last = r
	}
	return last, true
}

// part returns the events of list, beginning with number from, and their numbers.
func part(list []store.Recorded, from uint64, backward bool, number func(store.Recorded) uint64) []store.Recorded {
	list = slices.Clone(list)
	if backward {
		slices.Reverse(list)
		return slices.DeleteFunc(list, func(r store.Recorded) bool { return from > 0 && number(r) > from })
	}
	return slices.DeleteFunc(list, func(r store.Recorded) bool { return number(r) < from })
}

func version(r store.Recorded) uint64  { return r.Version }
func position(r store.Recorded) uint64 { return r.Position }

func matching(f store.Filter, list []store.Recorded) []store.Recorded {
	return slices.DeleteFunc(slices.Clone(list), func(r store.Recorded) bool {
		return len(f.StreamTypes) > 0 && !slices.Contains(f.StreamTypes, r.Stream.Type) ||
			!strings.HasPrefix(r.Stream.ID, f.IDPrefix) ||
			len(f.EventTypes) > 0 && !slices.Contains(f.EventTypes, r.Type)
	})
}

// checkPage compares page with want, which is everything from there to the end.
func checkPage(t rapid.TB, what string, page store.Page, want []store.Recorded, limit int, head uint64) {
	t.Helper()
	if limit == 0 {
		limit = store.DefaultLimit
	}
	switch {
	case len(page.Events) > limit:
		t.Fatalf("%s has %d events, more than the limit", what, len(page.Events))
	case len(page.Events) > len(want):
		t.Fatalf("%s has %d events, want %d", what, len(page.Events), len(want))
	case page.Head != head:
		t.Fatalf("%s has Head %d, want %d", what, page.Head, head)
	case page.End && len(page.Events) != len(want):
		t.Fatalf("%s has End set after %d of %d events", what, len(page.Events), len(want))
	}
	for i, got := range page.Events {
		if !reflect.DeepEqual(got, want[i]) {
			t.Fatalf("%s: events[%d] = %+v, want %+v", what, i, got, want[i])
		}
	}
}

// machine runs the store and the model side by side.
type machine struct {
	m      *memory.Store
	views  map[string]*memory.Store
	models map[string]*model
	now    time.Time
	ids    int
}

func newMachine(t *rapid.T) *machine {
	x := &machine{views: map[string]*memory.Store{}, models: map[string]*model{}, now: noon()}
	x.m = memory.New(memory.WithClock(func() time.Time { return x.now.In(time.FixedZone("", 3600)) }))
	for _, id := range []string{store.DefaultTenant, "other"} {
		x.views[id], x.models[id] = mustTenant(t, x.m, id), newModel()
	}
	return x
}

func (x *machine) tenant(t *rapid.T) (*memory.Store, *model) {
	id := rapid.SampledFrom([]string{store.DefaultTenant, "other"}).Draw(t, "tenant")
	return x.views[id], x.models[id]
}

func drawStream(t *rapid.T) store.Stream {
	return store.Stream{
		Type: rapid.SampledFrom([]string{"Account", "Order"}).Draw(t, "stream type"),
		ID:   rapid.SampledFrom([]string{"a-1", "a-2", "b-a-1"}).Draw(t, "stream id"),
	}
}

func (x *machine) drawEvent(t *rapid.T) store.Event {
	x.ids++
	e := store.Event{
		ID:          fmt.Sprintf("id-%d", x.ids),
		Type:        rapid.SampledFrom([]string{"Opened", "Deposited"}).Draw(t, "type"),
		Schema:      rapid.Uint32Range(0, 2).Draw(t, "schema"),
		ContentType: rapid.SampledFrom([]string{"", "application/octet-stream", "text/plain"}).Draw(t, "content type"),
		Meta:        store.Metadata{ActorID: rapid.SampledFrom([]string{"", "me"}).Draw(t, "actor")},
	}
	switch rapid.IntRange(0, 2).Draw(t, "body") {
	case 0:
		e.Data = rapid.SliceOfN(rapid.Byte(), 1, 8).Draw(t, "data")
	case 1:
		e.Value = x.ids
	}
	if rapid.Bool().Draw(t, "has headers") {
		e.Meta.Headers = map[string]string{"key": e.ID}
	}
	if rapid.Bool().Draw(t, "has time") {
		e.Time = noon().Add(-time.Hour).In(time.FixedZone("", -7200))
	}
	return e
}

// drawBatch returns new events, or recorded events, either unchanged or slightly
// changed.
func (x *machine) drawBatch(t *rapid.T, m *model, s store.Stream) []store.Event {
	var batch []store.Event
	own := m.stream(s)
	if len(own) > 0 && rapid.IntRange(0, 2).Draw(t, "again") == 0 {
		i := rapid.IntRange(0, len(own)-1).Draw(t, "first")
		j := rapid.IntRange(i, min(i+4, len(own)-1)).Draw(t, "last")
		for _, r := range own[i : j+1] {
			batch = append(batch, r.Event)
		}
	} else {
		for range rapid.OneOf(rapid.IntRange(1, 3), rapid.IntRange(20, 90)).Draw(t, "events") {
			batch = append(batch, x.drawEvent(t))
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "spoil") > 0 {
		return batch
	}
	i := rapid.IntRange(0, len(batch)-1).Draw(t, "spoiled")
	switch rapid.IntRange(0, 4).Draw(t, "how") {
	case 0:
		batch[i].Type = "Spoiled"
	case 1:
		batch[i].ID = x.drawEvent(t).ID
	case 2:
		batch[i].Data, batch[i].Value = []byte("spoiled"), nil
	case 3:
		if len(m.log) > 0 {
			batch[i].ID = m.log[rapid.IntRange(0, len(m.log)-1).Draw(t, "taken")].ID
		}
	case 4:
		slices.Reverse(batch)
	}
	return batch
}

func (x *machine) Append(t *rapid.T) {
	st, m := x.tenant(t)
	s := drawStream(t)
	expected := rapid.OneOf(
		rapid.SampledFrom([]store.Expected{store.Any, store.NoStream, store.Exists}),
		rapid.Just(store.Exactly(uint64(len(m.stream(s))))),
		rapid.Map(rapid.Uint64Range(1, 40), store.Exactly),
	).Draw(t, "expected")
	batch := x.drawBatch(t, m, s)
	x.now = x.now.Add(time.Second)
	if err := store.ValidateAppend(s, expected, batch); err != nil {
		t.Skip("the batch repeats an id")
	}
	got, err := st.Append(t.Context(), s, expected, batch)
	want, wantErr := m.append(s, expected, batch, x.now)
	if got != want || !reflect.DeepEqual(err, wantErr) {
		t.Fatalf("Append(%s, %s, %v) = %+v, %v; want %+v, %v", s, expected, batch, got, err, want, wantErr)
	}
}

func (x *machine) Read(t *rapid.T) {
	st, m := x.tenant(t)
	s := drawStream(t)
	all := m.stream(s)
	o := store.ReadOptions{
		From:     rapid.Uint64Range(0, uint64(len(all))+2).Draw(t, "from"),
		Limit:    rapid.IntRange(0, 100).Draw(t, "limit"),
		Backward: rapid.Bool().Draw(t, "backward"),
		ReadOnly: rapid.Bool().Draw(t, "read only"),
	}
	want := part(all, o.From, o.Backward, version)
	for read := 0; ; {
		page := mustRead(t, st, s, o)
		checkPage(t, fmt.Sprintf("Read(%s, %+v)", s, o), page, want[read:], o.Limit, uint64(len(all)))
		read += len(page.Events)
		if wantEnd := read == len(want); page.End != wantEnd {
			t.Fatalf("Read(%s, %+v).End = %t after %d of %d", s, o, page.End, read, len(want))
		}
		if page.End {
			checkLastNext(t, page, o.From, o.Backward)
			return
		}
		o.From = page.Next
	}
}

// checkLastNext checks the Next of the last page, which began at from.
func checkLastNext(t *rapid.T, page store.Page, from uint64, backward bool) {
	want := max(page.Head+1, from)
	if backward {
		want = 0
	}
	if page.Next != want {
		t.Fatalf("the last page from %d (backward: %t) has Next %d, want %d", from, backward, page.Next, want)
	}
}

func (x *machine) ReadAll(t *rapid.T) {
	st, m := x.tenant(t)
	texts := func(of ...string) *rapid.Generator[[]string] {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(of), 0, 2, rapid.ID)
	}
	o := store.LogOptions{
		From:     rapid.Uint64Range(0, uint64(len(m.log))+2).Draw(t, "from"),
		Limit:    rapid.IntRange(0, 50).Draw(t, "limit"),
		Backward: rapid.Bool().Draw(t, "backward"),
		Filter: store.Filter{
			StreamTypes: texts("Account", "Order", "None").Draw(t, "stream types"),
			IDPrefix:    rapid.SampledFrom([]string{"", "a-", "b-a", "c"}).Draw(t, "prefix"),
			EventTypes:  texts("Opened", "Deposited", "None").Draw(t, "event types"),
		},
	}
	want := matching(o.Filter, part(m.log, o.From, o.Backward, position))
	head, err := st.Head(t.Context())
	if err != nil || head != uint64(len(m.log)) {
		t.Fatalf("Head() = %d, %v, want %d", head, err, len(m.log))
	}
	for {
		page := mustReadAll(t, st, o)
		checkPage(t, fmt.Sprintf("ReadAll(%+v)", o), page, want, o.Limit, head)
		want = want[len(page.Events):]
		if page.End {
			checkLastNext(t, page, o.From, o.Backward)
			return
		}
		if !o.Backward && page.Next <= o.From || o.Backward && o.From > 0 && page.Next >= o.From {
			t.Fatalf("ReadAll(%+v).Next = %d: it makes no progress", o, page.Next)
		}
		o.From = page.Next
	}
}

func (x *machine) Snapshot(t *rapid.T) {
	st, m := x.tenant(t)
	snap := store.Snapshot{
		Stream: drawStream(t), Schema: rapid.SampledFrom([]string{"v1", "v2"}).Draw(t, "schema"),
		Version: rapid.Uint64Range(1, 5).Draw(t, "version"), Data: rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "data"),
	}
	key := snap.Schema + "/" + snap.Stream.String()
	if snap.Version >= m.snapshots[key].Version {
		m.snapshots[key] = snap
	}
	given := snap
	given.Data = bytes.Clone(snap.Data)
	if err := st.SaveSnapshot(t.Context(), given); err != nil {
		t.Fatalf("SaveSnapshot(%+v) = %v", given, err)
	}
	scribble(given.Data)
	for range 2 { // the second time after changing the first result
		got, ok, err := st.LoadSnapshot(t.Context(), snap.Stream, snap.Schema)
		if want := m.snapshots[key]; !ok || err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("LoadSnapshot(%s, %s) = %+v, %t, %v, want %+v", snap.Stream, snap.Schema, got, ok, err, want)
		}
		scribble(got.Data)
	}
}

func scribble(data []byte) {
	for i := range data {
		data[i]++
	}
}

func (x *machine) Checkpoint(t *rapid.T) {
	st, m := x.tenant(t)
	name := rapid.SampledFrom([]string{"p", "q"}).Draw(t, "name")
	from := m.checkpoints[name]
	to := store.Checkpoint{Position: from.Position + rapid.Uint64Range(1, 3).Draw(t, "step"), EventID: "to"}
	stale := rapid.Bool().Draw(t, "stale")
	if stale {
		from.EventID += "x"
	}
	err := st.SaveCheckpoint(t.Context(), name, from, to)
	if stale != errors.Is(err, store.ErrConflict) || !stale && err != nil {
		t.Fatalf("SaveCheckpoint(%s, %+v, %+v) = %v, stale: %t", name, from, to, err, stale)
	}
	if !stale {
		m.checkpoints[name] = to
	}
	got, err := st.LoadCheckpoint(t.Context(), name)
	if want := m.checkpoints[name]; err != nil || got != want {
		t.Fatalf("LoadCheckpoint(%s) = %+v, %v, want %+v", name, got, err, want)
	}
}

func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x := newMachine(t)
		t.Repeat(map[string]func(*rapid.T){
			"append":     x.Append,
			"append too": x.Append,
			"read":       x.Read,
			"read all":   x.ReadAll,
			"snapshot":   x.Snapshot,
			"checkpoint": x.Checkpoint,
		})
	})
}
