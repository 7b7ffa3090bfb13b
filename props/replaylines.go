package props

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/evolvego/evolve/store"
)

// line is a recorded event in a file: a JSON object on a line of its own, in the format
// of "eventstored export".
type line struct {
	Position    uint64            `json:"position,omitempty"`
	StreamType  string            `json:"stream_type,omitempty"`
	StreamID    string            `json:"stream_id,omitempty"`
	Version     uint64            `json:"version,omitempty"`
	ID          string            `json:"id,omitempty"`
	Type        string            `json:"type"`
	Schema      uint32            `json:"schema,omitempty"`
	ContentType string            `json:"content_type,omitempty"`
	Time        time.Time         `json:"time,omitzero"`
	RecordedAt  time.Time         `json:"recorded_at,omitzero"`
	Correlation string            `json:"correlation_id,omitempty"`
	Causation   string            `json:"causation_id,omitempty"`
	Actor       string            `json:"actor_id,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"`
	Data        json.RawMessage   `json:"data,omitempty"`        // if the data is JSON without spaces
	Base64      []byte            `json:"data_base64,omitempty"` // any other data
	Golden      *meaning          `json:"golden,omitempty"`      // see [Golden]
}

// lineFields returns the names of the fields of a line.
func lineFields() []string {
	return []string{
		"position", "stream_type", "stream_id", "version", "id", "type", "schema", "content_type", "time", "recorded_at",
		"correlation_id", "causation_id", "actor_id", "headers", "data", "data_base64", "golden",
	}
}

// meaning is what a recorded event meant when it was last checked.
type meaning struct {
	Events string `json:"events"`
	State  string `json:"state"` // after the event
}

// WriteLines writes recorded events to w, such as those of store.Events, for [Lines] to
// read. It writes each event as a JSON object on its own line, with everything that a
// store keeps, in the format that "eventstored export" prints and "eventstored import"
// reads. It stops at the first error, from events or from w. An event that is kept as a
// Value, and not as data, is an error.
func WriteLines(w io.Writer, events iter.Seq2[store.Recorded, error]) error {
	for r, err := range events {
		if err != nil {
			return err
		}
		data, err := lineOf(r).encode()
		if err != nil {
			return fmt.Errorf("props: write version %d of %s: %w", r.Version, r.Stream, err)
		}
		if r.Value != nil {
			return fmt.Errorf("props: write version %d of %s: it is a value, not data", r.Version, r.Stream)
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return nil
}

// Lines yields the events that [WriteLines] or "eventstored export" wrote. It yields an
// error, from r or about a line, last. A line is an error if reading it would lose or
// change something: an unknown or repeated field, more text after the object, text that
// is not UTF-8.
func Lines(r io.Reader) iter.Seq2[store.Recorded, error] {
	return func(yield func(store.Recorded, error) bool) {
		for l, err := range lines(r) {
			if !yield(l.recorded(), err) || err != nil {
				return
			}
		}
	}
}

// lines yields the lines of r that are not empty.
func lines(r io.Reader) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		in := bufio.NewReader(r)
		for n := 1; ; n++ {
			data, err := in.ReadBytes('\n')
			if err != nil && err != io.EOF {
				yield(line{}, err)
				return
			}
			if data = bytes.TrimSpace(data); len(data) > 0 {
				l, err := parseLine(data)
				if err != nil {
					yield(line{}, fmt.Errorf("props: line %d: %w", n, err))
					return
				}
				if !yield(l, nil) {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
}

// parseLine parses text as a line.
func parseLine(text []byte) (l line, err error) {
	if !utf8.Valid(text) {
		return l, errors.New("is not UTF-8")
	}
	fields, err := objectFields(text)
	if err != nil {
		return l, err
	}
	for name := range fields {
		if !slices.Contains(lineFields(), name) {
			return l, fmt.Errorf("unknown field %q", name)
		}
	}
	if headers := fields["headers"]; len(headers) > 0 && headers[0] == '{' {
		if _, err := objectFields(headers); err != nil {
			return l, fmt.Errorf("headers: %w", err)
		}
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return l, err
	}
	if string(l.Data) == "null" {
		l.Data = nil
	}
	if l.Data != nil && l.Base64 != nil {
		return l, errors.New("has both data and data_base64")
	}
	return l, nil
}

// objectFields returns the fields of the JSON object in text, which must hold nothing
// else.
func objectFields(text []byte) (map[string]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if open, err := decoder.Token(); err != nil {
		return nil, err
	} else if open != json.Delim('{') {
		return nil, errors.New("is not a JSON object")
	}
	fields := make(map[string]json.RawMessage)
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		key, _ := name.(string) // only names can be tokens here
		if _, ok := fields[key]; ok {
			return nil, fmt.Errorf("field %q comes twice", key)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		fields[key] = value
	}
	if _, err := decoder.Token(); err != nil { // the closing brace
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("has more text after the JSON object")
	}
	return fields, nil
}

func lineOf(r store.Recorded) *line {
	l := &line{
		Position: r.Position, StreamType: r.Stream.Type, StreamID: r.Stream.ID, Version: r.Version, ID: r.ID,
		Type: r.Type, Schema: r.Schema, ContentType: r.ContentType, Time: r.Time, RecordedAt: r.RecordedAt,
		Correlation: r.Meta.CorrelationID, Causation: r.Meta.CausationID, Actor: r.Meta.ActorID, Headers: r.Meta.Headers,
	}
	if staysAsIs(r.Data) {
		l.Data = r.Data
	} else {
		l.Base64 = r.Data
	}
	return l
}

// staysAsIs reports whether data survives a line unchanged.
func staysAsIs(data []byte) bool {
	if len(data) == 0 || bytes.Equal(data, []byte("null")) || !utf8.Valid(data) { // null stands for no data
		return false
	}
	var compact bytes.Buffer
	return json.Compact(&compact, data) == nil && bytes.Equal(compact.Bytes(), data)
}

func (l *line) recorded() store.Recorded {
	r := store.Recorded{
		Event: store.Event{
			ID: l.ID, Type: l.Type, Schema: l.Schema, ContentType: l.ContentType, Data: l.Data, Time: l.Time,
			Meta: store.Metadata{CorrelationID: l.Correlation, CausationID: l.Causation, ActorID: l.Actor, Headers: l.Headers},
		},
		Stream: store.Stream{Type: l.StreamType, ID: l.StreamID}, Version: l.Version, Position: l.Position, RecordedAt: l.RecordedAt,
	}
	if l.Base64 != nil {
		r.Data = l.Base64
	}
	return r
}

// encode returns l with a line feed.
func (l *line) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(l)
	return b.Bytes(), err
}
