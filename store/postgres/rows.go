package postgres

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/evolvego/evolve/store"
)

// row is a row of a page: an event, or, if the version is 0 or less, the result of
// headRow. It is reused for the next row.
type row struct {
	position, version             int64
	streamType, streamID          text
	id, typ, contentType          text
	schema                        int64
	time, recordedAt              time.Time
	correlation, causation, actor text
	headers                       []byte // nil for NULL
	data                          []byte
	columns                       []any
}

// text is a column that often has the same text as in the previous row. It then shares
// that row's memory.
type text string

// ScanBytes is called by pgx with the text of a row.
func (t *text) ScanBytes(v []byte) error {
	if string(*t) != string(v) {
		*t = text(v)
	}
	return nil
}

// newRow returns a row for eventColumns, plus the columns of the stream if log is true.
func newRow(log bool) *row {
	r := new(row)
	r.columns = []any{
		&r.position, &r.version, &r.id, &r.typ, &r.schema, &r.contentType, &r.time, &r.recordedAt,
		&r.correlation, &r.causation, &r.actor, &r.headers, &r.data,
	}
	if log {
		r.columns = append(r.columns, &r.streamType, &r.streamID)
	}
	return r
}

// scan reads the next row. It does not change events that were read before.
func (r *row) scan(rows pgx.Rows) error {
	r.headers, r.data = nil, nil
	return rows.Scan(r.columns...)
}

// recorded sets e to the event that was read.
func (r *row) recorded(e *store.Recorded) error {
	e.Stream = store.Stream{Type: string(r.streamType), ID: string(r.streamID)}
	e.Position, e.Version = uint64(r.position), uint64(r.version) //nolint:gosec // not negative
	e.ID, e.Type, e.ContentType = string(r.id), string(r.typ), string(r.contentType)
	e.Schema = uint32(r.schema) //nolint:gosec // it was one
	e.Time, e.RecordedAt = r.time.UTC(), r.recordedAt.UTC()
	e.Meta = store.Metadata{CorrelationID: string(r.correlation), CausationID: string(r.causation), ActorID: string(r.actor)}
	if len(r.data) > 0 {
		e.Data = r.data
	}
	if r.headers == nil {
		return nil
	}
	if err := json.Unmarshal(r.headers, &e.Meta.Headers); err != nil {
		return fmt.Errorf("headers of event %q: %w", r.id, err)
	}
	return nil
}
