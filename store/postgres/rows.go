package postgres

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/evolvego/evolve/store"
)

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
		return "", fmt.Errorf("postgres: encode metadata: %w", err)
	}
	return text.String(), nil
}

// row is a row of a page: an event, or, where the version is not above 0, what
// headRow tells. It is scanned into again and again.
type row struct {
	position, version    int64
	streamType, streamID string
	id, typ, contentType string
	schema               int64
	at, recordedAt       time.Time
	meta                 []byte // nil for NULL
	data                 []byte
	columns              []any
}

// newRow returns a row of eventColumns, and those of the stream if it is of a log.
func newRow(log bool) *row {
	r := new(row)
	r.columns = []any{&r.position, &r.version, &r.id, &r.typ, &r.schema, &r.contentType, &r.at, &r.recordedAt, &r.meta, &r.data}
	if log {
		r.columns = append(r.columns, &r.streamType, &r.streamID)
	}
	return r
}

// scan reads the next row; what was read before is not changed.
func (r *row) scan(rows pgx.Rows) error {
	r.meta, r.data = nil, nil
	return rows.Scan(r.columns...)
}

// recorded sets e to the event that was read.
func (r *row) recorded(e *store.Recorded) error {
	e.Stream = store.Stream{Type: r.streamType, ID: r.streamID}
	e.Position, e.Version = uint64(r.position), uint64(r.version) //nolint:gosec // not negative
	e.ID, e.Type, e.ContentType = r.id, r.typ, r.contentType
	e.Schema = uint32(r.schema) //nolint:gosec // it was one
	e.Time, e.RecordedAt = r.at.UTC(), r.recordedAt.UTC()
	if len(r.data) > 0 {
		e.Data = r.data
	}
	if r.meta == nil {
		return nil
	}
	var m metadata
	if err := json.Unmarshal(r.meta, &m); err != nil {
		return fmt.Errorf("metadata of event %q: %w", r.id, err)
	}
	e.Meta = store.Metadata(m)
	return nil
}
