package main

import (
	"fmt"
	"strings"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jsonl"
)

// eventOf returns l as it is appended. What has data and no content type is JSON.
func eventOf(l *jsonl.Line) store.Event {
	event := l.Recorded().Event
	if event.ContentType == "" && l.Data != nil {
		event.ContentType = "application/json"
	}
	return event
}

// parseStream returns the stream that text names: its type, a slash, its id, in
// which there may be more slashes.
func parseStream(text string) (store.Stream, error) {
	streamType, id, _ := strings.Cut(text, "/")
	s := store.Stream{Type: streamType, ID: id}
	if err := s.Validate(); err != nil {
		return s, fmt.Errorf("%w: a stream name is TYPE/ID, not %s: %w", errUsage, shown(text), err)
	}
	return s, nil
}
