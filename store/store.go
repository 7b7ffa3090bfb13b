package store

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DefaultTenant is the tenant of a store until you ask for another one.
const DefaultTenant = "default"

// DefaultLimit is the maximum number of events in a page if Limit is zero.
const DefaultLimit = 1000

// Store keeps the streams of one tenant. It is safe for concurrent use.
type Store interface {
	// Append records events, in order, at the end of stream s if the version of s matches
	// expected. It records all of them or none.
	//
	// If all the events are already recorded, at consecutive versions of s and the same by
	// [Event.Same], Append records nothing, whatever expected is, and returns their
	// version and position with Replayed set. It returns a *ConflictError if s is at
	// another version, a *DuplicateError if an event id belongs to another event, and an
	// *InvalidError if an argument breaks a rule of [ValidateAppend] or a limit of this
	// store. These errors and ErrClosed are definite (see [Definite]): nothing was
	// recorded, and nothing will be. After any other error, including the error of an
	// ended ctx, the events may have been recorded, or may still be recorded later.
	//
	// The store keeps no reference to events or to what they point to, except to Value,
	// and does not modify them.
	Append(ctx context.Context, s Stream, expected Expected, events []Event) (Appended, error)

	// Read returns a page of stream s. For a stream without events it returns an empty
	// page, not an error. The caller owns the page, but with o.ReadOnly not what its
	// events point to. Read returns an *InvalidError if s or o is not valid.
	Read(ctx context.Context, s Stream, o ReadOptions) (Page, error)
}

// Log is a store that also keeps the events of all its streams in one order. It is safe
// for concurrent use.
type Log interface {
	// ReadAll returns a page of the log. The caller owns the page.
	ReadAll(ctx context.Context, o LogOptions) (Page, error)

	// Subscribe yields the log from o.From on, page by page. At the end of the log it
	// waits for more events, until the loop breaks or ctx ends. If ctx ends or anything
	// else fails, it yields that error last. Backward is not allowed.
	//
	// Subscribe yields every event that o.Filter matches exactly once, in order. A page
	// has at most o.Limit events; it may have none, to report Next. A page with End set
	// has caught up with the log. To resume later, subscribe from the Next of the last
	// page that you have handled. A slow loop slows down only itself.
	Subscribe(ctx context.Context, o LogOptions) iter.Seq2[Page, error]

	// Head returns the position of the last event in the log, or 0 if the log is empty.
	Head(ctx context.Context) (uint64, error)
}

// Tenants is a backend that keeps several tenants apart. A call on the store of one
// tenant never reads, changes or reveals anything of another tenant. It is safe for
// concurrent use.
type Tenants interface {
	// Tenant returns the store of tenant id. The id must satisfy [ValidateTenant].
	Tenant(id string) (Store, error)
}

// Stream identifies a stream by the type of its aggregate and the aggregate's id within
// that type. Neither may be empty.
type Stream struct {
	Type string // "Account"
	ID   string // "acc-1"
}

// String returns "Type/ID", for messages. If the text is long or has characters that
// are not printable, String quotes it as Go does and shortens it.
func (s Stream) String() string { return printable(s.Type + "/" + s.ID) }

// printable returns text unchanged if it can stand in the middle of a sentence.
// Otherwise it returns text quoted, and with its length if it had to be shortened.
func printable(text string) string {
	const most = 128 // bytes
	if len(text) > most {
		cut := strings.ToValidUTF8(text[:most], "")
		return fmt.Sprintf("%q… (%d bytes)", cut, len(text))
	}
	if quoted := strconv.Quote(text); quoted[1:len(quoted)-1] != text || strings.Contains(text, " ") {
		return quoted
	}
	return text
}

// Event is an event to append.
type Event struct {
	// ID is unique in the tenant; see [NewID].
	ID string
	// Type is the event's name, such as "AccountOpened".
	Type string
	// Schema is the version of the shape of Data, beginning at 1; 0 is unknown.
	Schema uint32
	// ContentType is the media type of Data. Empty is stored as
	// "application/octet-stream".
	ContentType string
	// Data is the encoded event. It may be empty.
	Data []byte
	// Value is the event itself instead of Data, for codecs that do not encode. Only a
	// store in the same process can keep it, and every reader then gets the same value.
	// Other stores return an *InvalidError.
	Value any
	// Meta says where the event came from.
	Meta Metadata
	// Time is when the event happened, by the client's clock. A store keeps at least its
	// milliseconds. The zero time is stored as the time of recording.
	Time time.Time
}

// Same reports whether e and o are the same event: whether they have the same ID, Type,
// Schema, ContentType and Data. It ignores Meta and Time, which may differ when an
// append is retried, and Value, which cannot always be compared.
func (e *Event) Same(o *Event) bool {
	return e.ID == o.ID && e.Type == o.Type && e.Schema == o.Schema &&
		contentType(e.ContentType) == contentType(o.ContentType) && bytes.Equal(e.Data, o.Data)
}

// contentType returns t, or [OctetStream] if t is empty.
func contentType(t string) string {
	if t == "" {
		return OctetStream
	}
	return t
}

// OctetStream is the content type that is stored for an empty one.
const OctetStream = "application/octet-stream"

// Metadata says where an event came from. Every field is optional.
type Metadata struct {
	CorrelationID string            // shared by everything that one request caused
	CausationID   string            // the command or event that caused this one
	ActorID       string            // who caused the event
	Headers       map[string]string // anything else; a key must not be empty
}

// Recorded is an event as recorded by a store. It never changes.
type Recorded struct {
	Event
	Stream     Stream
	Version    uint64    // in the stream, beginning at 1
	Position   uint64    // in the log, beginning at 1; 0 if the store has no log
	RecordedAt time.Time // by the store's clock
}

// Appended says where the events of an append are. Their versions are consecutive, and
// so are their positions: event i (from 0) of n has the position Position-n+1+i. The
// positions of a replay need not be consecutive, because several appends may have
// recorded its events.
type Appended struct {
	Version  uint64 // version of the last event, which is the version of the stream right after the append
	Position uint64 // position of the last event; 0 if the store has no log
	Replayed bool   // the events were recorded before this call
}

// ReadOptions says what part of a stream to read. The zero value reads the first
// page.
type ReadOptions struct {
	// From is the version of the first event of the page. Zero means the first event, or
	// with Backward the last one. Beyond the head, a forward page is empty and a backward
	// page begins at the head.
	From uint64
	// Limit is the maximum number of events to return; zero means [DefaultLimit], and a
	// negative limit is an *InvalidError. A store may return fewer.
	Limit int
	// Backward reads from newer to older.
	Backward bool
	// ReadOnly promises that nobody will ever change what the events of the page point
	// to. A store in memory can then return its own data instead of a copy.
	ReadOnly bool
	// Buffer is memory for the events of the page. A caller who reads many pages, and no
	// longer needs the last one, saves allocations with it. The store may overwrite the
	// whole capacity of Buffer and return a part of it as Page.Events, but does not use
	// it after Read returns. With nil the store allocates.
	Buffer []Recorded
}

// LogOptions says what part of the log to read. The zero value reads the first
// page of everything.
type LogOptions struct {
	From     uint64 // the first position of the page; zero as in [ReadOptions]
	Limit    int    // as in [ReadOptions]
	Backward bool   // from newer to older
	Filter   Filter // which events; the zero Filter matches all
}

// Filter selects events of a log. An event must match every field that is set.
type Filter struct {
	StreamTypes []string // the event's stream has one of these types
	IDPrefix    string   // the id of the event's stream begins with these bytes
	EventTypes  []string // the event has one of these types
}

// Matches reports whether event matches every field of f that is set.
func (f *Filter) Matches(event *Recorded) bool {
	return (len(f.StreamTypes) == 0 || slices.Contains(f.StreamTypes, event.Stream.Type)) &&
		strings.HasPrefix(event.Stream.ID, f.IDPrefix) &&
		(len(f.EventTypes) == 0 || slices.Contains(f.EventTypes, event.Type))
}

// Page is a part of a stream or of the log.
type Page struct {
	// Events are the events of the page, in the order that you asked for. Without a
	// filter, Events is empty only at the end.
	Events []Recorded
	// Head is the stream's version, or the log's last position, when the page
	// was read; 0 if there are no events.
	Head uint64
	// Next is the From of the following page. With a filter, Next is beyond all events
	// that the store has examined. After the last page, Next is where to continue once
	// there are more events: one after Head, or From if that is larger. If you read
	// backward, Next of the last page is 0 and has no meaning.
	Next uint64
	// End says that nothing more matched when the page was read.
	End bool
}

// Events yields the events of stream s from version from on; 0 means the first version.
// It reads page by page, up to the head of the stream at the time it reads the last
// page. If a read fails, it yields the error last.
func Events(ctx context.Context, st Store, s Stream, from uint64) iter.Seq2[Recorded, error] {
	return func(yield func(Recorded, error) bool) {
		for {
			page, err := st.Read(ctx, s, ReadOptions{From: from})
			if err != nil {
				yield(Recorded{}, err)
				return
			}
			for i := range page.Events {
				if !yield(page.Events[i], nil) {
					return
				}
			}
			if page.End {
				return
			}
			from = page.Next
		}
	}
}
