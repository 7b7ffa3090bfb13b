package store

import (
	"context"
	"strings"
	"time"
)

// Finder is a store that finds streams by name and events by id, for people who look
// into it. It is safe for concurrent use.
type Finder interface {
	// ListStreams returns the streams that have events and that o selects, ordered by the
	// bytes of their types, and within a type by the bytes of their ids. It returns at
	// most o.Limit streams, and at least one unless there are no more. The caller owns the
	// page. It returns an *InvalidError if o breaks a rule of [StreamsOptions.Validate].
	ListStreams(ctx context.Context, o StreamsOptions) (StreamsPage, error)

	// StreamTypes returns the types of all streams that have events, each once, in byte
	// order.
	StreamTypes(ctx context.Context) ([]string, error)

	// FindEvent returns the event with this id, and false if there is none. The caller
	// owns the event. It returns an *InvalidError if no event can have this id; see
	// [ValidateEventID].
	FindEvent(ctx context.Context, id string) (event Recorded, found bool, err error)
}

// StreamsOptions says which streams to list. The zero value lists the first page of all
// streams.
type StreamsOptions struct {
	// Type is the type of the streams; empty means every type.
	Type string
	// IDPrefix is a prefix of the streams' ids, compared byte for byte.
	IDPrefix string
	// After is the stream after which the page begins, usually the last stream of the
	// previous page. It need not exist. The zero Stream is the beginning.
	After Stream
	// Limit is the maximum number of streams to return; zero means [DefaultLimit]. A store
	// may return fewer.
	Limit int
}

// Validate returns an *InvalidError if no streams can be listed with o: its type must
// be empty or a name, its prefix at most [MaxName] bytes of valid UTF-8 without NUL,
// After zero or a valid stream, and Limit not negative.
func (o StreamsOptions) Validate() error {
	if err := checkText("type", o.Type, MaxName); err != nil {
		return err
	}
	if err := checkText("id prefix", o.IDPrefix, MaxName); err != nil {
		return err
	}
	if o.After != (Stream{}) {
		if err := checkName("after.type", o.After.Type); err != nil {
			return err
		}
		if err := checkName("after.id", o.After.ID); err != nil {
			return err
		}
	}
	return validateLimit(o.Limit)
}

// Matches reports whether o lists s on this page or a later one.
func (o StreamsOptions) Matches(s Stream) bool {
	return (o.Type == "" || s.Type == o.Type) && strings.HasPrefix(s.ID, o.IDPrefix) && o.After.Compare(s) < 0
}

// Compare returns -1 if s comes before t in the order of [Finder.ListStreams], 1 if it
// comes after t, and 0 if they are the same.
func (s Stream) Compare(t Stream) int {
	if c := strings.Compare(s.Type, t.Type); c != 0 {
		return c
	}
	return strings.Compare(s.ID, t.ID)
}

// StreamsPage is a part of the streams of a store.
type StreamsPage struct {
	Streams []StreamInfo
	// End says that there were no more streams when the page was read.
	End bool
}

// StreamInfo is a stream, and its last event at the time the page was read.
type StreamInfo struct {
	Stream     Stream
	Version    uint64    // of the stream, which is the version of its last event
	Position   uint64    // of its last event
	EventType  string    // of its last event
	RecordedAt time.Time // when its last event was recorded
}

// ValidateEventID returns an *InvalidError if no event can have this id: it must be 1 to
// [MaxName] bytes of valid UTF-8 without NUL.
func ValidateEventID(id string) error { return validateName("id", id) }
