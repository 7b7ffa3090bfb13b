package codec_test

import (
	"errors"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// Event is an event of an order.
//
//sumtype:decl
type Event interface{ isEvent() }

type Placed struct {
	Customer string            `json:"customer"`
	Lines    []Line            `json:"lines,omitempty"`
	Notes    map[string]string `json:"notes,omitempty"`
	At       time.Time         `json:"at"`
}

type Line struct {
	Article  string `json:"article"`
	Quantity int64  `json:"quantity"`
	Cents    *int64 `json:"cents,omitempty"`
}

type Paid struct {
	Cents int64 `json:"cents"`
}

// Shipped is registered as a pointer.
type Shipped struct {
	Parcel string `json:"parcel"`
}

// Refunded is invalid if it is zero.
type Refunded struct {
	Cents int64 `json:"cents"`
}

// Unknown is what KeepUnknown makes of an event of another writer.
type Unknown struct{ Recorded store.Recorded }

func (Placed) isEvent()   {}
func (Paid) isEvent()     {}
func (*Shipped) isEvent() {}
func (Refunded) isEvent() {}
func (Unknown) isEvent()  {}

var errZeroRefund = errors.New("a refund of nothing")

func (r Refunded) Validate() error {
	if r.Cents == 0 {
		return errZeroRefund
	}
	return nil
}

func names() map[string]Event {
	return map[string]Event{"OrderPlaced": Placed{}, "OrderPaid": Paid{}, "OrderShipped": (*Shipped)(nil), "OrderRefunded": Refunded{}}
}

// events draws any event of an order.
func events() *rapid.Generator[Event] {
	return rapid.Custom(func(t *rapid.T) Event {
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			lines := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Line {
				return Line{
					Article:  rapid.String().Draw(t, "article"),
					Quantity: rapid.Int64().Draw(t, "quantity"),
					Cents:    rapid.Ptr(rapid.Int64(), true).Draw(t, "cents"),
				}
			}), 1, 3).Draw(t, "lines")
			return Placed{
				Customer: rapid.String().Draw(t, "customer"), Lines: lines,
				Notes: rapid.MapOfN(rapid.String(), rapid.String(), 1, 4).Draw(t, "notes"),
				At:    time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "second"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanosecond")).UTC(),
			}
		case 1:
			return Paid{Cents: rapid.Int64().Draw(t, "cents")}
		case 2:
			return &Shipped{Parcel: rapid.String().Draw(t, "parcel")}
		}
		return Refunded{Cents: rapid.Int64Min(1).Draw(t, "cents")}
	})
}

// record encodes events as versions 1, 2, 3, … of a stream.
func record(t rapid.TB, c codec.Codec[Event], events ...Event) []store.Recorded {
	t.Helper()
	recorded := make([]store.Recorded, len(events))
	for i, event := range events {
		encoded, err := c.Encode(event)
		if err != nil {
			t.Fatalf("Encode(%+v): %v", event, err)
		}
		recorded[i] = store.Recorded{Event: encoded, Stream: order, Version: uint64(i) + 1}
	}
	return recorded
}

var order = store.Stream{Type: "Order", ID: "o-1"}

// recorded returns JSON data as version 1 of a stream.
func recorded(name string, schema uint32, data string) store.Recorded {
	return store.Recorded{
		Event:  store.Event{Type: name, Schema: schema, ContentType: "application/json", Data: []byte(data)},
		Stream: order, Version: 1,
	}
}
