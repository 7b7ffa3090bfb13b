package codec_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// told is an event of an order or of a parcel, with the id of its stream.
type told struct {
	Of    string
	Event any
}

func tell[A any](r *store.Recorded, event A) told { return told{r.Stream.ID, event} }

type posted struct{ Weight int64 }

// shop is a source of orders, with events of every kind of history, and of parcels, one
// of whose event names orders have too.
func shop() codec.Source[told] {
	parcels := codec.JSON(map[string]posted{"OrderShipped": {}})
	return codec.Events(
		codec.From("Order", upcasting(), tell[Event]).Formerly("Purchase"),
		codec.From("Parcel", parcels, tell[posted]))
}

func in(streamType, name string, schema uint32, data string) store.Recorded {
	r := recorded(name, schema, data)
	r.Stream = store.Stream{Type: streamType, ID: "x"}
	return r
}

func TestSourceDecode(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		recorded store.Recorded
		want     []any
	}{
		"one":                              {in("Order", "OrderPaid", 3, `{"cents":5}`), []any{Paid{5}}},
		"several":                          {in("Order", "OrderSettled", 1, `{"paid":5,"refunded":3}`), []any{Paid{5}, Refunded{3}}},
		"none":                             {in("Order", "OrderViewed", 1, `?`), nil},
		"a name that only an upcaster has": {in("Order", "OrderSent", 1, `{"parcel":"p"}`), []any{&Shipped{"p"}}},
		"a former type":                    {in("Purchase", "OrderPaid", 3, `{"cents":5}`), []any{Paid{5}}},
		"a name of two parts":              {in("Parcel", "OrderShipped", 1, `{"Weight":7}`), []any{posted{7}}},
		"the other part's name":            {in("Parcel", "OrderPaid", 3, `?`), nil},
		"an unknown name":                  {in("Order", "OrderAudited", 1, `?`), nil},
		"an unknown type":                  {in("Invoice", "OrderPaid", 3, `?`), nil},
		"a type in another case":           {in("order", "OrderPaid", 3, `?`), nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := codec.Decoded[told]{Event: told{Of: "before"}}
			got, err := shop().Decode([]codec.Decoded[told]{before}, &tt.recorded)
			want := []codec.Decoded[told]{before}
			for i, event := range tt.want {
				want = append(want, codec.Decoded[told]{Recorded: &tt.recorded, Index: i, Event: told{"x", event}})
			}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("Decode(%s) = %+v, %v, want %+v", tt.recorded.Type, got, err, want)
			}
			for _, d := range got[1:] {
				if d.Recorded != &tt.recorded {
					t.Error("Recorded is a copy")
				}
			}
		})
	}
}

func TestSourceDecodeErrors(t *testing.T) {
	t.Parallel()
	before := []codec.Decoded[told]{{Event: told{Of: "before"}}}
	for name, tt := range map[string]struct {
		recorded store.Recorded
		is       error
	}{
		"cut off":        {in("Order", "OrderPaid", 3, `{"cents":`), codec.ErrDecode},
		"a newer schema": {in("Order", "OrderPaid", 4, `{"cents":1}`), codec.ErrNewerSchema},
		"null in a step": {in("Parcel", "OrderShipped", 1, `null`), codec.ErrDecode},
	} {
		got, err := shop().Decode(before, &tt.recorded)
		if !errors.Is(err, tt.is) || !reflect.DeepEqual(got, before) {
			t.Errorf("%s: Decode = %+v, %v", name, got, err)
		}
		versionOf(t, err)
	}
}

// TestSourceIsItsParts checks, over random logs, that a source returns what the codecs of
// its parts return for their own streams and names, in the order of the log, that Filter
// matches every event that decodes to something, and that the filter of a part matches
// exactly the events of that part.
func TestSourceIsItsParts(t *testing.T) {
	t.Parallel()
	orders := upcasting()
	// The codec of orders without the method ReadNames decodes everything.
	s := shop().And(codec.From("Raw", codec.Codec[Event](struct{ codec.Codec[Event] }{orders.SkipUnknown()}), tell[Event]))
	filter, filters := s.Filter(), s.Filters()
	known := orders.ReadNames()
	rapid.Check(t, func(t *rapid.T) {
		var got []codec.Decoded[told]
		var want []told
		for range rapid.IntRange(0, 8).Draw(t, "events") {
			r := in(rapid.SampledFrom([]string{"Order", "Purchase", "Raw", "Parcel", "Invoice"}).Draw(t, "stream type"),
				rapid.SampledFrom([]string{"OrderSettled", "OrderViewed", "OrderSent", "OrderLost"}).Draw(t, "name"), 1, `{"paid":1,"refunded":2,"parcel":"p"}`)
			mine := r.Stream.Type != "Parcel" && r.Stream.Type != "Invoice" && (r.Stream.Type == "Raw" || slices.Contains(known, r.Type))
			if mine {
				events, err := orders.SkipUnknown().Decode(nil, []store.Recorded{r})
				if err != nil {
					t.Fatal(err)
				}
				for _, event := range events {
					want = append(want, told{"x", event})
				}
			}
			if mine && !filter.Matches(&r) || mine != slices.ContainsFunc(filters, func(f store.Filter) bool { return f.Matches(&r) }) {
				t.Fatalf("%s of %s: in the source: %v, filter %+v, filters %+v", r.Type, r.Stream, mine, filter, filters)
			}
			var err error
			if got, err = s.Decode(got, &r); err != nil {
				t.Fatal(err)
			}
		}
		events := make([]told, len(got))
		for i := range got {
			events[i] = got[i].Event
		}
		if len(events) != len(want) || len(want) > 0 && !reflect.DeepEqual(events, want) {
			t.Fatalf("decoded %+v, want %+v", events, want)
		}
	})
}

func TestSourceFilter(t *testing.T) {
	t.Parallel()
	if got, want := shop().Filter(), (store.Filter{
		StreamTypes: []string{"Order", "Parcel", "Purchase"},
		EventTypes:  []string{"OrderPaid", "OrderPlaced", "OrderRefunded", "OrderSent", "OrderSettled", "OrderShipped", "OrderViewed"},
	}); !reflect.DeepEqual(got, want) {
		t.Errorf("Filter() = %+v, want %+v", got, want)
	}
	all := shop().And(codec.From("Note", codec.JSON(names()).KeepUnknown(func(r store.Recorded) Event { return Unknown{r} }), tell[Event]))
	if got := all.Filter(); got.EventTypes != nil || len(got.StreamTypes) != 4 {
		t.Errorf("with a part that reads all names: %+v", got)
	}
	if got := codec.Events(codec.From("V", codec.Values[Event](), tell[Event])).Filter(); got.EventTypes != nil || !slices.Equal(got.StreamTypes, []string{"V"}) {
		t.Errorf("with values: %+v", got)
	}
}

func TestReadNames(t *testing.T) {
	t.Parallel()
	c := upcasting()
	if got := strings.Join(c.ReadNames(), " "); got != "OrderPaid OrderPlaced OrderRefunded OrderSent OrderSettled OrderShipped OrderViewed" {
		t.Errorf("ReadNames() = %s", got)
	}
	if got := strings.Join(c.Names(), " "); got != "OrderPaid OrderPlaced OrderRefunded OrderShipped" {
		t.Errorf("Names() = %s", got)
	}
	keeps := c.KeepUnknown(func(r store.Recorded) Event { return Unknown{r} })
	if got := keeps.ReadNames(); got != nil {
		t.Errorf("with KeepUnknown: %v, want nil", got)
	}
	if got := strings.Join(keeps.Names(), " "); got != strings.Join(c.Names(), " ") {
		t.Errorf("it writes %s", got)
	}
	if got := keeps.SkipUnknown().ReadNames(); len(got) != 7 {
		t.Errorf("with SkipUnknown: %v", got)
	}
}

func TestSourcePanics(t *testing.T) {
	t.Parallel()
	paid := codec.JSON(map[string]Event{"OrderPaid": Paid{}})
	part := codec.From("Order", paid, tell[Event])
	for name, tt := range map[string]struct {
		build func()
		text  string
	}{
		"no stream type": {func() { codec.From("", paid, tell[Event]) }, `From(""): needs a stream type`},
		"no codec":       {func() { codec.From("Order", nil, tell[Event]) }, `From("Order"): needs a stream type, a codec`},
		"no function":    {func() { codec.From[told]("Order", paid, nil) }, `From("Order"): needs a stream type, a codec and a function`},
		"no events":      {func() { codec.From("Order", codec.JSON(map[string]Event{}), tell[Event]) }, `From("Order"): the codec has no events`},
		"no former type": {func() { part.Formerly("A", "") }, "Formerly: a stream type is empty"},
		"no parts":       {func() { codec.Events[told]() }, "a source needs a part"},
		"zero part":      {func() { codec.Events(part, codec.Part[told]{}) }, "the zero Part reads nothing"},
		"twice":          {func() { codec.Events(part, codec.From("Order", upcasting(), tell[Event])) }, `two parts read "OrderPaid" of streams of type "Order"`},
		"twice, former":  {func() { codec.Events(part).And(codec.From("Purchase", paid, tell[Event]).Formerly("Order")) }, `two parts read "OrderPaid" of streams of type "Order"`},
		"all and one":    {func() { codec.Events(part, codec.From("Order", codec.Values[Event](), tell[Event])) }, `two parts read the events of streams of type "Order"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "codec: ") || !strings.Contains(got, tt.text) {
					t.Errorf("panic %q, want %q", got, tt.text)
				}
			}()
			tt.build()
		})
	}
	// Two codecs may share the streams of a type if their names differ.
	refunded := codec.JSON(map[string]Event{"OrderRefunded": Refunded{}})
	r := in("Order", "OrderRefunded", 1, `{"cents":1}`)
	if got, err := codec.Events(part, codec.From("Order", refunded, tell[Event])).Decode(nil, &r); err != nil || len(got) != 1 {
		t.Errorf("two parts of one type: %v, %v", got, err)
	}
}

// TestSourceKeepsNothing checks that decoded events do not change with the next event, or
// with the memory that they were decoded from.
func TestSourceKeepsNothing(t *testing.T) {
	t.Parallel()
	s := shop()
	first, second := in("Order", "OrderPlaced", 1, `{"customer":"ann","lines":[{"article":"a"}]}`), in("Order", "OrderPlaced", 1, `{"customer":"bob","lines":[{"article":"b"}]}`)
	got, err := s.Decode(nil, &first)
	if err != nil {
		t.Fatal(err)
	}
	clear(first.Data)
	if got, err = s.Decode(got, &second); err != nil {
		t.Fatal(err)
	}
	for i, want := range []told{{"x", Placed{Customer: "ann", Lines: []Line{{Article: "a"}}}}, {"x", Placed{Customer: "bob", Lines: []Line{{Article: "b"}}}}} {
		if !reflect.DeepEqual(got[i].Event, want) {
			t.Errorf("event %d is %+v, want %+v", i, got[i].Event, want)
		}
	}
}

// half is a codec that decodes an event, and then fails.
type half struct{ codec.Codec[Event] }

func (half) Decode(dst []Event, r []store.Recorded) ([]Event, error) {
	return append(dst, Paid{1}), &codec.DecodeError{Stream: r[0].Stream, Version: r[0].Version, Err: errZeroRefund}
}

// TestSourceDropsHalf checks that a recorded event that is only partly decoded gives no
// events.
func TestSourceDropsHalf(t *testing.T) {
	t.Parallel()
	r := in("Order", "OrderPaid", 1, `{}`)
	got, err := codec.Events(codec.From("Order", codec.Codec[Event](half{}), tell[Event])).Decode(nil, &r)
	if len(got) != 0 || !errors.Is(err, codec.ErrDecode) {
		t.Errorf("Decode = %+v, %v", got, err)
	}
}

// TestValuesSchema checks that values have the first schema version.
func TestValuesSchema(t *testing.T) {
	t.Parallel()
	if e, err := codec.Values[Event]().Encode(Paid{1}); err != nil || e.Schema != 1 {
		t.Errorf("Encode: schema version %d, %v", e.Schema, err)
	}
}
