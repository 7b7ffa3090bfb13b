package sqlite

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	lib "modernc.org/sqlite/lib"

	"github.com/evolvego/evolve/store"
)

// The key of an event combines the id of its tenant and its position.
const (
	positionBits = 40
	maxPosition  = 1<<positionBits - 1
	maxTenant    = 1<<(63-positionBits) - 1
)

// seq returns the key of the event of tenant at position.
func seq(tenant int64, position uint64) int64 { return tenant<<positionBits | int64(position) } //nolint:gosec // at most maxPosition

// kind is a row of table kind: the values that many events have in common.
type kind struct {
	name        string
	schema      uint32
	contentType string
}

// record is an event as its columns store it, without its stream and position. It
// shares no memory with the original event.
type record struct {
	event      store.Event
	meta       string
	time       int64
	recordedAt int64
}

// encode sets r to the event e, recorded at the time at.
func (r *record) encode(e *store.Event, at time.Time) error {
	r.event = *e
	r.event.Data = bytes.Clone(e.Data)
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

func (r *record) kind() kind { return kind{r.event.Type, r.event.Schema, r.event.ContentType} }

const insertEvent = `INSERT INTO event (seq, tenant, stream, version, id, kind, time, recorded_at, meta, data)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// insert inserts r as the event of tenant at position.
func (r *record) insert(c *conn, tenant int64, position uint64, s streamHead, kind int64) error {
	if position > maxPosition {
		return fmt.Errorf("position %d is above the largest position", position)
	}
	var uuid [16]byte
	return c.exec(insertEvent, number(seq(tenant, position)), number(tenant), number(s.id), number(s.version),
		idValue(r.event.ID, &uuid), number(kind), number(r.time), number(r.recordedAt), text(r.meta), blob(r.event.Data))
}

// idValue returns the value of column id for an id. It may use uuid to hold the bytes.
func idValue(id string, uuid *[16]byte) value {
	if parseUUID(uuid, id) {
		return blob(uuid[:])
	}
	return text(id)
}

// parseUUID parses a UUID in its usual form, in lower case. It accepts no other form,
// so that the bytes determine the id.
func parseUUID(to *[16]byte, id string) bool {
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return false
	}
	n := 0
	for i := 0; i < len(id); i += 2 {
		if id[i] == '-' {
			i++
		}
		high, low := nibble(id[i]), nibble(id[i+1])
		if high > 15 || low > 15 {
			return false
		}
		to[n] = high<<4 | low
		n++
	}
	return true
}

// nibble returns the value of a lower case hexadecimal digit, or a value above 15 for
// anything else.
func nibble(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 16
}

// id returns the id in a column.
func (s *stmt) id(column int32, a *arena) string {
	raw := s.bytes(column)
	if len(raw) != 16 || s.kind(column) != lib.SQLITE_BLOB {
		return a.text(raw)
	}
	var to [36]byte
	hex.Encode(to[:], raw[:4])
	to[8] = '-'
	hex.Encode(to[9:], raw[4:6])
	to[13] = '-'
	hex.Encode(to[14:], raw[6:8])
	to[18] = '-'
	hex.Encode(to[19:], raw[8:10])
	to[23] = '-'
	hex.Encode(to[24:], raw[10:])
	return a.text(to[:])
}

// eventColumns are the columns that event reads, followed by the stream.
const eventColumns = `seq, version, id, kind, time, recorded_at, meta, data, stream`

const (
	columnSeq = iota
	columnVersion
	columnID
	columnKind
	columnTime
	columnRecordedAt
	columnMeta
	columnData
	columnStream
)

// event reads a row of eventColumns into e. The caller knows the kind and the stream.
func (s *stmt) event(e *store.Recorded, k kind, a *arena) error {
	e.Position = s.uint(columnSeq) & maxPosition
	e.Version = s.uint(columnVersion)
	e.ID = s.id(columnID, a)
	e.Type, e.Schema, e.ContentType = k.name, k.schema, k.contentType
	e.Time, e.RecordedAt = time.UnixMicro(s.int(columnTime)).UTC(), time.UnixMicro(s.int(columnRecordedAt)).UTC()
	if meta := s.bytes(columnMeta); len(meta) > 0 {
		if err := decodeMeta(&e.Meta, meta, a); err != nil {
			return fmt.Errorf("metadata of event %q: %w", e.ID, err)
		}
	}
	e.Data = a.bytes(s.bytes(columnData))
	return nil
}

// metadata is store.Metadata as JSON.
type metadata struct {
	CorrelationID string            `json:"correlation_id,omitempty"`
	CausationID   string            `json:"causation_id,omitempty"`
	ActorID       string            `json:"actor_id,omitempty"`
	Headers       map[string]string `json:"headers,omitempty"`
}

// encodeMeta returns m as JSON, or "" if m is empty.
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

// decodeMeta decodes the output of encodeMeta. It decodes the fields of most events
// itself, and leaves the rest to encoding/json.
func decodeMeta(to *store.Metadata, text []byte, a *arena) error {
	rest := text
	for _, field := range [...]struct {
		begins string
		to     *string
	}{
		{`"correlation_id":"`, &to.CorrelationID},
		{`"causation_id":"`, &to.CausationID},
		{`"actor_id":"`, &to.ActorID},
	} {
		rest = cutField(rest, len(rest) == len(text), field.begins, field.to, a)
	}
	if len(rest) == 1 && rest[0] == '}' && len(text) > 2 {
		return nil
	}
	var m metadata
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	*to = store.Metadata(m)
	return nil
}

// cutField cuts a field that starts with begins off the beginning of rest, together
// with the { before a first field or the comma before another. It returns false if the
// value has escape sequences.
func cutField(rest []byte, first bool, begins string, to *string, a *arena) []byte {
	before := byte(',')
	if first {
		before = '{'
	}
	if len(rest) < 1+len(begins) || rest[0] != before || string(rest[1:1+len(begins)]) != begins {
		return rest
	}
	value := rest[1+len(begins):]
	end := bytes.IndexByte(value, '"')
	if end < 0 || bytes.IndexByte(value[:end], '\\') >= 0 {
		return rest
	}
	*to = a.text(value[:end])
	return value[end+1:]
}
