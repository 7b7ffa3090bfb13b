package codec_test

import (
	"errors"
	"fmt"

	"github.com/samber/lo"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// Names are explicit, and the compiler checks that each one belongs to an event.
func Example() {
	c := codec.JSON(map[string]Event{"OrderPaid": Paid{}, "OrderRefunded": Refunded{}})

	encoded, err := c.Encode(Paid{Cents: 1250})
	fmt.Println(encoded.Type, encoded.Schema, string(encoded.Data), err)

	events, err := c.Decode(nil, []store.Recorded{{Event: encoded}})
	fmt.Printf("%+v %v\n", events, err)

	_, err = c.Encode(&Shipped{})
	fmt.Println(err, errors.Is(err, codec.ErrUnregistered))
	// Output:
	// OrderPaid 1 {"cents":1250} <nil>
	// [{Cents:1250}] <nil>
	// codec: unregistered type: *codec_test.Shipped has no name in the codec true
}

// Amounts used to be euros. Events written today have schema version 2.
func ExampleUp() {
	type PaidV1 struct{ Euros int64 }
	c := codec.JSON(map[string]Event{"OrderPaid": Paid{}},
		codec.Up("OrderPaid", 1, func(old PaidV1) Event { return Paid{Cents: 100 * old.Euros} }))

	old := store.Event{Type: "OrderPaid", Schema: 1, Data: []byte(`{"Euros":12}`)}
	events, err := c.Decode(nil, []store.Recorded{{Event: old}})
	fmt.Printf("%+v %v\n", events, err)

	now, err := c.Encode(events[0])
	fmt.Println(now.Schema, string(now.Data), err)
	// Output:
	// [{Cents:1200}] <nil>
	// 2 {"cents":1200} <nil>
}

// An old event that did two things becomes two events, and one that is not needed any
// more becomes none.
func ExampleUpMany() {
	c := codec.JSON(map[string]Event{"OrderPaid": Paid{}, "OrderRefunded": Refunded{}},
		codec.UpMany("OrderSettled", 1, func(old struct{ Paid, Refunded int64 }) []Event {
			return []Event{Paid{old.Paid}, Refunded{old.Refunded}}
		}).Retired(),
		codec.Drop("OrderViewed", 1).Retired())

	events, err := c.Decode(nil, []store.Recorded{
		{Event: store.Event{Type: "OrderViewed", Schema: 1, Data: []byte(`{}`)}},
		{Event: store.Event{Type: "OrderSettled", Schema: 1, Data: []byte(`{"Paid":12,"Refunded":2}`)}},
	})
	fmt.Printf("%+v %v\n", events, err)
	// Output: [{Cents:12} {Cents:2}] <nil>
}

// Events can be protobuf messages. E is an interface that they implement.
func ExampleProto() {
	c := codec.Proto(map[string]proto.Message{"Counted": &wrapperspb.Int64Value{}})

	encoded, err := c.Encode(wrapperspb.Int64(7))
	fmt.Printf("%s %s %x %v\n", encoded.Type, encoded.ContentType, encoded.Data, err)
	// Output: Counted application/protobuf 0807 <nil>
}

// The stream also has events of other writers.
func ExampleNamed_SkipUnknown() {
	c := codec.JSON(map[string]Event{"OrderPaid": Paid{}}).SkipUnknown()

	events, err := c.Decode(nil, []store.Recorded{
		{Event: store.Event{Type: "OrderAudited", Schema: 1, Data: []byte(`{}`)}},
		{Event: store.Event{Type: "OrderPaid", Schema: 1, Data: []byte(`{"cents":5}`)}},
	})
	fmt.Printf("%+v %v\n", events, err)
	// Output: [{Cents:5}] <nil>
}

// A reader of several aggregates says what an event of each means to it. The account is
// usually not in the event but in the name of the stream.
func ExampleEvents() {
	type Money struct {
		Order string
		Cents int64
	}
	orders := codec.JSON(map[string]Paid{"OrderPaid": {}})
	source := codec.Events(
		codec.From("Order", orders, func(r *store.Recorded, event Paid) Money {
			return Money{Order: r.Stream.ID, Cents: event.Cents}
		}))

	filter := source.Filter()
	fmt.Println(filter.StreamTypes, filter.EventTypes)

	recorded := store.Recorded{
		Event:  store.Event{Type: "OrderPaid", Schema: 1, Data: []byte(`{"cents":5}`)},
		Stream: store.Stream{Type: "Order", ID: "o-1"}, Position: 7,
	}
	for _, d := range lo.Must(source.Decode(nil, &recorded)) {
		fmt.Printf("position %d, %d: %+v\n", d.Recorded.Position, d.Index, d.Event)
	}
	// Output:
	// [Order] [OrderPaid]
	// position 7, 0: {Order:o-1 Cents:5}
}

// A stream type was renamed. Events under its former name are read too.
func ExamplePart_Formerly() {
	orders := codec.JSON(map[string]Event{"OrderPaid": Paid{}})
	source := codec.Events(codec.From("Order", orders, func(_ *store.Recorded, event Event) Event { return event }).
		Formerly("Purchase"))

	recorded := store.Recorded{
		Event:  store.Event{Type: "OrderPaid", Schema: 1, Data: []byte(`{"cents":5}`)},
		Stream: store.Stream{Type: "Purchase", ID: "o-1"},
	}
	for _, d := range lo.Must(source.Decode(nil, &recorded)) {
		fmt.Printf("%+v\n", d.Event)
	}
	// Output: {Cents:5}
}

// Tests, and programs whose events never leave the process, need no encoding.
func ExampleValues() {
	c := codec.Values[Event]()

	encoded, err := c.Encode(Paid{Cents: 5})
	fmt.Println(encoded.Type, len(encoded.Data), err)

	events, err := c.Decode(nil, []store.Recorded{{Event: encoded}})
	fmt.Printf("%+v %v\n", events, err)
	// Output:
	// codec_test.Paid 0 <nil>
	// [{Cents:5}] <nil>
}
