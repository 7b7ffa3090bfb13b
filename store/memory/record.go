package memory

import (
	"maps"
	"math"
	"time"

	"github.com/evolvego/evolve/store"
)

// An event takes only the memory for what is its own: a row of 64 bytes, its data and,
// if it has one, its value. What it shares with other events is stored once. Readers
// get a store.Recorded, which is four times as large.

// row holds what belongs to one event alone.
type row struct {
	id          string
	common      *common
	block       *block // has its data, beginning at start
	start, size uint32 // position and length of the data
	position    uint64
	time        int64 // in nanoseconds since 1970, or rarely
	recorded    int64 // like time
}

// common holds what consecutive events of a stream usually share. It never changes.
type common struct {
	typ, contentType string
	schema           uint32
	meta             store.Metadata
	rare             *rare // nil if there is none
}

// rare holds fields that few events have. Each such event has its own common.
type rare struct {
	value          any // of an event in a chunk without values
	time, recorded time.Time
}

// rarely marks a time that nanoseconds cannot express, and that is in rare.
const rarely = math.MinInt64

// block holds the data of events of a stream, one after another. Bytes never change
// once written.
type block struct{ bytes []byte }

// chunk is a part of a stream.
type chunk struct {
	of     *stream
	base   uint64 // the version before its first event
	rows   []row
	values []any // as many as rows; nil if the first event has no value
}

// ref is a recorded event.
type ref struct {
	chunk *chunk
	index uint64
}

func (e ref) row() *row       { return &e.chunk.rows[e.index] }
func (e ref) version() uint64 { return e.chunk.base + e.index + 1 }

// lend fills in r. The data and the headers still belong to the store.
func (e ref) lend(r *store.Recorded) {
	row := e.row()
	shared := row.common
	r.ID, r.Type, r.ContentType, r.Schema = row.id, shared.typ, shared.contentType, shared.schema
	r.Data, r.Value = nil, nil
	if row.size > 0 {
		end := row.start + row.size
		r.Data = row.block.bytes[row.start:end:end]
	}
	if e.chunk.values != nil {
		r.Value = e.chunk.values[e.index]
	}
	r.Meta = shared.meta
	r.Stream, r.Version, r.Position = e.chunk.of.name, e.version(), row.position
	r.Time, r.RecordedAt = moment(row.time), moment(row.recorded)
	if shared.rare != nil {
		row.lendRare(r)
	}
}

// lendRare fills in the rare fields.
func (row *row) lendRare(r *store.Recorded) {
	x := row.common.rare
	if x.value != nil {
		r.Value = x.value
	}
	if row.time == rarely {
		r.Time = x.time
	}
	if row.recorded == rarely {
		r.RecordedAt = x.recorded
	}
}

// recorded returns the event. The data and the headers still belong to the store.
func (e ref) recorded() *store.Recorded {
	r := new(store.Recorded)
	e.lend(r)
	return r
}

// matches is Filter.Matches.
func (e ref) matches(f *store.Filter) bool {
	r := store.Recorded{Stream: e.chunk.of.name}
	r.Type = e.row().common.typ
	return f.Matches(&r)
}

// moment returns the time for nanoseconds of a row.
func moment(nanoseconds int64) time.Time { return time.Unix(0, nanoseconds).UTC() }

// nanoseconds returns t for a row, or rarely if t cannot be expressed.
func nanoseconds(t time.Time) int64 {
	const most = math.MaxInt64/int64(time.Second) - 1
	if s := t.Unix(); s < -most || s > most {
		return rarely
	}
	return t.UnixNano()
}

// copies returns copies of events that share nothing with the store except their Value.
func copies(events []ref) []store.Recorded {
	page := make([]store.Recorded, len(events))
	for i, e := range events {
		e.lend(&page[i])
	}
	own(page)
	return page
}

// own replaces everything that page points to with copies.
func own(page []store.Recorded) {
	size := 0
	for i := range page {
		size += len(page[i].Data)
	}
	data := make([]byte, 0, size) // data of all events, in one allocation
	for i := range page {
		r := &page[i]
		if n := len(data); len(r.Data) > 0 {
			data = append(data, r.Data...)
			r.Data = data[n:len(data):len(data)]
		}
		if r.Meta.Headers != nil {
			r.Meta.Headers = maps.Clone(r.Meta.Headers)
		}
	}
}

// commonOf returns the common of e, which is valid, in a stream of x. The caller holds
// the lock of x.
func (st *stream) commonOf(x *streamShard, e *store.Event) *common {
	if st.last != nil && st.last.fits(e) {
		return st.last
	}
	for _, c := range x.recent {
		if c != nil && c.fits(e) {
			st.last = c
			return c
		}
	}
	st.last = newCommon(e)
	x.recent[x.oldest%len(x.recent)] = st.last
	x.oldest++
	return st.last
}

func newCommon(e *store.Event) *common {
	c := &common{typ: e.Type, contentType: e.ContentType, schema: e.Schema, meta: e.Meta}
	if c.contentType == "" {
		c.contentType = store.OctetStream
	}
	c.meta.Headers = nil
	if len(e.Meta.Headers) > 0 {
		c.meta.Headers = maps.Clone(e.Meta.Headers)
	}
	return c
}

// fits reports whether c equals the result of newCommon for e.
func (c *common) fits(e *store.Event) bool {
	if c.typ != e.Type || c.schema != e.Schema ||
		c.contentType != e.ContentType && (e.ContentType != "" || c.contentType != store.OctetStream) {
		return false
	}
	m, o := &c.meta, &e.Meta
	return m.CorrelationID == o.CorrelationID && m.CausationID == o.CausationID && m.ActorID == o.ActorID &&
		len(m.Headers) == len(o.Headers) && (len(m.Headers) == 0 || maps.Equal(m.Headers, o.Headers))
}
