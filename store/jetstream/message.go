package jetstream

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/evolvego/evolve/store"
)

// The headers of an event. Values use %XX for bytes that are not printable ASCII.
const (
	headerVersion     = "Ev-Version"
	headerID          = "Ev-Id"
	headerType        = "Ev-Type"
	headerSchema      = "Ev-Schema"
	headerContentType = "Ev-Content-Type"
	headerTime        = "Ev-Time" // milliseconds since 1970; the time of recording if missing
	headerCorrelation = "Ev-Correlation-Id"
	headerCausation   = "Ev-Causation-Id"
	headerActor       = "Ev-Actor-Id"
	headerHeaders     = "Ev-Headers"     // JSON
	headerMetaLength  = "Ev-Meta-Length" // of the metadata as JSON, which precedes the data
	headerStreamType  = "Ev-Stream-Type" // if the subject has its hash
	headerStreamID    = "Ev-Stream-Id"
	headerBack        = "Ev-Back" // a trail
)

// The headers of the server.
const (
	headerSubject   = "Nats-Subject"
	headerSequence  = "Nats-Sequence"
	headerTimestamp = "Nats-Time-Stamp"
	headerPending   = "Nats-Num-Pending"
	headerUpTo      = "Nats-UpTo-Sequence"
	headerTTL       = "Nats-TTL"
	headerBatchID   = "Nats-Batch-Id"
	headerBatchSeq  = "Nats-Batch-Sequence"
	headerCommit    = "Nats-Batch-Commit"
	headerExpect    = "Nats-Expected-Last-Subject-Sequence"
	headerStatus    = "Status"
)

// maxMetaHeaders is the maximum number of bytes of metadata in headers, of which a
// message can have 64 KiB.
const maxMetaHeaders = 8 << 10

// metadata is [store.Metadata] as it precedes the data of an event.
type metadata struct {
	CorrelationID string            `json:"correlation,omitempty"`
	CausationID   string            `json:"causation,omitempty"`
	ActorID       string            `json:"actor,omitempty"`
	Headers       map[string]string `json:"headers,omitempty"`
}

// encode returns the headers and the data of e, except for those that depend on its
// version and position. The result shares no memory with e.
func encode(stream store.Stream, e *store.Event) (nats.Header, []byte, error) {
	h := make(nats.Header, 12)
	set := func(name, value string) { h[name] = []string{escapeHeader(value)} }
	set(headerID, e.ID)
	set(headerType, e.Type)
	if e.Schema != 0 {
		set(headerSchema, strconv.FormatUint(uint64(e.Schema), 10))
	}
	if e.ContentType != "" && e.ContentType != store.OctetStream {
		set(headerContentType, e.ContentType)
	}
	if !e.Time.IsZero() {
		set(headerTime, strconv.FormatInt(e.Time.UnixMilli(), 10))
	}
	if _, ok := nameOf(token(stream.Type)); !ok {
		set(headerStreamType, stream.Type)
	}
	if _, ok := nameOf(token(stream.ID)); !ok {
		set(headerStreamID, stream.ID)
	}
	before, err := encodeMeta(set, &e.Meta)
	if err != nil {
		return nil, nil, err
	}
	if len(before) > 0 {
		set(headerMetaLength, strconv.Itoa(len(before)))
	}
	return h, append(before, e.Data...), nil
}

// encodeMeta sets the headers for m. If m is too large for headers, it returns m
// encoded, to precede the data.
func encodeMeta(set func(name, value string), m *store.Metadata) ([]byte, error) {
	headers := ""
	if len(m.Headers) > 0 {
		text, err := json.Marshal(m.Headers)
		if err != nil {
			return nil, fmt.Errorf("jetstream: encode headers: %w", err)
		}
		headers = string(text)
	}
	values := [...]struct{ name, value string }{
		{headerCorrelation, m.CorrelationID},
		{headerCausation, m.CausationID},
		{headerActor, m.ActorID},
		{headerHeaders, headers},
	}
	size := 0
	for _, v := range values {
		size += len(v.value)
	}
	if size > maxMetaHeaders {
		all, err := json.Marshal(metadata{m.CorrelationID, m.CausationID, m.ActorID, m.Headers})
		if err != nil {
			return nil, fmt.Errorf("jetstream: encode metadata: %w", err)
		}
		return all, nil
	}
	for _, v := range values {
		if v.value != "" {
			set(v.name, v.value)
		}
	}
	return nil, nil
}

// message is a message of a stream in NATS.
type message struct {
	subject  string
	position uint64
	at       time.Time
	header   nats.Header
	data     []byte
}

// stored returns m, which a server has sent in answer to a direct request, as a message
// of its stream.
func stored(m *nats.Msg) (*message, error) {
	position, err := strconv.ParseUint(m.Header.Get(headerSequence), 10, 64)
	if err != nil {
		return nil, damaged("a message without a sequence")
	}
	at, err := time.Parse(time.RFC3339Nano, m.Header.Get(headerTimestamp))
	if err != nil {
		return nil, damaged(fmt.Sprintf("message %d without a time", position))
	}
	return &message{m.Header.Get(headerSubject), position, at.UTC(), m.Header, m.Data}, nil
}

// recorded returns the event in m, and the positions of the events before it.
func (m *message) recorded() (*store.Recorded, error) {
	r := &store.Recorded{Position: m.position, RecordedAt: m.at}
	get := func(name string) string { return unescape(m.header.Get(name)) }
	version, err := strconv.ParseUint(m.header.Get(headerVersion), 10, 64)
	if err != nil || version == 0 || version > store.MaxVersion {
		return nil, damaged(fmt.Sprintf("message %d (%s) is not an event", m.position, m.subject))
	}
	r.Version = version
	r.ID, r.Type, r.ContentType = get(headerID), get(headerType), get(headerContentType)
	if r.ContentType == "" {
		r.ContentType = store.OctetStream
	}
	if text := m.header.Get(headerSchema); text != "" {
		schema, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, damaged(fmt.Sprintf("event %d has the schema %q", m.position, text))
		}
		r.Schema = uint32(schema)
	}
	r.Time = m.at
	if text := m.header.Get(headerTime); text != "" {
		milliseconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, damaged(fmt.Sprintf("event %d has the time %q", m.position, text))
		}
		r.Time = time.UnixMilli(milliseconds).UTC()
	}
	r.Stream = streamOf(m.subject, store.Stream{Type: get(headerStreamType), ID: get(headerStreamID)})
	return r, m.decodeData(r, get)
}

// decodeData sets the data and the metadata of r.
func (m *message) decodeData(r *store.Recorded, get func(string) string) error {
	data := m.data
	if text := m.header.Get(headerMetaLength); text != "" {
		length, err := strconv.ParseUint(text, 10, 32)
		var meta metadata
		if err != nil || length > uint64(len(data)) || json.Unmarshal(data[:length], &meta) != nil {
			return damaged(fmt.Sprintf("event %d has metadata that cannot be read", m.position))
		}
		r.Meta = store.Metadata(meta)
		data = data[length:]
	} else {
		r.Meta = store.Metadata{CorrelationID: get(headerCorrelation), CausationID: get(headerCausation), ActorID: get(headerActor)}
		if text := get(headerHeaders); text != "" {
			if err := json.Unmarshal([]byte(text), &r.Meta.Headers); err != nil {
				return damaged(fmt.Sprintf("event %d has headers that cannot be read", m.position))
			}
		}
	}
	if len(data) > 0 {
		r.Data = bytes.Clone(data)
	}
	return nil
}

// trail returns the trail of the event in m.
func (m *message) trail() (trail, error) {
	version, err := strconv.ParseUint(m.header.Get(headerVersion), 10, 64)
	if err != nil {
		return trail{}, damaged(fmt.Sprintf("message %d (%s) is not an event", m.position, m.subject))
	}
	t, ok := parseTrail(m.header.Get(headerBack), version, m.position)
	if !ok {
		return trail{}, damaged(fmt.Sprintf("event %d has the header %s: %q", m.position, headerBack, m.header.Get(headerBack)))
	}
	return t, nil
}

// idMessage contains the distance in messages from here to its event, and the token of
// its append.
type idMessage struct {
	distance uint64
	token    [8]byte
}

func (i idMessage) encode() []byte {
	return append(binary.AppendUvarint(nil, i.distance), i.token[:]...)
}

func decodeID(data []byte) (idMessage, bool) {
	distance, n := binary.Uvarint(data)
	var i idMessage
	if n <= 0 || len(data)-n != len(i.token) {
		return idMessage{}, false
	}
	i.distance = distance
	copy(i.token[:], data[n:])
	return i, true
}

// claimMessage contains the holder of a key; without a type there is none.
type claimMessage struct {
	Key  string `json:"k"`
	Type string `json:"t,omitempty"`
	ID   string `json:"i,omitempty"`
}
