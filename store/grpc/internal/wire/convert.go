package wire

import (
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
)

// Fields of the protocol that [store.Event] does not have are stored as headers under
// these keys. Every other key that begins with "eventstore.v1/" is reserved for the
// server, and refused from clients.
const (
	// HeaderContentSchema is the header with the content schema of an event.
	HeaderContentSchema = reserved + "content_schema"
	// HeaderPayloadSHA256 is the header with the payload's SHA-256, as the client sent it,
	// in lower-case hexadecimal digits.
	HeaderPayloadSHA256 = reserved + "payload_sha256"

	reserved          = "eventstore.v1/"
	HeaderNoType      = reserved + "no_event_type"   // the event has no type: it is stored with the type NoType
	HeaderNoTime      = reserved + "no_timestamp"    // its timestamp is 0: it is stored with the time of recording
	HeaderIdempotency = reserved + "idempotency_key" // reserved for the server; see there
	NoType            = "untyped"
)

// FromRecorded returns r as it is sent to a client of tenant. It shares memory with r,
// and must not be changed.
func FromRecorded(tenant string, r *store.Recorded) *eventstorev1.EventData {
	p := &struct {
		data eventstorev1.EventData
		meta eventstorev1.EventMetadata
	}{}
	p.data.Meta, p.data.Payload = &p.meta, r.Data
	m := &p.meta
	fillMeta(m, r.Stream, r.Version, &r.Event)
	m.TenantId = tenant
	m.RecordedTimeUnixMs = ToMillis(r.RecordedAt)
	m.GlobalNonce = r.Position
	return &p.data
}

// FromEvent returns e as it is sent to be appended to s as version nonce, with an empty
// tenant. It shares memory with e.
func FromEvent(s store.Stream, nonce uint64, e *store.Event) *eventstorev1.EventData {
	m := &eventstorev1.EventMetadata{}
	fillMeta(m, s, nonce, e)
	return &eventstorev1.EventData{Meta: m, Payload: e.Data}
}

func fillMeta(m *eventstorev1.EventMetadata, s store.Stream, nonce uint64, e *store.Event) {
	m.EventId = e.ID
	m.AggregateId = s.ID
	m.AggregateType = s.Type
	m.AggregateNonce = nonce
	m.EventType = e.Type
	m.EventVersion = e.Schema
	m.ContentType = e.ContentType
	m.CorrelationId = e.Meta.CorrelationID
	m.CausationId = e.Meta.CausationID
	m.ActorId = e.Meta.ActorID
	m.TimestampUnixMs = ToMillis(e.Time)
	fillHeaders(m, e.Meta.Headers)
}

// fillHeaders sets the headers of m, and the fields that are stored in headers.
func fillHeaders(m *eventstorev1.EventMetadata, headers map[string]string) {
	if !hasReserved(headers) {
		m.Headers = headers
		return
	}
	m.ContentSchema = headers[HeaderContentSchema]
	if sum, err := hex.DecodeString(headers[HeaderPayloadSHA256]); err == nil && len(sum) > 0 {
		m.PayloadSha256 = sum
	}
	if _, ok := headers[HeaderNoType]; ok && m.GetEventType() == NoType {
		m.EventType = ""
	}
	if _, ok := headers[HeaderNoTime]; ok {
		m.TimestampUnixMs = 0
	}
	m.Headers = maps.Clone(headers)
	for _, key := range [...]string{HeaderContentSchema, HeaderPayloadSHA256, HeaderNoType, HeaderNoTime, HeaderIdempotency} {
		delete(m.Headers, key)
	}
}

// ToRecorded returns the event that a server has sent. It shares the memory of p, which
// must not be used afterwards.
func ToRecorded(p *eventstorev1.EventData) (store.Recorded, error) {
	m := p.GetMeta()
	switch {
	case m == nil:
		return store.Recorded{}, fmt.Errorf("store/grpc: event without metadata: %w", ErrProtocol)
	case m.GetAggregateNonce() == 0 || m.GetAggregateNonce() > store.MaxVersion || m.GetGlobalNonce() > store.MaxVersion:
		return store.Recorded{}, fmt.Errorf("store/grpc: event %q has aggregate nonce %d and global nonce %d: %w",
			m.GetEventId(), m.GetAggregateNonce(), m.GetGlobalNonce(), ErrProtocol)
	}
	return store.Recorded{
		Event:      ToEvent(p),
		Stream:     store.Stream{Type: m.GetAggregateType(), ID: m.GetAggregateId()},
		Version:    m.GetAggregateNonce(),
		Position:   m.GetGlobalNonce(),
		RecordedAt: fromMillis(m.GetRecordedTimeUnixMs()),
	}, nil
}

// ToEvent returns the part of p that is a [store.Event]; p must have metadata.
func ToEvent(p *eventstorev1.EventData) store.Event {
	m := p.GetMeta()
	return store.Event{
		ID:          m.GetEventId(),
		Type:        m.GetEventType(),
		Schema:      m.GetEventVersion(),
		ContentType: m.GetContentType(),
		Data:        p.GetPayload(),
		Meta: store.Metadata{
			CorrelationID: m.GetCorrelationId(),
			CausationID:   m.GetCausationId(),
			ActorID:       m.GetActorId(),
			Headers:       protoHeaders(m),
		},
		Time: fromMillis(m.GetTimestampUnixMs()),
	}
}

// protoHeaders returns the headers of m, including those for its extra fields.
func protoHeaders(m *eventstorev1.EventMetadata) map[string]string {
	headers := m.GetHeaders()
	if m.GetContentSchema() == "" && len(m.GetPayloadSha256()) == 0 {
		return headers
	}
	if headers == nil {
		headers = make(map[string]string, 2)
	}
	if m.GetContentSchema() != "" {
		headers[HeaderContentSchema] = m.GetContentSchema()
	}
	if len(m.GetPayloadSha256()) > 0 {
		headers[HeaderPayloadSHA256] = hex.EncodeToString(m.GetPayloadSha256())
	}
	return headers
}

// IsReserved reports whether a header with this key is reserved for the server.
func IsReserved(key string) bool { return strings.HasPrefix(key, reserved) }

func hasReserved(headers map[string]string) bool {
	for key := range headers {
		if IsReserved(key) {
			return true
		}
	}
	return false
}

// ToMillis returns t in milliseconds since 1970, or 0 for the zero time. A time before
// 1970 is the two's complement.
func ToMillis(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixMilli())
}

// fromMillis is the inverse of ToMillis.
func fromMillis(ms uint64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC() //nolint:gosec // negative ones come back as they were
}
