package sqlite

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/evolvego/evolve/store"
)

// record is what the columns of an event get, other than where it is. It shares
// nothing with the event that it was made of.
type record struct {
	event      store.Event
	meta       string
	time       int64
	recordedAt int64
}

// encode copies e, recorded at at.
func (r *record) encode(e *store.Event, at time.Time) error {
	r.event = *e
	r.event.Data = append([]byte{}, e.Data...) // not nil, which would be NULL
	if e.ContentType == "" {
		r.event.ContentType = store.OctetStream
	}
	r.recordedAt = at.UnixMicro()
	r.time = r.recordedAt
	if !e.Time.IsZero() {
		r.time = e.Time.UnixMicro()
	}
	r.event.Meta = store.Metadata{}
	var err error
	r.meta, err = encodeMeta(&e.Meta)
	return err
}

// args appends the arguments of insertRows for r.
func (r *record) args(args []any, tenant int64, position uint64, s streamHead) []any {
	e := &r.event
	return append(args, tenant, int64(position), s.id, int64(s.version), //nolint:gosec // at most store.MaxVersion
		e.ID, e.Type, int64(e.Schema), e.ContentType, r.time, r.recordedAt, r.meta, e.Data)
}

// metadata is store.Metadata as JSON.
type metadata struct {
	CorrelationID string            `json:"correlation_id,omitempty"`
	CausationID   string            `json:"causation_id,omitempty"`
	ActorID       string            `json:"actor_id,omitempty"`
	Headers       map[string]string `json:"headers,omitempty"`
}

// encodeMeta returns m as JSON, nothing for nothing.
func encodeMeta(m *store.Metadata) (string, error) {
	if m.CorrelationID == "" && m.CausationID == "" && m.ActorID == "" && len(m.Headers) == 0 {
		return "", nil
	}
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(metadata(*m)); err != nil {
		return "", fmt.Errorf("sqlite: encode metadata: %w", err)
	}
	return strings.TrimSuffix(text.String(), "\n"), nil
}

// eventColumns are those that scan reads.
const eventColumns = `e.position, e.version, e.id, e.type, e.schema, e.content_type, e.time, e.recorded_at, e.meta, e.data`

// scan reads eventColumns, and those of more after them, into r.
func scan(rows *sql.Rows, r *store.Recorded, more ...any) error {
	var meta sql.RawBytes
	var at, recordedAt int64
	columns := append(make([]any, 0, 12), &r.Position, &r.Version, &r.ID, &r.Type, &r.Schema, &r.ContentType,
		&at, &recordedAt, &meta, &r.Data)
	if err := rows.Scan(append(columns, more...)...); err != nil {
		return err
	}
	r.Time, r.RecordedAt = time.UnixMicro(at).UTC(), time.UnixMicro(recordedAt).UTC()
	if len(r.Data) == 0 {
		r.Data = nil
	}
	if len(meta) == 0 {
		return nil
	}
	var m metadata
	if err := json.Unmarshal(meta, &m); err != nil {
		return fmt.Errorf("metadata of event %q: %w", r.ID, err)
	}
	r.Meta = store.Metadata(m)
	return nil
}
