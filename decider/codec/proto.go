package codec

import (
	"errors"
	"fmt"
	"reflect"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evolvego/evolve/decider/internal/exact"
	"github.com/evolvego/evolve/store"
)

// Proto returns a Codec of the events in names, each under its name, with their data in
// the binary format of protobuf (content type application/protobuf), in the deterministic
// order. Every sample, and every Old of an [Up], must be a message: a pointer to a
// generated type. E is proto.Message, or an interface of yours that the messages
// implement.
//
// A message keeps fields that it does not know as unknown fields (see [Named.Strict]).
// Proto panics when [JSON] does, and if a sample or an Old is not a message.
func Proto[E any](names map[string]E, upcasters ...Upcaster) *Named[E] {
	for name, sample := range names {
		if _, ok := any(sample).(proto.Message); !ok {
			panic(fmt.Sprintf("codec: %q is a %T, which is not a protobuf message", name, sample))
		}
	}
	for _, u := range upcasters {
		if u.in != nil && !u.in.Implements(reflect.TypeFor[proto.Message]()) {
			panic(fmt.Sprintf("codec: %q was a %v, which is not a protobuf message", u.name, u.in))
		}
	}
	return newNamed(format{
		contentType: "application/protobuf",
		reads:       func(contentType string) bool { return contentType == store.OctetStream || contentType == "" },
		writer:      func(reflect.Type) (marshal, bool, error) { return marshalProto, false, nil },
		reader:      func() unmarshal { return unmarshalProto },
	}, names, upcasters)
}

func marshalProto(event any) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(event.(proto.Message)) //nolint:errcheck // checked by Proto
}

func unmarshalProto(data []byte, into any, _ exact.Folds, strict bool) error {
	m := into.(proto.Message) //nolint:errcheck // checked by Proto
	if err := proto.Unmarshal(data, m); err != nil || !strict {
		return err
	}
	return protorange.Range(m.ProtoReflect(), func(p protopath.Values) error {
		if sub, ok := p.Index(-1).Value.Interface().(protoreflect.Message); ok && len(sub.GetUnknown()) > 0 {
			return errors.New("it has unknown fields: " + p.Path.String())
		}
		return nil
	})
}
