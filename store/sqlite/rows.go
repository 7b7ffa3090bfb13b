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

// scanner reads rows of eventColumns, and of more after them, into what it keeps for
// them all: only what an event refers to is allocated for each.
type scanner struct {
	event          store.Recorded
	at, recordedAt int64
	meta           sql.RawBytes
	columns        []any
}

// newScanner returns a scanner whose columns go on with those that more returns for the
// event.
func newScanner(more func(e *store.Recorded) []any) *scanner {
	s := new(scanner)
	e := &s.event
	s.columns = []any{
		&e.Position, &e.Version, &e.ID, &e.Type, &e.Schema, &e.ContentType, &s.at, &s.recordedAt, &s.meta, &e.Data,
	}
	if more != nil {
		s.columns = append(s.columns, more(e)...)
	}
	return s
}

// scan reads the next row. The event is overwritten by the next scan.
func (s *scanner) scan(rows *sql.Rows) (*store.Recorded, error) {
	e := &s.event
	e.Meta = store.Metadata{}
	if err := rows.Scan(s.columns...); err != nil {
		return nil, err
	}
	e.Time, e.RecordedAt = time.UnixMicro(s.at).UTC(), time.UnixMicro(s.recordedAt).UTC()
	if len(e.Data) == 0 {
		e.Data = nil
	}
	if len(s.meta) == 0 {
		return e, nil
	}
	var m metadata
	if err := json.Unmarshal(s.meta, &m); err != nil {
		return nil, fmt.Errorf("metadata of event %q: %w", e.ID, err)
	}
	e.Meta = store.Metadata(m)
	return e, nil
}
