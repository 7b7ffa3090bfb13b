package codec

import "github.com/evolvego/evolve/store"

// Codec turns events of an aggregate into what a store keeps, and back. It is
// safe for concurrent use.
type Codec[E any] interface {
	// Encode returns event with Type, Schema, ContentType and Data (or Value)
	// set; the rest is the caller's to fill. An event whose type is not
	// registered is an *UnregisteredError, and one that says by its method
	// Validate() error that it is wrong is an *EncodeError.
	Encode(event E) (store.Event, error)

	// Decode appends to dst the events that recorded are, in order, as they are
	// understood today: an old one may have become another, several or none.
	// It changes nothing of recorded and keeps no reference to its Data. What
	// it cannot read is an *UnknownError or a *DecodeError; dst is then
	// returned with the events before it.
	Decode(dst []E, recorded []store.Recorded) ([]E, error)
}
