package codec

import "github.com/evolvego/evolve/store"

// Codec converts the events of an aggregate into what a store keeps, and back. It must be
// safe for concurrent use.
type Codec[E any] interface {
	// Encode returns event with Type, Schema, ContentType and Data (or Value) set; the
	// caller fills in the rest. If the type of event is not registered, it returns an
	// *UnregisteredError. If event has a method Validate() error that returns an error,
	// it returns an *EncodeError.
	Encode(event E) (store.Event, error)

	// Decode appends to dst the events that recorded mean today, in order: an old event
	// may have become another event, several or none. It changes nothing in recorded and
	// keeps no reference to it or its Data. If it cannot read an event, it returns an
	// *UnknownError or a *DecodeError, and dst with the events before it.
	Decode(dst []E, recorded []store.Recorded) ([]E, error)
}

// EncodeAll appends to dst the encoded events, in order, as c.Encode returns them. If one
// cannot be encoded, it returns the error, and dst with the events before it.
func EncodeAll[E any](c Codec[E], dst []store.Event, events []E) ([]store.Event, error) {
	if v, ok := c.(values[E]); ok {
		return v.encodeAll(dst, events)
	}
	for i := range events {
		event, err := c.Encode(events[i])
		if err != nil {
			return dst, err
		}
		dst = append(dst, event)
	}
	return dst, nil
}
