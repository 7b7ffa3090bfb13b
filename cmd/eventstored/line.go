package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

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
	if len(data) == 0 || bytes.Equal(data, []byte("null")) || !utf8.Valid(data) { // a null is no data
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

// readLines calls use with each line of r that is not blank, and its number. What is
// wrong with a line is an error that says which.
func readLines(r io.Reader, use func(number int, l *line) error) error {
	reader := bufio.NewReaderSize(r, 1<<16)
	for number := 1; ; number++ {
		text, err := reader.ReadBytes('\n')
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if len(bytes.TrimSpace(text)) > 0 {
			l, err := parse(text)
			if err != nil {
				return fmt.Errorf("line %d: %w", number, err)
			}
			if err := use(number, l); err != nil {
				return err
			}
		}
		if end {
			return nil
		}
	}
}

// parse returns the line that text is. It is an error if something of text would be lost
// or changed: a field that is not known or comes twice, more text after the object, text
// that is not UTF-8.
func parse(text []byte) (*line, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("is not UTF-8")
	}
	fields, err := fieldsOf(text)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"stream_type", "stream_id", "id", "type", "content_type", "correlation_id", "causation_id", "actor_id", "headers"} {
		if loneSurrogate(fields[name]) {
			return nil, fmt.Errorf("%s has half of a surrogate pair", name)
		}
	}
	if headers := fields["headers"]; len(headers) > 0 && headers[0] == '{' {
		if _, err := fieldsOf(headers); err != nil {
			return nil, fmt.Errorf("headers: %w", err)
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	l := &line{}
	if err := decoder.Decode(l); err != nil {
		return nil, err
	}
	for name := range fields { // the decoder takes them in any case
		if !slices.Contains(lineFields(), name) {
			return nil, fmt.Errorf("unknown field %q", name)
		}
	}
	if string(l.Data) == "null" {
		l.Data = nil
	}
	return l, nil
}

// lineFields returns the names of the fields of a line.
func lineFields() []string {
	return []string{
		"position", "stream_type", "stream_id", "version", "id", "type", "schema", "content_type", "time", "recorded_at",
		"correlation_id", "causation_id", "actor_id", "headers", "data", "data_base64",
	}
}

// fieldsOf returns the fields of the JSON object that text is, and nothing else.
func fieldsOf(text []byte) (map[string]json.RawMessage, error) {
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
		key, _ := name.(string) // between the braces nothing else comes first
		if _, ok := fields[key]; ok {
			return nil, fmt.Errorf("field %q comes twice", key)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		fields[key] = value
	}
	if _, err := decoder.Token(); err != nil { // the brace
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("has more text after the JSON object")
	}
	return fields, nil
}

// surrogate is an escaped pair of surrogates, or a half of one, or a backslash.
var surrogate = regexp.MustCompile(`\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}`)

// loneSurrogate reports whether text, which is JSON, has half of a surrogate pair, which
// is decoded to something else.
func loneSurrogate(text []byte) bool {
	for _, match := range surrogate.FindAll(text, -1) {
		if len(match) == len(`\ud800`) {
			return true
		}
	}
	return false
}

// parseStream returns the stream that text names: its type, a slash, its id, in
// which there may be more slashes.
func parseStream(text string) (store.Stream, error) {
	streamType, id, _ := strings.Cut(text, "/")
	s := store.Stream{Type: streamType, ID: id}
	if err := s.Validate(); err != nil {
		return s, fmt.Errorf("%w: a stream is named TYPE/ID, not %s: %w", errUsage, shown(text), err)
	}
	return s, nil
}
