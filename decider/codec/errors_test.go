package codec_test

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// versionOf returns the version in a decoding error.
func versionOf(t rapid.TB, err error) uint64 {
	t.Helper()
	var unknown *codec.UnknownError
	var decode *codec.DecodeError
	switch {
	case errors.As(err, &unknown) && errors.Is(err, codec.ErrUnknown):
		return unknown.Version
	case errors.As(err, &decode) && errors.Is(err, codec.ErrDecode):
		return decode.Version
	}
	t.Fatalf("%v is neither an *UnknownError nor a *DecodeError", err)
	return 0
}

type stray struct{ Event }

type ratio float64

// tags is an event that can be nil. noted is an event that can hold any value.
type (
	tags  map[string]string
	noted struct {
		Text  string
		Value any
	}
)

func (tags) isEvent()  {}
func (noted) isEvent() {}

func (ratio) isEvent() {}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	all := names()
	all["OrderRated"] = ratio(0)
	all["OrderTagged"] = tags{}
	all["OrderNoted"] = noted{}
	tests := map[string]struct {
		codec codec.Codec[Event]
		event Event
		is    error
		text  string
	}{
		"a stray type":      {codec.JSON(all), stray{}, codec.ErrUnregistered, "codec: unregistered type: codec_test.stray has no name in the codec"},
		"nil":               {codec.JSON(all), nil, codec.ErrUnregistered, "codec: unregistered type: <nil> has no name in the codec"},
		"a pointer to it":   {codec.JSON(all), &Paid{}, codec.ErrUnregistered, "codec: unregistered type: *codec_test.Paid has no name in the codec"},
		"a nil pointer":     {codec.JSON(all), (*Shipped)(nil), codec.ErrEncode, "codec: encode OrderShipped: the event is a nil pointer"},
		"not valid":         {codec.JSON(all), Refunded{}, errZeroRefund, "codec: encode OrderRefunded: a refund of nothing"},
		"no JSON":           {codec.JSON(all), ratio(math.NaN()), codec.ErrEncode, "codec: encode OrderRated: json: unsupported value: NaN"},
		"a nil map":         {codec.JSON(all), tags(nil), codec.ErrEncode, "codec: encode OrderTagged: it would be null, which cannot be distinguished from no event"},
		"lossy text":        {codec.JSON(all), noted{Text: "caf\xe9"}, codec.ErrEncode, "codec: encode OrderNoted: the field Text has text that is not UTF-8, which JSON cannot hold"},
		"lossy keys":        {codec.JSON(all), tags{"\xe8": "", "\xe9": ""}, codec.ErrEncode, "codec: encode OrderTagged: the value itself has text that is not UTF-8, which JSON cannot hold"},
		"an int in an any":  {codec.JSON(all), noted{Value: 1}, codec.ErrEncode, "codec: encode OrderNoted: the field Value is an any that holds a int, which would not survive: JSON is read as bool, float64, string, []any and map[string]any"},
		"NaN in an any":     {codec.JSON(all), noted{Value: math.NaN()}, codec.ErrEncode, "codec: encode OrderNoted: json: unsupported value: NaN"},
		"nil as a value":    {codec.Values[Event](), nil, codec.ErrUnregistered, "codec: unregistered type: <nil> has no name in the codec"},
		"value not valid":   {codec.Values[Event](), Refunded{}, errZeroRefund, "codec: encode codec_test.Refunded: a refund of nothing"},
		"value as an error": {codec.Values[Event](), Refunded{}, codec.ErrEncode, "codec: encode codec_test.Refunded: a refund of nothing"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.codec.Encode(tt.event)
			if !errors.Is(err, tt.is) || err.Error() != tt.text {
				t.Errorf("Encode(%#v) = %v, want %q", tt.event, err, tt.text)
			}
			if got.Type != "" || got.Data != nil || got.Value != nil {
				t.Errorf("Encode(%#v) = %+v beside an error", tt.event, got)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	tolerant := codec.JSON(names(),
		codec.Up("OrderPaid", 1, func(Paid) Event { return nil }),
		codec.Up("OrderSent", 1, func(Shipped) Event { return &Shipped{} }).Retired(),
		codec.Up("OrderPosted", 1, func(Paid) Event { return (*Shipped)(nil) }).Retired(),
		codec.Up("OrderPosted", 2, func(Paid) *Shipped { return nil }).Retired(),
		codec.Up("OrderPosted", 3, func(s *Shipped) Event { return s }).Retired())
	paid := func(schema uint32, data string) store.Recorded { return recorded("OrderPaid", schema, data) }
	with := func(change func(*store.Recorded)) store.Recorded {
		r := paid(2, `{"cents":1}`)
		change(&r)
		return r
	}
	tests := map[string]struct {
		codec    codec.Codec[Event]
		recorded store.Recorded
		is       error
		text     string
	}{
		"unknown name":            {tolerant, recorded("OrderLost", 1, `{}`), codec.ErrUnknown, `codec: unknown event type "OrderLost": version 1 of Order/o-1`},
		"empty name":              {tolerant, recorded("", 1, `{}`), codec.ErrUnknown, `codec: unknown event type "": version 1 of Order/o-1`},
		"empty":                   {tolerant, paid(2, ``), codec.ErrDecode, "unexpected end of JSON input"},
		"cut off":                 {tolerant, paid(2, `{"cents":`), codec.ErrDecode, "unexpected end of JSON input"},
		"trailing data":           {tolerant, paid(2, `{"cents":1} {}`), codec.ErrDecode, "after top-level value"},
		"null":                    {tolerant, paid(2, " null\n"), codec.ErrDecode, "the data is null"},
		"another type":            {tolerant, paid(2, `{"cents":"1"}`), codec.ErrDecode, "cannot unmarshal string"},
		"a fraction":              {tolerant, paid(2, `{"cents":1.5}`), codec.ErrDecode, "cannot unmarshal number 1.5"},
		"a newer schema":          {tolerant, paid(3, `{"cents":1}`), codec.ErrNewerSchema, "newer schema version: the codec knows 1 to 2"},
		"newer than an old event": {tolerant, recorded("OrderSent", 2, `{}`), codec.ErrNewerSchema, "newer schema version: the codec knows 1 to 1"},
		"upcast to nil":           {tolerant, paid(1, `{"cents":1}`), codec.ErrDecode, "its upcaster returned <nil>, which is not an event"},
		"upcast to a nil pointer": {tolerant, recorded("OrderPosted", 1, `{}`), codec.ErrDecode, "its upcaster returned <nil>, which is not an event"},
		"a step to nil":           {tolerant, recorded("OrderPosted", 2, `{}`), codec.ErrDecode, "its upcaster from schema version 2 returned nil"},
		"a nil box":               {codec.Values[Event](), with(func(r *store.Recorded) { r.Value, r.Data = (*Event)(nil), nil }), codec.ErrDecode, "its value is a *codec_test.Event, not a value of this codec"},
		"an old event, cut off":   {tolerant, paid(1, `{`), codec.ErrDecode, "unexpected end of JSON input"},
		"protobuf":                {tolerant, with(func(r *store.Recorded) { r.ContentType = "application/protobuf" }), codec.ErrDecode, `its content type is "application/protobuf", not application/json`},
		"a value":                 {tolerant, with(func(r *store.Recorded) { r.Value, r.Data = 1, nil }), codec.ErrDecode, "it is a value, not data"},
		"a key twice":             {tolerant, paid(2, `{"cents":1,"cents":2}`), codec.ErrDecode, `the key "cents" occurs twice`},
		"two spellings":           {tolerant, paid(2, `{"cents":1,"Cents":2}`), codec.ErrDecode, `the key "Cents" occurs twice (or in two spellings)`},
		"an unknown key twice":    {tolerant, paid(2, `{"cents":1,"a":{"b":1,"b":2}}`), codec.ErrDecode, `the key "b" occurs twice`},
		"a key twice, strict":     {tolerant.Strict(), paid(2, `{"cents":1,"cents":2}`), codec.ErrDecode, `the key "cents" occurs twice`},
		"a key twice, old":        {tolerant, paid(1, `{"cents":1,"CENTS":2}`), codec.ErrDecode, `the key "CENTS" occurs twice`},
		"a key twice, a pointer":  {tolerant, recorded("OrderShipped", 1, `{"parcel":"a","Parcel":"b"}`), codec.ErrDecode, `the key "Parcel" occurs twice`},
		"not UTF-8":               {tolerant, recorded("OrderShipped", 1, "{\"parcel\":\"caf\xe9\"}"), codec.ErrDecode, `the data is not UTF-8`},
		"strict, extra key":       {tolerant.Strict(), paid(2, `{"cents":1,"tip":2}`), codec.ErrDecode, `unknown field "tip"`},
		"strict, more":            {tolerant.Strict(), paid(2, `{"cents":1} 2`), codec.ErrDecode, "there is more after the JSON value"},
		"strict, garbage":         {tolerant.Strict(), paid(2, `{"cents":1} }`), codec.ErrDecode, "there is more after the JSON value"},
		"strict, empty":           {tolerant.Strict(), paid(2, ``), codec.ErrDecode, "EOF"},
		"data for values":         {codec.Values[Event](), paid(1, `{}`), codec.ErrDecode, "its value is a <nil>, not a value of this codec"},
		"foreign value":           {codec.Values[Event](), with(func(r *store.Recorded) { r.Value = Paid{} }), codec.ErrDecode, "its value is a codec_test.Paid, not a value of this codec"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.codec.Decode(nil, []store.Recorded{tt.recorded})
			if len(got) != 0 || !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Decode(%q %s) = %+v, %v, want %q", tt.recorded.Type, tt.recorded.Data, got, err, tt.text)
			}
			versionOf(t, err)
		})
	}
}

func TestDecodeErrorText(t *testing.T) {
	t.Parallel()
	_, err := codec.JSON(names()).Decode(nil, []store.Recorded{recorded("OrderPaid", 1, "null")})
	if want := `codec: decode version 1 of Order/o-1, "OrderPaid" in schema version 1: the data is null`; err == nil || err.Error() != want {
		t.Errorf("Decode: %v, want %s", err, want)
	}
}

// TestTolerant checks the variations that other writers may use around an event.
func TestTolerant(t *testing.T) {
	t.Parallel()
	c := codec.JSON(names())
	for name, r := range map[string]store.Recorded{
		"keys of other clients": recorded("OrderPaid", 1, `{"eventType":"OrderPaid","event_type":"OrderPaid","schemaVersion":1,"cents":7}`),
		"white space":           recorded("OrderPaid", 1, "\n {\"cents\" : 7}\t"),
		"no schema version":     recorded("OrderPaid", 0, `{"cents":7}`),
	} {
		for _, contentType := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON ; charset=utf-8", "application/vnd.shop+json", store.OctetStream, ""} {
			r.ContentType = contentType
			got, err := c.Decode(nil, []store.Recorded{r})
			if err != nil || len(got) != 1 || got[0] != (Paid{Cents: 7}) {
				t.Errorf("%s as %q: %v, %v", name, contentType, got, err)
			}
		}
	}
}

func TestUnknownNames(t *testing.T) {
	t.Parallel()
	page := []store.Recorded{recorded("OrderPaid", 1, `{"cents":7}`), recorded("OrderLost", 4, `?`), recorded("OrderPaid", 1, `{"cents":8}`)}
	c := codec.JSON(names())
	got, err := c.SkipUnknown().Decode(nil, page)
	if err != nil || len(got) != 2 || got[0] != (Paid{7}) || got[1] != (Paid{8}) {
		t.Errorf("SkipUnknown: %v, %v", got, err)
	}
	got, err = c.SkipUnknown().KeepUnknown(func(r store.Recorded) Event { return Unknown{r} }).Decode(nil, page)
	if err != nil || len(got) != 3 || !reflect.DeepEqual(got[1], Event(Unknown{page[1]})) {
		t.Errorf("KeepUnknown: %v, %v", got, err)
	}
	if _, err := c.Decode(nil, page); !errors.Is(err, codec.ErrUnknown) {
		t.Errorf("the original codec: %v", err)
	}
	if got := strings.Join(c.Names(), " "); got != "OrderPaid OrderPlaced OrderRefunded OrderShipped" {
		t.Errorf("Names() = %s", got)
	}
}
