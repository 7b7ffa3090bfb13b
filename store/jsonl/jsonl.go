// Package jsonl writes recorded events as JSON Lines, one JSON object per line, and
// reads them back. It is the format of "eventstored export" and "eventstored import",
// of the console's exports, and of the files that package props replays:
//
//	{"position":1,"stream_type":"Account","stream_id":"a-1","version":1,"id":"e-1","type":"Opened","data":{"Owner":"Ann"}}
//
// A line holds everything that a store keeps about an event. Data that is JSON without
// spaces is in the field data, unchanged; any other data is in data_base64. Empty
// fields are left out.
//
// Nothing changes silently: writing returns an error for an event that a line cannot
// hold, and reading returns an error for a line that holds more than an event.
package jsonl

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

// Line is an event as a line.
type Line struct {
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
	Data        json.RawMessage   `json:"data,omitempty"`        // if it is JSON without spaces
	Base64      []byte            `json:"data_base64,omitempty"` // any other data
	// Golden is the result that a test expects for the event. Only package props writes
	// and uses it; for everyone else it is not part of the event.
	Golden json.RawMessage `json:"golden,omitempty"`

	// Number is the number of the line in the input, beginning at 1; 0 if it was not read.
	Number int `json:"-"`
}

// Of returns e as a line. It returns an error if e has a Value, which is not encoded,
// or a text that is not UTF-8. The line shares the memory of e.
func Of(e *store.Recorded) (Line, error) {
	l := Line{
		Position: e.Position, StreamType: e.Stream.Type, StreamID: e.Stream.ID, Version: e.Version, ID: e.ID,
		Type: e.Type, Schema: e.Schema, ContentType: e.ContentType, Time: e.Time, RecordedAt: e.RecordedAt,
		Correlation: e.Meta.CorrelationID, Causation: e.Meta.CausationID, Actor: e.Meta.ActorID, Headers: e.Meta.Headers,
	}
	if e.Value != nil {
		return l, errors.New("has a value that is not encoded")
	}
	for _, text := range []string{l.StreamType, l.StreamID, l.ID, l.Type, l.ContentType, l.Correlation, l.Causation, l.Actor} {
		if !utf8.ValidString(text) {
			return l, fmt.Errorf("%q is not UTF-8", text)
		}
	}
	for name, value := range l.Headers {
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return l, fmt.Errorf("header %q: is not UTF-8", name)
		}
	}
	if survives(e.Data) {
		l.Data = e.Data
	} else {
		l.Base64 = e.Data
	}
	return l, nil
}

// survives reports whether data survives the field data unchanged.
func survives(data []byte) bool {
	if len(data) == 0 || bytes.Equal(data, []byte("null")) || !utf8.Valid(data) { // null would mean no data
		return false
	}
	var compact bytes.Buffer
	return json.Compact(&compact, data) == nil && bytes.Equal(compact.Bytes(), data)
}

// Recorded returns the event of l. It shares the memory of l.
func (l *Line) Recorded() store.Recorded {
	data := []byte(l.Data)
	if l.Base64 != nil {
		data = l.Base64
	}
	return store.Recorded{
		Event: store.Event{
			ID: l.ID, Type: l.Type, Schema: l.Schema, ContentType: l.ContentType, Data: data, Time: l.Time,
			Meta: store.Metadata{CorrelationID: l.Correlation, CausationID: l.Causation, ActorID: l.Actor, Headers: l.Headers},
		},
		Stream: store.Stream{Type: l.StreamType, ID: l.StreamID}, Version: l.Version, Position: l.Position, RecordedAt: l.RecordedAt,
	}
}

// Writer writes lines. It is not safe for concurrent use. [NewWriter] creates one.
type Writer struct {
	buffer  *bufio.Writer
	encoder *json.Encoder
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer {
	buffer := bufio.NewWriterSize(w, 1<<16)
	encoder := json.NewEncoder(buffer)
	encoder.SetEscapeHTML(false) // data must stay unchanged
	return &Writer{buffer, encoder}
}

// Write writes events, and everything written before, completely. It stops at the first
// error, which says which event failed.
func (w *Writer) Write(events []store.Recorded) error {
	for i := range events {
		l, err := Of(&events[i])
		if err == nil {
			err = w.encoder.Encode(&l)
		}
		if err != nil {
			return fmt.Errorf("write version %d of %s: %w", events[i].Version, events[i].Stream, err)
		}
	}
	return w.buffer.Flush()
}

// WriteLine writes l, and everything written before.
func (w *Writer) WriteLine(l *Line) error {
	if err := w.encoder.Encode(l); err != nil {
		return fmt.Errorf("write version %d of %s/%s: %w", l.Version, l.StreamType, l.StreamID, err)
	}
	return w.buffer.Flush()
}

// Read yields the lines of r that are not blank. It ends with the first error; an error
// about a line says which line it is.
func Read(r io.Reader) iter.Seq2[*Line, error] {
	return func(yield func(*Line, error) bool) {
		in := bufio.NewReaderSize(r, 1<<16)
		for number := 1; ; number++ {
			text, err := in.ReadBytes('\n')
			end := errors.Is(err, io.EOF)
			if err != nil && !end {
				yield(nil, fmt.Errorf("line %d: %w", number, err))
				return
			}
			if len(bytes.TrimSpace(text)) > 0 {
				l, err := Parse(text)
				if err != nil {
					yield(nil, fmt.Errorf("line %d: %w", number, err))
					return
				}
				if l.Number = number; !yield(l, nil) {
					return
				}
			}
			if end {
				return
			}
		}
	}
}

// Parse returns the line in text. It returns an error if reading would lose or change
// something: an unknown or repeated field, more text after the object, text that is not
// UTF-8, half of a surrogate pair, or both data and data_base64.
func Parse(text []byte) (*Line, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("is not UTF-8")
	}
	fields, err := fieldsOf(text)
	if err != nil {
		return nil, err
	}
	for name, value := range fields {
		if !slices.Contains(names(), name) {
			return nil, fmt.Errorf("unknown field %q", name)
		}
		if name != "data" && name != "golden" && loneSurrogate(value) {
			return nil, fmt.Errorf("%s has half of a surrogate pair", name)
		}
	}
	if headers := fields["headers"]; len(headers) > 0 && headers[0] == '{' {
		if _, err := fieldsOf(headers); err != nil {
			return nil, fmt.Errorf("headers: %w", err)
		}
	}
	l := &Line{}
	if err := json.Unmarshal(text, l); err != nil {
		return nil, err
	}
	if string(l.Data) == "null" {
		l.Data = nil
	}
	if l.Data != nil && l.Base64 != nil {
		return nil, errors.New("has both data and data_base64")
	}
	return l, nil
}
