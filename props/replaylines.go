package props

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/evolvego/evolve/store"
)

// line is a recorded event in a file, a JSON object on a line of its own.
type line struct {
	Stream      string            `json:"stream"` // its type
	ID          string            `json:"id"`     // of the stream
	Version     uint64            `json:"version"`
	Position    uint64            `json:"position,omitempty"`
	EventID     string            `json:"eventId,omitempty"`
	Type        string            `json:"type"`
	Schema      uint32            `json:"schema,omitempty"`
	ContentType string            `json:"contentType,omitempty"`
	JSON        json.RawMessage   `json:"json,omitempty"` // the data, if it is JSON to the letter
	Data        []byte            `json:"data,omitempty"` // the data, otherwise
	Correlation string            `json:"correlationId,omitempty"`
	Causation   string            `json:"causationId,omitempty"`
	Actor       string            `json:"actorId,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"`
	Time        *time.Time        `json:"time,omitempty"`
	RecordedAt  *time.Time        `json:"recordedAt,omitempty"`
	Golden      *meaning          `json:"golden,omitempty"` // see [Golden]
}

// meaning is what a recorded event was last seen to mean.
type meaning struct {
	Events string `json:"events"`
	State  string `json:"state"` // after it
}

// WriteLines writes recorded events to w, such as those of store.Events, for
// [Lines] to read: each as a JSON object on its own line, with all that a store
// keeps. It stops at the first error, of events or of w. An event that is kept as
// a Value, and not as data, is an error.
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

// Lines yields the events that [WriteLines] wrote. An error, of r or of a line, is
// yielded last.
func Lines(r io.Reader) iter.Seq2[store.Recorded, error] {
	return func(yield func(store.Recorded, error) bool) {
		for l, err := range lines(r) {
			if !yield(l.recorded(), err) || err != nil {
				return
			}
		}
	}
}

// lines yields those of r that are not empty.
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
				var l line
				if err := json.Unmarshal(data, &l); err != nil {
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

func lineOf(r store.Recorded) *line {
	l := &line{
		Stream: r.Stream.Type, ID: r.Stream.ID, Version: r.Version, Position: r.Position,
		EventID: r.ID, Type: r.Type, Schema: r.Schema, ContentType: r.ContentType, Data: r.Data,
		Correlation: r.Meta.CorrelationID, Causation: r.Meta.CausationID, Actor: r.Meta.ActorID, Headers: r.Meta.Headers,
	}
	if !r.Time.IsZero() {
		l.Time = &r.Time
	}
	if !r.RecordedAt.IsZero() {
		l.RecordedAt = &r.RecordedAt
	}
	l.asJSON()
	return l
}

// asJSON moves the data of l to where it can be read, if it would come back the
// same to the letter.
func (l *line) asJSON() {
	if len(l.Data) == 0 || !json.Valid(l.Data) {
		return
	}
	try := line{JSON: l.Data}
	data, err := try.encode()
	if err != nil {
		return
	}
	var back line
	if err := json.Unmarshal(data, &back); err == nil && bytes.Equal(back.JSON, l.Data) {
		l.JSON, l.Data = l.Data, nil
	}
}

func (l *line) recorded() store.Recorded {
	r := store.Recorded{
		Event: store.Event{
			ID: l.EventID, Type: l.Type, Schema: l.Schema, ContentType: l.ContentType, Data: l.Data,
			Meta: store.Metadata{CorrelationID: l.Correlation, CausationID: l.Causation, ActorID: l.Actor, Headers: l.Headers},
		},
		Stream: store.Stream{Type: l.Stream, ID: l.ID}, Version: l.Version, Position: l.Position,
	}
	if l.JSON != nil {
		r.Data = l.JSON
	}
	if l.Time != nil {
		r.Time = *l.Time
	}
	if l.RecordedAt != nil {
		r.RecordedAt = *l.RecordedAt
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
