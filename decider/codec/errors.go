package codec

import (
	"errors"
	"fmt"

	"github.com/evolvego/evolve/store"
)

// Errors that the errors of a codec match by errors.Is.
var (
	// ErrUnregistered means that the codec has no name for the type of an event. The
	// error is an *UnregisteredError.
	ErrUnregistered = errors.New("codec: unregistered type")
	// ErrEncode means that an event cannot be encoded, or is invalid according to its
	// Validate method. The error is an *EncodeError.
	ErrEncode = errors.New("codec: encode")
	// ErrUnknown means that the codec has no type for the name of a recorded event. The
	// error is an *UnknownError.
	ErrUnknown = errors.New("codec: unknown event type")
	// ErrDecode means that a recorded event cannot be read. The error is a *DecodeError.
	ErrDecode = errors.New("codec: decode")
	// ErrNewerSchema means that a recorded event has a schema version above all that the
	// codec knows: a newer program wrote it. It is inside a *DecodeError.
	ErrNewerSchema = errors.New("codec: newer schema version")
)

// UnregisteredError is the error of an event that cannot be encoded because the codec has
// no name for its type.
type UnregisteredError struct {
	GoType string // such as "account.Opened"; "<nil>" for a nil event
}

// Error names the type.
func (e *UnregisteredError) Error() string {
	return "codec: unregistered type: " + e.GoType + " has no name in the codec"
}

// Is reports whether target is [ErrUnregistered].
func (e *UnregisteredError) Is(target error) bool { return target == ErrUnregistered }

// EncodeError is the error of an event that cannot be encoded, or whose Validate method
// returned an error.
type EncodeError struct {
	Type string // the event's name
	Err  error
}

// Error names the event and says why it cannot be encoded.
func (e *EncodeError) Error() string {
	return fmt.Sprintf("codec: encode %s: %v", e.Type, e.Err)
}

// Is reports whether target is [ErrEncode].
func (e *EncodeError) Is(target error) bool { return target == ErrEncode }

// Unwrap returns why the event cannot be encoded.
func (e *EncodeError) Unwrap() error { return e.Err }

// UnknownError is the error of a recorded event whose name the codec does not know.
type UnknownError struct {
	Stream  store.Stream
	Version uint64
	Type    string
}

// Error names the event.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("codec: unknown event type %q: version %d of %s", e.Type, e.Version, e.Stream)
}

// Is reports whether target is [ErrUnknown].
func (e *UnknownError) Is(target error) bool { return target == ErrUnknown }

// DecodeError is the error of a recorded event that cannot be read.
type DecodeError struct {
	Stream  store.Stream
	Version uint64
	Type    string
	Schema  uint32
	Err     error
}

// Error names the event and says why it cannot be read.
func (e *DecodeError) Error() string {
	return fmt.Sprintf("codec: decode version %d of %s, %q in schema version %d: %v",
		e.Version, e.Stream, e.Type, e.Schema, e.Err)
}

// Is reports whether target is [ErrDecode].
func (e *DecodeError) Is(target error) bool { return target == ErrDecode }

// Unwrap returns why the event cannot be read.
func (e *DecodeError) Unwrap() error { return e.Err }
