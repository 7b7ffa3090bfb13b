package codec_test

import (
	"encoding/json"
	"testing"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// page returns n events of two kinds, and their recorded form as encoded by c.
func page(b *testing.B, c codec.Codec[Event], n int) ([]store.Recorded, []Event) {
	b.Helper()
	events := make([]Event, n)
	for i := range events {
		cents := int64(i+1) * 1000 // Go allocates nothing for an interface that holds a number below 256
		if events[i] = (Paid{cents}); i%3 == 0 {
			events[i] = Refunded{cents}
		}
	}
	return record(b, c, events...), events
}

// BenchmarkDecodeJSON compares with handwritten decoding.
func BenchmarkDecodeJSON(b *testing.B) {
	c := codec.JSON(names())
	recorded, _ := page(b, c, 100)
	b.Run("codec", func(b *testing.B) {
		b.ReportAllocs()
		var dst []Event
		for b.Loop() {
			var err error
			if dst, err = c.Decode(dst[:0], recorded); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		var dst []Event
		for b.Loop() {
			dst = dst[:0]
			for i := range recorded {
				event, err := byHand(&recorded[i])
				if err != nil {
					b.Fatal(err)
				}
				dst = append(dst, event)
			}
		}
	})
}

func byHand(r *store.Recorded) (Event, error) {
	switch r.Type {
	case "OrderPaid":
		var e Paid
		err := json.Unmarshal(r.Data, &e)
		return e, err
	case "OrderRefunded":
		var e Refunded
		err := json.Unmarshal(r.Data, &e)
		return e, err
	}
	return nil, codec.ErrUnknown
}

// BenchmarkDecodeValues compares with copying the events.
func BenchmarkDecodeValues(b *testing.B) {
	c := codec.Values[Event]()
	recorded, events := page(b, c, 1000)
	dst := make([]Event, 0, len(events))
	b.Run("codec", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			dst, _ = c.Decode(dst[:0], recorded)
		}
	})
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			dst = append(dst[:0], events...)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	for name, c := range map[string]codec.Codec[Event]{"JSON": codec.JSON(names()), "values": codec.Values[Event]()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var event Event = Paid{1234}
			for b.Loop() {
				if _, err := c.Encode(event); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
