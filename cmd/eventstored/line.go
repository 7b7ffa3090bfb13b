package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/evolvego/evolve/store"
)

// line is an event as a line of JSON.
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
	Data        json.RawMessage   `json:"data,omitempty"`        // if it is JSON without spaces
	Base64      []byte            `json:"data_base64,omitempty"` // any other
}

// lineOf returns r as a line.
func lineOf(r *store.Recorded) line {
	l := line{
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

// staysAsIs reports whether data comes out of a line as it went in.
func staysAsIs(data []byte) bool {
	if len(data) == 0 || bytes.Equal(data, []byte("null")) { // a null is no data
		return false
	}
	var compact bytes.Buffer
	return json.Compact(&compact, data) == nil && bytes.Equal(compact.Bytes(), data)
}

// stream returns the stream that l is in.
func (l *line) stream() store.Stream { return store.Stream{Type: l.StreamType, ID: l.StreamID} }

// event returns l as it is appended. What has data and no content type is JSON.
func (l *line) event() (store.Event, error) {
	data := []byte(l.Data)
	if l.Base64 != nil {
		if data != nil {
			return store.Event{}, errors.New("has both data and data_base64")
		}
		data = l.Base64
	}
	content := l.ContentType
	if content == "" && l.Data != nil {
		content = "application/json"
	}
	return store.Event{
		ID: l.ID, Type: l.Type, Schema: l.Schema, ContentType: content, Data: data, Time: l.Time,
		Meta: store.Metadata{CorrelationID: l.Correlation, CausationID: l.Causation, ActorID: l.Actor, Headers: l.Headers},
	}, nil
}

// lineWriter writes events as lines.
type lineWriter struct {
	buffer  *bufio.Writer
	encoder *json.Encoder
}

func newLineWriter(w io.Writer) *lineWriter {
	buffer := bufio.NewWriterSize(w, 1<<16)
	encoder := json.NewEncoder(buffer)
	encoder.SetEscapeHTML(false) // data is to stay as it is
	return &lineWriter{buffer, encoder}
}

// write writes events, and whatever was written before, up to the last byte.
func (w *lineWriter) write(events []store.Recorded) error {
	for i := range events {
		if err := w.encoder.Encode(lineOf(&events[i])); err != nil {
			return fmt.Errorf("write version %d of %s: %w", events[i].Version, events[i].Stream, err)
		}
	}
	return w.buffer.Flush()
}

// readLines calls use with each line of r that is not blank, and its number. What
// is wrong with a line is an error that says which.
func readLines(r io.Reader, use func(number int, l *line) error) error {
	reader := bufio.NewReaderSize(r, 1<<16)
	for number := 1; ; number++ {
		text, err := reader.ReadBytes('\n')
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if len(bytes.TrimSpace(text)) > 0 {
			l, bad := parse(text)
			if bad == nil {
				bad = use(number, l)
			}
			if bad != nil {
				return fmt.Errorf("line %d: %w", number, bad)
			}
		}
		if end {
			return nil
		}
	}
}

// parse returns the line that text is. A field that is not known is an error, for
// it would be lost.
func parse(text []byte) (*line, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	l := &line{}
	if err := decoder.Decode(l); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, errors.New("more than one value")
	}
	if string(l.Data) == "null" {
		l.Data = nil
	}
	return l, nil
}

// parseStream returns the stream that text names: its type, a slash, its id, in
// which there may be more slashes.
func parseStream(text string) (store.Stream, error) {
	streamType, id, _ := strings.Cut(text, "/")
	s := store.Stream{Type: streamType, ID: id}
	if err := s.Validate(); err != nil {
		return s, fmt.Errorf("%w: stream %q, which is to be TYPE/ID: %w", errUsage, text, err)
	}
	return s, nil
}
