package codec_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// everyCodec returns the codecs for which the same laws hold.
func everyCodec() map[string]codec.Codec[Event] {
	return map[string]codec.Codec[Event]{
		"JSON":           codec.JSON(names()),
		"JSON, strict":   codec.JSON(names()).Strict(),
		"JSON, upcasted": codec.JSON(names(), codec.Up("OrderPaid", 1, func(p Paid) Event { return p }), codec.Drop("OrderPlaced", 1)),
		"values":         codec.Values[Event](),
	}
}

// TestRoundTrip checks that decoding returns the encoded events, in order, after the
// contents of dst, whatever upcasters of older shapes the codec has.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for name, c := range everyCodec() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				before := rapid.SliceOfN(events(), 0, 3).Draw(t, "before")
				want := rapid.SliceOfN(events(), 0, 8).Draw(t, "events")
				got, err := c.Decode(slices.Clone(before), record(t, c, want...))
				if err != nil {
					t.Fatalf("Decode: %v", err)
				}
				if want := slices.Concat(before, want); len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
					t.Fatalf("decoded %+v, want %+v", got, want)
				}
			})
		})
	}
}

// TestStable checks that an event has one encoding, and that its name and schema version
// belong to its type.
func TestStable(t *testing.T) {
	t.Parallel()
	c := codec.JSON(names(), codec.Drop("OrderPaid", 1), codec.Drop("OrderPaid", 2))
	byType := map[reflect.Type]string{}
	for name, sample := range names() {
		byType[reflect.TypeOf(sample)] = name
	}
	rapid.Check(t, func(t *rapid.T) {
		event := events().Draw(t, "event")
		first, second := record(t, c, event)[0], record(t, c, event)[0]
		if !bytes.Equal(first.Data, second.Data) {
			t.Fatalf("encoded as %s and as %s", first.Data, second.Data)
		}
		schema := uint32(1)
		if first.Type == "OrderPaid" {
			schema = 3
		}
		if first.Type != byType[reflect.TypeOf(event)] || first.Schema != schema || first.ContentType != "application/json" {
			t.Fatalf("%T encoded as %q, schema %d, %q", event, first.Type, first.Schema, first.ContentType)
		}
	})
}

// TestNoAlias checks that a decoded event does not change with the memory that it was
// decoded from.
func TestNoAlias(t *testing.T) {
	t.Parallel()
	c := codec.JSON(names()).KeepUnknown(func(r store.Recorded) Event { return Unknown{r} })
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(events(), 1, 5).Draw(t, "events")
		page := append(record(t, c, want...), recorded("OrderLost", 1, `{"by":"us"}`))
		want = append(want, Unknown{recorded("OrderLost", 1, `{"by":"us"}`)})
		got, err := c.Decode(nil, page)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page {
			clear(page[i].Data)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("after the data was overwritten: %+v, want %+v", got, want)
		}
	})
}

// TestDecodeKeepsWhatCameBefore checks that Decode returns the events before an error,
// and that the error names the right event.
func TestDecodeKeepsWhatCameBefore(t *testing.T) {
	t.Parallel()
	c := codec.JSON(names())
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(events(), 0, 5).Draw(t, "before")
		page := record(t, c, append(slices.Clone(want), rapid.SliceOfN(events(), 1, 3).Draw(t, "after")...)...)
		bad := &page[len(want)]
		if rapid.Bool().Draw(t, "unknown") {
			bad.Type = "OrderLost"
		} else {
			bad.Data = []byte(`{"cut`)
		}
		got, err := c.Decode(nil, page)
		if len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("decoded %+v, want %+v", got, want)
		}
		if version := versionOf(t, err); version != bad.Version {
			t.Fatalf("the error is about version %d, want %d: %v", version, bad.Version, err)
		}
	})
}

// TestValuesDecodeAllocatesNothing checks the hot path of streams in memory.
func TestValuesDecodeAllocatesNothing(t *testing.T) { //nolint:paralleltest // counts allocations of the process
	c := codec.Values[Event]()
	page := record(t, c, Paid{1}, Paid{2}, Paid{3})
	dst := make([]Event, 0, len(page))
	if allocs := testing.AllocsPerRun(100, func() { dst, _ = c.Decode(dst[:0], page) }); allocs != 0 {
		t.Errorf("Decode allocates %v times", allocs)
	}
}

// TestFold checks that Fold and FoldInPlace equal Decode followed by Evolve, up to an
// event that cannot be decoded, and that the contents of the scratch memory mean nothing.
func TestFold(t *testing.T) {
	t.Parallel()
	remember := func(seen []Event, event Event) []Event { return append(slices.Clone(seen), event) }
	for name, c := range everyCodec() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				before := rapid.SliceOfN(events(), 0, 3).Draw(t, "before")
				page := record(t, c, rapid.SliceOfN(events(), 0, 12).Draw(t, "events")...)
				if len(page) > 0 && rapid.Bool().Draw(t, "broken") {
					broken := &page[rapid.IntRange(0, len(page)-1).Draw(t, "where")]
					broken.Data, broken.Value = []byte("?"), nil
				}
				scratch := rapid.SliceOfN(events(), 0, 3).Draw(t, "scratch")
				decoded, wantErr := c.Decode(nil, page)
				want := slices.Concat(before, decoded)
				got, err := codec.Fold(c, remember, before, page, &scratch)
				if fmt.Sprint(err) != fmt.Sprint(wantErr) || len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
					t.Fatalf("Fold = %+v, %v, want %+v, %v", got, err, want, wantErr)
				}
				got = slices.Clone(before)
				err = codec.FoldInPlace(c, func(seen *[]Event, event Event) { *seen = append(*seen, event) }, &got, page, &scratch)
				if fmt.Sprint(err) != fmt.Sprint(wantErr) || len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
					t.Fatalf("FoldInPlace = %+v, %v, want %+v, %v", got, err, want, wantErr)
				}
			})
		})
	}
}

// TestFoldValues checks that FoldValues and FoldValuesInPlace are Fold of the values alone, up
// to one that Values did not make.
func TestFoldValues(t *testing.T) {
	t.Parallel()
	c := codec.Values[Event]()
	remember := func(seen []Event, event Event) []Event { return append(slices.Clone(seen), event) }
	rapid.Check(t, func(t *rapid.T) {
		page := record(t, c, rapid.SliceOfN(events(), 0, 12).Draw(t, "events")...)
		kept := make([]any, len(page))
		for i := range page {
			kept[i] = page[i].Value
		}
		if len(page) > 0 && rapid.Bool().Draw(t, "broken") {
			at := rapid.IntRange(0, len(page)-1).Draw(t, "where")
			kept[at] = rapid.SampledFrom([]any{nil, Paid{1}, (*Event)(nil), "text"}).Draw(t, "other")
			page[at].Value = kept[at]
		}
		var scratch []Event
		want, _ := codec.Fold(c, remember, nil, page, &scratch)
		if got, n := codec.FoldValues(remember, nil, kept); n != len(want) || !reflect.DeepEqual(got, want) {
			t.Fatalf("FoldValues = %+v, %d, want %+v", got, n, want)
		}
		var got []Event
		n := codec.FoldValuesInPlace(func(seen *[]Event, event Event) { *seen = append(*seen, event) }, &got, kept)
		if n != len(want) || !reflect.DeepEqual(got, want) {
			t.Fatalf("FoldValuesInPlace = %+v, %d, want %+v", got, n, want)
		}
	})
}

// TestEncodeAll checks that it is Encode of one event after the other, and that it keeps
// nothing of the slice.
func TestEncodeAll(t *testing.T) {
	t.Parallel()
	for name, c := range everyCodec() {
		if keeps := codec.KeepsValues(c); keeps != (name == "values") {
			t.Errorf("KeepsValues(%s) = %t", name, keeps)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				all := rapid.SliceOfN(events(), 0, 8).Draw(t, "events")
				if len(all) > 0 && rapid.Bool().Draw(t, "broken") {
					all[rapid.IntRange(0, len(all)-1).Draw(t, "where")] = Refunded{}
				}
				dst := []store.Event{{ID: "before"}}
				want := slices.Clone(dst)
				var wantErr error
				for i := range all {
					var event store.Event
					if event, wantErr = c.Encode(all[i]); wantErr != nil {
						break
					}
					want = append(want, event)
				}
				got, err := codec.EncodeAll(c, dst, all)
				clear(all)
				if fmt.Sprint(err) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
					t.Fatalf("EncodeAll = %+v, %v, want %+v, %v", got, err, want, wantErr)
				}
			})
		})
	}
}
