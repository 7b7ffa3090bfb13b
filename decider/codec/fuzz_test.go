package codec_test

import (
	"errors"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// FuzzJSONDecode checks that any data in a stream gives events or a typed error, and that
// events read from it can be written and read again.
func FuzzJSONDecode(f *testing.F) {
	f.Add("OrderPaid", uint32(1), "application/json", []byte(`{"euros":"12.34"}`), false)
	f.Add("OrderPaid", uint32(3), "", []byte(`{"cents":1234,"tip":1}`), true)
	f.Add("OrderPlaced", uint32(0), "application/json", []byte(`{"customer":"ann","lines":[{"article":"a","quantity":1,"cents":null}],"at":"2026-03-02T09:00:01.5+01:00"}`), false)
	f.Add("OrderSettled", uint32(1), "text/json+json", []byte(`{"paid":1,"refunded":2}`), false)
	f.Add("OrderShipped", uint32(2), "application/json;", []byte(`null`), true)
	f.Add("OrderRefunded", uint32(9), "application/protobuf", []byte("\x08\x96"), false)
	tolerant := upcasting()
	f.Fuzz(func(t *testing.T, name string, schema uint32, contentType string, data []byte, strict bool) {
		c := tolerant
		if strict {
			c = c.Strict()
		}
		events, err := c.Decode(nil, []store.Recorded{{
			Event: store.Event{Type: name, Schema: schema, ContentType: contentType, Data: data}, Stream: order, Version: 1,
		}})
		if err != nil {
			versionOf(t, err)
			return
		}
		for _, event := range events {
			encoded, err := c.Encode(event)
			if errors.Is(err, errZeroRefund) || errors.Is(err, codec.ErrEncode) { // such as times beyond the year 9999
				continue
			}
			again, err2 := c.Decode(nil, []store.Recorded{{Event: encoded}})
			if err != nil || err2 != nil || len(again) != 1 {
				t.Fatalf("%+v is written as %s (%v) and read as %+v (%v)", event, encoded.Data, err, again, err2)
			}
			twice, err := c.Encode(again[0])
			if err != nil || !reflect.DeepEqual(twice, encoded) {
				t.Fatalf("%+v is written as %s and then as %s (%v)", event, encoded.Data, twice.Data, err)
			}
		}
	})
}

// FuzzProtoDecode is FuzzJSONDecode for protobuf.
func FuzzProtoDecode(f *testing.F) {
	f.Add("Counted", uint32(1), []byte{8, 7}, false)
	f.Add("Named", uint32(0), []byte("\x0a\x03ann"), true)
	f.Add("Noted", uint32(1), []byte("\x0a\x08\x0a\x01k\x12\x03\x1a\x01v"), true)
	f.Add("Renamed", uint32(1), []byte("\x0a\x03ann\x98\x06\x01"), true)
	f.Fuzz(func(t *testing.T, name string, schema uint32, data []byte, strict bool) {
		c := codec.Proto(messages(), codec.Up("Renamed", 1, func(old *wrapperspb.StringValue) proto.Message { return old }).Retired())
		if strict {
			c = c.Strict()
		}
		events, err := c.Decode(nil, []store.Recorded{{Event: store.Event{Type: name, Schema: schema, Data: data}, Stream: order, Version: 1}})
		if err != nil {
			versionOf(t, err)
			return
		}
		for _, event := range events {
			encoded, err := c.Encode(event)
			if err != nil {
				t.Fatalf("%v cannot be written: %v", event, err)
			}
			again, err := c.Decode(nil, []store.Recorded{{Event: encoded}})
			if err != nil || len(again) != 1 {
				t.Fatalf("%v is written as %x and read as %v (%v)", event, encoded.Data, again, err)
			}
		}
	})
}
