package codec

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/evolvego/evolve/store"
)

// Decoded is an event of a [Source], with the recorded event that it was decoded from.
type Decoded[E any] struct {
	// Recorded is the event in the log. Several Decoded share a Recorded if an upcaster
	// makes several events of one. Some recorded events have none.
	Recorded *store.Recorded
	// Index numbers the events that were decoded from Recorded, from 0 on. So
	// (Recorded.Position, Index) identifies a decoded event, and orders all of them.
	Index int
	// Event is the event as it is understood today.
	Event E
}

// Part says how a reader understands the streams of one type. [From] makes one.
type Part[E any] struct {
	streamTypes []string // today's type, then the former ones
	names       []string // the names that it reads, sorted; nil: all
	decode      func(dst []Decoded[E], r *store.Recorded) ([]Decoded[E], error)
}

// From returns a Part of the streams of type streamType, whose events c decodes. in
// converts a decoded event into what the reader works with. It also gets the recorded
// event, because the id of the aggregate is in the stream, and seldom in the event. It
// must be pure, and must not keep r.
//
// in must return a value for every event that c reads: it cannot leave one out, and nil
// is a value like any other, on which the reader's own functions then run. If an event
// does not concern the reader, return a value of E that says so, for which Evolve returns
// its state, and Key returns false. If a whole type of events does not concern the
// reader, pass a codec without it.
//
// If c is a [Named], the Part has only the events with names that c reads, including
// those that only its upcasters have ([Named.ReadNames]). Other events of these streams
// do not belong to the reader. Any other codec decodes all events of the streams.
//
// From panics if streamType is empty, if c or in is nil, or if c reads no events.
func From[E, A any](streamType string, c Codec[A], in func(r *store.Recorded, event A) E) Part[E] {
	if streamType == "" || c == nil || in == nil {
		panic(fmt.Sprintf("codec: From(%q): needs a stream type, a codec and a function", streamType))
	}
	p := Part[E]{streamTypes: []string{streamType}}
	if n, ok := c.(interface{ ReadNames() []string }); ok {
		if p.names = n.ReadNames(); p.names != nil && len(p.names) == 0 {
			panic(fmt.Sprintf("codec: From(%q): the codec has no events", streamType))
		}
	}
	scratch := sync.Pool{New: func() any { return new([]A) }}
	p.decode = func(dst []Decoded[E], r *store.Recorded) ([]Decoded[E], error) {
		events := scratch.Get().(*[]A) //nolint:errcheck,forcetypeassert // nothing else is in the pool
		var err error
		*events, err = decodeOne(c, (*events)[:0], r)
		if err == nil {
			for i := range *events {
				dst = append(dst, Decoded[E]{Recorded: r, Index: i, Event: in(r, (*events)[i])})
			}
		}
		clear(*events)
		scratch.Put(events)
		return dst, err
	}
	return p
}

// Formerly returns a copy of p that also reads the streams of former types, which are
// names that the type of these streams had before it was renamed. It panics if one is
// empty.
func (p Part[E]) Formerly(streamTypes ...string) Part[E] {
	if slices.Contains(streamTypes, "") {
		panic("codec: Formerly: a stream type is empty")
	}
	p.streamTypes = slices.Concat(p.streamTypes, streamTypes)
	return p
}

// reads reports whether p reads events of this name.
func (p *Part[E]) reads(name string) bool {
	if p.names == nil {
		return true
	}
	_, ok := slices.BinarySearch(p.names, name)
	return ok
}

// Source says how a reader understands a log: which events it reads, and what they mean
// to it. [Events] makes one. It is safe for concurrent use.
type Source[E any] struct {
	parts  []Part[E]
	byType map[string][]int // the indices of the parts of a stream type
}

// Events returns the Source of all parts. It panics if there are none, or if two
// of them read the same events.
func Events[E any](parts ...Part[E]) Source[E] {
	if len(parts) == 0 {
		panic("codec: Events: a source needs a part")
	}
	s := Source[E]{parts: slices.Clone(parts), byType: map[string][]int{}}
	for i := range parts {
		if parts[i].decode == nil {
			panic("codec: Events: the zero Part reads nothing: make parts with From")
		}
		for _, streamType := range parts[i].streamTypes {
			for _, j := range s.byType[streamType] {
				if name, ok := overlap(parts[j].names, parts[i].names); ok {
					panic(fmt.Sprintf("codec: Events: two parts read %s of streams of type %q", name, streamType))
				}
			}
			s.byType[streamType] = append(s.byType[streamType], i)
		}
	}
	return s
}

// overlap returns a name that is in both lists. A nil list means all names.
func overlap(a, b []string) (name string, ok bool) {
	switch {
	case a == nil || b == nil:
		return "the events", true
	case len(a) > len(b):
		a, b = b, a
	}
	for _, name := range a {
		if _, ok := slices.BinarySearch(b, name); ok {
			return fmt.Sprintf("%q", name), true
		}
	}
	return "", false
}

// And returns a copy of s with more parts. It panics when [Events] does.
func (s Source[E]) And(parts ...Part[E]) Source[E] {
	return Events(slices.Concat(s.parts, parts)...)
}

// Filter returns a filter that matches all events of s, and perhaps others: if two parts
// read different names, it matches the names of one part in streams of the other. Decode
// ignores these events.
func (s Source[E]) Filter() store.Filter {
	f := store.Filter{StreamTypes: slices.Sorted(maps.Keys(s.byType))}
	for i := range s.parts {
		if s.parts[i].names == nil {
			f.EventTypes = nil
			return f
		}
		f.EventTypes = append(f.EventTypes, s.parts[i].names...)
	}
	slices.Sort(f.EventTypes)
	f.EventTypes = slices.Compact(f.EventTypes)
	return f
}

// Filters returns a filter for each part, which matches exactly the events of that part.
func (s Source[E]) Filters() []store.Filter {
	all := make([]store.Filter, len(s.parts))
	for i := range s.parts {
		all[i] = store.Filter{StreamTypes: slices.Clone(s.parts[i].streamTypes), EventTypes: slices.Clone(s.parts[i].names)}
	}
	return all
}

// Decode appends to dst the events that r means in s: one event, or several or none if an
// upcaster says so. It appends none if r is not an event of s. Each of them points to r.
// If r cannot be decoded, Decode returns dst unchanged and the error of the codec: a
// *DecodeError, which matches [ErrNewerSchema] if a newer program wrote r.
func (s Source[E]) Decode(dst []Decoded[E], r *store.Recorded) ([]Decoded[E], error) {
	for _, i := range s.byType[r.Stream.Type] {
		if p := &s.parts[i]; p.reads(r.Type) {
			return p.decode(dst, r)
		}
	}
	return dst, nil
}

// decodeOne decodes one recorded event with c.
func decodeOne[A any](c Codec[A], dst []A, r *store.Recorded) ([]A, error) {
	if one, ok := c.(interface {
		decodeOne(dst []A, r *store.Recorded) ([]A, error)
	}); ok {
		return one.decodeOne(dst, r)
	}
	return c.Decode(dst, []store.Recorded{*r})
}
