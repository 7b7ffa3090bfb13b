package codec_test

import (
	"errors"
	"fmt"
	"math"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// The error of an event that cannot be read says where the event is and what is wrong.
func ExampleDecodeError() {
	c := codec.JSON(map[string]Event{"OrderPaid": Paid{}})
	recorded := store.Recorded{
		Event:  store.Event{Type: "OrderPaid", Schema: 1, Data: []byte(`{"cents":"many"}`)},
		Stream: store.Stream{Type: "Order", ID: "o-1"}, Version: 3,
	}
	_, err := c.Decode(nil, []store.Recorded{recorded})
	decode, _ := errors.AsType[*codec.DecodeError](err)
	fmt.Println(errors.Is(err, codec.ErrDecode), decode.Stream, decode.Version, decode.Type)

	recorded.Type = "OrderShipped"
	_, err = c.Decode(nil, []store.Recorded{recorded})
	unknown, _ := errors.AsType[*codec.UnknownError](err)
	fmt.Println(errors.Is(err, codec.ErrUnknown), unknown.Type)
	// Output:
	// true Order/o-1 3 OrderPaid
	// true OrderShipped
}

// One event has no name, and the other has a value that JSON cannot express.
func ExampleEncodeError() {
	_, err := codec.JSON(map[string]Event{"OrderPaid": Paid{}}).Encode(Refunded{})
	unregistered, _ := errors.AsType[*codec.UnregisteredError](err)
	fmt.Println(unregistered.GoType)

	type measured struct{ Degrees float64 }
	_, err = codec.JSON(map[string]measured{"Measured": {}}).Encode(measured{math.NaN()})
	encode, _ := errors.AsType[*codec.EncodeError](err)
	fmt.Println(errors.Is(err, codec.ErrEncode), encode.Type)
	// Output:
	// codec_test.Refunded
	// true Measured
}
