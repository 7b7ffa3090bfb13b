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

// DefaultTenant is the tenant of a store that was not asked for another.
const DefaultTenant = "default"

// DefaultLimit is how many events a page holds at most where Limit is zero.
const DefaultLimit = 1000

// Store keeps the streams of one tenant. It is safe for concurrent use.
type Store interface {
	// Append records events, in order, at the end of stream s if the version
	// of s matches expected. It records all of them or none.
	//
	// Appending events that are recorded already, all of them, one after the
	// other in s and the same by [Event.Same], records nothing and returns
	// where they are with Replayed set, whatever is expected. A *ConflictError
	// says that s is at another version, a *DuplicateError that an event id is
	// taken otherwise, an *InvalidError that an argument breaks a rule of
	// [ValidateAppend] or a limit of this store. These, and ErrClosed, are
	// definite (see [Definite]): nothing was recorded, and nothing will be.
	// After any other error, that of an ended ctx included, the events may have
	// been recorded, or may be still.
	//
	// The store keeps no reference to events or what they point to, except to
	// Value, and changes nothing of it.
	Append(ctx context.Context, s Stream, expected Expected, events []Event) (Appended, error)

	// Read returns a page of stream s. A stream without events is an empty
	// page, not an error. Only the page's caller holds it, unless o.ReadOnly.
	// An s or o that is not valid is an *InvalidError.
	Read(ctx context.Context, s Stream, o ReadOptions) (Page, error)
}

// Log is a store that also has the events of all its streams in one order. It is
// safe for concurrent use.
type Log interface {
	// ReadAll returns a page of the log. Only the page's caller holds it.
	ReadAll(ctx context.Context, o LogOptions) (Page, error)

	// Subscribe yields the log from o.From on, page by page, and when it is
	// read waits for what comes, until the loop breaks or ctx ends. The end of
	// ctx, and any other error, is yielded last. Backward is not possible.
	//
	// Every event that o.Filter matches is yielded once, in order, with no gap.
	// Pages are at most o.Limit events long and may be empty, to tell about
	// Next; one whose End is set has caught up with the log. To go on later,
	// subscribe from the Next of the last page that was handled. A slow loop
	// slows only itself.
	Subscribe(ctx context.Context, o LogOptions) iter.Seq2[Page, error]

	// Head returns the position of the last event in the log, 0 if it is empty.
	Head(ctx context.Context) (uint64, error)
}

// Tenants is a backend that keeps several tenants apart. No call on the store of
// one tenant reads, changes or tells anything of another. It is safe for
// concurrent use.
type Tenants interface {
	// Tenant returns the store of tenant id. The id must pass [ValidateTenant].
	Tenant(id string) (Store, error)
}

// Stream names a stream: the type of its aggregate, and the aggregate's id in
// that type. Both must not be empty.
type Stream struct {
	Type string // "Account"
	ID   string // "acc-1"
}

// String returns "Type/ID", for messages: one that has other than printable
// characters or is long is quoted, as Go quotes, and cut.
func (s Stream) String() string { return printable(s.Type + "/" + s.ID) }

// printable returns text as it is, if it can be read in the middle of a sentence,
// and otherwise quoted, with its length if it is cut.
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

// Event is what is appended.
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
	// Data is the event, encoded. It may be empty.
	Data []byte
	// Value is the event itself in place of Data, for codecs that do not
	// encode. Only a store in the same process can keep it, and then every
	// reader gets the same value; the others return an *InvalidError.
	Value any
	// Meta says where the event came from.
	Meta Metadata
	// Time is when it happened, by the client's clock. A store keeps at least
	// its milliseconds. The zero time is stored as the time of recording.
	Time time.Time
}

// Same reports whether e and o are one event: they have the same ID, Type,
// Schema, ContentType and Data. What may differ when an append is sent again
// (Meta, Time) does not count, nor does Value, which cannot always be compared.
func (e *Event) Same(o *Event) bool {
	return e.ID == o.ID && e.Type == o.Type && e.Schema == o.Schema &&
		contentType(e.ContentType) == contentType(o.ContentType) && bytes.Equal(e.Data, o.Data)
}

// contentType returns t, or what an empty content type is stored as.
func contentType(t string) string {
	if t == "" {
		return OctetStream
	}
	return t
}

// OctetStream is what an empty content type is stored as.
const OctetStream = "application/octet-stream"

// Metadata says where an event came from. All of it is optional.
type Metadata struct {
	CorrelationID string            // shared by all that one request caused
	CausationID   string            // the command or event that caused this one
	ActorID       string            // who did it
	Headers       map[string]string // anything else; a key must not be empty
}

// Recorded is an event as a store keeps it. It never changes.
type Recorded struct {
	Event
	Stream     Stream
	Version    uint64    // in the stream, beginning at 1
	Position   uint64    // in the log, beginning at 1; 0 if the store has no log
	RecordedAt time.Time // by the store's clock
}

// Appended says where an append's events are. Both their versions and their
// positions are consecutive: of n events, event i (from 0) has the position
// Position-n+1+i. That does not hold for the positions of a replay, because it may
// be of events that several appends recorded.
type Appended struct {
	Version  uint64 // of the last one: the version of the stream right after
	Position uint64 // of the last one; 0 if the store has no log
	Replayed bool   // they were there before this call
}

// ReadOptions says what part of a stream to read. The zero value reads the first
// page.
type ReadOptions struct {
	// From is the version of the first event of the page. Zero is the first
	// event, or with Backward the last one; beyond the head, forward is an
	// empty page and backward begins at the head.
	From uint64
	// Limit is the most events to return; zero is [DefaultLimit], and a
	// negative one is an *InvalidError. A store may return fewer.
	Limit int
	// Backward reads from newer to older.
	Backward bool
	// ReadOnly promises that nobody will change the page or what it points to,
	// ever. A store in memory can then lend what it keeps in place of a copy.
	ReadOnly bool
}

// LogOptions says what part of the log to read. The zero value reads the first
// page of everything.
type LogOptions struct {
	From     uint64 // the first position of the page; zero as in [ReadOptions]
	Limit    int    // as in [ReadOptions]
	Backward bool   // from newer to older
	Filter   Filter // which events; the zero Filter is all
}

// Filter chooses events of a log. An event must match every field that is set.
type Filter struct {
	StreamTypes []string // the type of its stream is one of these
	IDPrefix    string   // the id of its stream begins with this, to the letter
	EventTypes  []string // its type is one of these
}

// Matches reports whether event matches every field of f that is set.
func (f *Filter) Matches(event *Recorded) bool {
	return (len(f.StreamTypes) == 0 || slices.Contains(f.StreamTypes, event.Stream.Type)) &&
		strings.HasPrefix(event.Stream.ID, f.IDPrefix) &&
		(len(f.EventTypes) == 0 || slices.Contains(f.EventTypes, event.Type))
}

// Page is a part of a stream or of the log.
type Page struct {
	// Events is the part, in the order it was asked for. Without a filter it
	// is empty only at the end.
	Events []Recorded
	// Head is the stream's version, or the log's last position, when the page
	// was read; 0 if there are no events.
	Head uint64
	// Next is the From of the page that follows. With a filter it is beyond
	// what was looked at. After the last page it is where to go on when there
	// is more: one after Head, or From if that is beyond. Backward, the last
	// page's is 0 and of no use.
	Next uint64
	// End says that nothing more matched when the page was read.
	End bool
}

// Events yields the events of stream s from version from on (0 is the first),
// reading page by page up to the head as it is when the last page is read. An
// error is yielded last.
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
