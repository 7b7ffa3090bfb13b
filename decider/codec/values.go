package codec

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/evolvego/evolve/store"
)

// Values returns a Codec that encodes nothing: it keeps the event itself, as
// [store.Event].Value, under the name of its Go type. Use it for tests and for stores in
// the same process. All readers share what an event points to, so never change an event
// that has maps, slices or pointers.
//
// A recorded event that Values[E] did not make is a *DecodeError.
func Values[E any]() Codec[E] {
	return values[E]{}
}

type values[E any] struct{}

func (c values[E]) Encode(event E) (encoded store.Event, err error) {
	_, err = c.encode(&encoded, &event)
	return encoded, err
}

// encode fills in encoded, which is zero, and reports whether event has a Validate. It keeps
// the pointer, because asserting *E when it is read is a comparison of types, and asserting
// an interface E is a search.
func (values[E]) encode(encoded *store.Event, event *E) (validates bool, err error) {
	typ := reflect.TypeOf(any(*event))
	if typ == nil {
		return false, &UnregisteredError{fmt.Sprint(typ)}
	}
	v, validates := any(*event).(interface{ Validate() error })
	if validates {
		if err := v.Validate(); err != nil {
			return true, &EncodeError{typ.String(), err}
		}
	}
	encoded.Type, encoded.Schema, encoded.Value = typ.String(), 1, event
	return validates, nil
}

// encodeAll encodes all events. The values share one allocation, and what depends on the
// type only is done once for events of one type that follow each other.
func (c values[E]) encodeAll(dst []store.Event, events []E) ([]store.Event, error) {
	kept := make([]E, len(events)) // slices.Clone takes twice as long
	copy(kept, events)
	var plain reflect.Type // of the event before, if it has no Validate
	for i := range kept {
		typ := reflect.TypeOf(any(kept[i]))
		if plain != nil && typ == plain {
			dst = append(dst, store.Event{Type: dst[len(dst)-1].Type, Schema: 1, Value: &kept[i]})
			continue
		}
		dst = append(dst, store.Event{})
		validates, err := c.encode(&dst[len(dst)-1], &kept[i])
		if err != nil {
			return dst[:len(dst)-1], err
		}
		if plain = typ; validates {
			plain = nil
		}
	}
	return dst, nil
}

func (values[E]) Decode(dst []E, recorded []store.Recorded) ([]E, error) {
	n := len(dst)
	dst = slices.Grow(dst, len(recorded))[:n+len(recorded)]
	events := dst[n:]
	for i := range recorded {
		event, err := value[E](&recorded[i])
		if err != nil {
			return dst[:n+i], err
		}
		events[i] = *event
	}
	return dst, nil
}

func (values[E]) decodeOne(dst []E, r *store.Recorded) ([]E, error) {
	event, err := value[E](r)
	if err != nil {
		return dst, err
	}
	return append(dst, *event), nil
}

// value returns the event that r keeps.
func value[E any](r *store.Recorded) (*E, error) {
	event, ok := r.Value.(*E)
	if !ok || event == nil {
		return nil, noValue(r)
	}
	return event, nil
}

func noValue(r *store.Recorded) error {
	return &DecodeError{
		Stream: r.Stream, Version: r.Version, Type: r.Type, Schema: r.Schema,
		Err: fmt.Errorf("its value is a %T, not a value of this codec", r.Value),
	}
}
