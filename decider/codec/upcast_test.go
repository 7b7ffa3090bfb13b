package codec_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// Earlier shapes of an amount: euros as text, then euros and cents.
type (
	paidV1 struct {
		Euros string `json:"euros"`
	}
	paidV2 struct {
		Euros int64 `json:"euros"`
		Cents int64 `json:"cents"`
	}
	settled struct {
		Paid     int64 `json:"paid"`
		Refunded int64 `json:"refunded"`
	}
)

func paidV1toV2(p paidV1) paidV2 {
	var v2 paidV2
	fmt.Sscanf(p.Euros, "%d.%d", &v2.Euros, &v2.Cents) //nolint:errcheck // invalid text counts as zero
	return v2
}

func paidV2toNow(p paidV2) Event { return Paid{Cents: 100*p.Euros + p.Cents} }

// upcasting is a codec with every kind of history: a chain of three versions, a split
// event, an event dropped in one version only, and names that no event has any more.
func upcasting() *codec.Named[Event] {
	return codec.JSON(names(),
		codec.Up("OrderPaid", 2, paidV2toNow),
		codec.Up("OrderPaid", 1, paidV1toV2),
		codec.UpMany("OrderSettled", 1, func(s settled) []Event {
			var events []Event
			if s.Paid != 0 {
				events = append(events, Paid{s.Paid})
			}
			if s.Refunded != 0 {
				events = append(events, Refunded{s.Refunded})
			}
			return events
		}).Retired(),
		codec.Drop("OrderShipped", 1),
		codec.Drop("OrderViewed", 1).Retired(),
		codec.Up("OrderSent", 1, func(s Shipped) *Shipped { return &s }).Retired(),
	)
}

// TestUpcast checks payloads of earlier versions, which must be readable for ever.
func TestUpcast(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		recorded store.Recorded
		want     []Event
	}{
		"paid, version 1":                {recorded("OrderPaid", 1, `{"euros":"12.34"}`), []Event{Paid{1234}}},
		"paid, version 0 counts as 1":    {recorded("OrderPaid", 0, `{"euros":"12.34"}`), []Event{Paid{1234}}},
		"paid, version 2":                {recorded("OrderPaid", 2, `{"euros":12,"cents":34}`), []Event{Paid{1234}}},
		"paid, version 3":                {recorded("OrderPaid", 3, `{"cents":1234}`), []Event{Paid{1234}}},
		"split in two":                   {recorded("OrderSettled", 1, `{"paid":5,"refunded":3}`), []Event{Paid{5}, Refunded{3}}},
		"split in one":                   {recorded("OrderSettled", 1, `{"refunded":3}`), []Event{Refunded{3}}},
		"split in none":                  {recorded("OrderSettled", 1, `{}`), nil},
		"dropped":                        {recorded("OrderViewed", 1, `not read at all`), nil},
		"dropped in an old version":      {recorded("OrderShipped", 1, `{"parcel":"p"}`), nil},
		"not dropped in today's version": {recorded("OrderShipped", 2, `{"parcel":"p"}`), []Event{&Shipped{"p"}}},
		"renamed":                        {recorded("OrderSent", 1, `{"parcel":"p"}`), []Event{&Shipped{"p"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := upcasting().Decode(nil, []store.Recorded{tt.recorded})
			if err != nil || len(got) != len(tt.want) || len(got) > 0 && !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Decode(%s %d %s) = %+v, %v, want %+v", tt.recorded.Type, tt.recorded.Schema, tt.recorded.Data, got, err, tt.want)
			}
		})
	}
}

// TestUpcastPaths checks, over random streams of all versions, that an old event means
// what its upcasters make of it step by step, that order is kept, and that old shapes are
// never written.
func TestUpcastPaths(t *testing.T) {
	t.Parallel()
	c := upcasting()
	rapid.Check(t, func(t *rapid.T) {
		var page []store.Recorded
		var want []Event
		for range rapid.IntRange(0, 8).Draw(t, "events") {
			euros, cents := rapid.Int64Range(0, 1e6).Draw(t, "euros"), rapid.Int64Range(0, 99).Draw(t, "cents")
			var r store.Recorded
			switch rapid.IntRange(0, 4).Draw(t, "shape") {
			case 0:
				old := paidV1{fmt.Sprintf("%d.%02d", euros, cents)}
				r = recorded("OrderPaid", 1, fmt.Sprintf(`{"euros":%q}`, old.Euros))
				want = append(want, paidV2toNow(paidV1toV2(old)))
			case 1:
				r = recorded("OrderPaid", 2, fmt.Sprintf(`{"euros":%d,"cents":%d}`, euros, cents))
				want = append(want, paidV2toNow(paidV2{euros, cents}))
			case 2:
				r = record(t, c, Paid{cents})[0]
				want = append(want, Paid{cents})
			case 3:
				r = recorded("OrderSettled", 1, fmt.Sprintf(`{"paid":%d,"refunded":%d}`, euros+1, cents+1))
				want = append(want, Paid{euros + 1}, Refunded{cents + 1})
			case 4:
				r = recorded("OrderViewed", 1, "{}")
			}
			page = append(page, r)
		}
		got, err := c.Decode(nil, page)
		if err != nil || len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("Decode = %+v, %v, want %+v", got, err, want)
		}
		for i, r := range record(t, c, want...) {
			if current := map[string]uint32{"OrderPaid": 3, "OrderRefunded": 1}[r.Type]; r.Schema != current {
				t.Fatalf("%+v is written as %s in schema version %d, want %d", want[i], r.Type, r.Schema, current)
			}
		}
	})
}

// TestUpcastChains checks chains of every two kinds of steps, and that a step handles
// each event that the step before it returned, in order.
func TestUpcastChains(t *testing.T) {
	t.Parallel()
	type (
		v1 struct{ N int64 }
		v2 struct{ N int64 }
		v3 struct{ N int64 }
	)
	one := codec.Up("OrderPaid", 1, func(old v1) v2 { return v2{old.N * 10} })
	many := codec.UpMany("OrderPaid", 1, func(old v1) []v2 {
		return slices.Repeat([]v2{{old.N * 10}, {old.N*10 + 1}}, int(old.N))
	})
	oneMore := codec.Up("OrderPaid", 2, func(old v2) v3 { return v3{old.N * 10} })
	manyMore := codec.UpMany("OrderPaid", 2, func(old v2) []v3 { return []v3{{old.N * 10}, {old.N*10 + 1}} })
	last := codec.UpMany("OrderPaid", 3, func(old v3) []Event { return []Event{Paid{old.N}, Refunded{old.N}} })
	for name, tt := range map[string]struct {
		first, second codec.Upcaster
		n             int64
		want          []int64
	}{
		"one, one":   {one, oneMore, 1, []int64{100}},
		"one, many":  {one, manyMore, 1, []int64{100, 101}},
		"many, one":  {many, oneMore, 1, []int64{100, 110}},
		"many, many": {many, manyMore, 2, []int64{200, 201, 210, 211, 200, 201, 210, 211}},
		"none, one":  {many, oneMore, 0, nil},
		"none, many": {many, manyMore, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want []Event
			for _, n := range tt.want {
				want = append(want, Paid{n}, Refunded{n})
			}
			c := codec.JSON(names(), last, tt.second, tt.first)
			got, err := c.Decode(nil, []store.Recorded{recorded("OrderPaid", 1, fmt.Sprintf(`{"N":%d}`, tt.n))})
			if err != nil || len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
				t.Errorf("Decode = %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

// TestDropInAChain checks that a step may end a chain: the events that reach it are
// dropped.
func TestDropInAChain(t *testing.T) {
	t.Parallel()
	c := codec.JSON(names(), codec.Drop("OrderPaid", 1), codec.Up("OrderPaid", 2, paidV1toV2), codec.Up("OrderPaid", 3, paidV2toNow))
	for schema, want := range map[uint32]int{1: 0, 2: 1, 3: 1, 4: 1} {
		got, err := c.Decode(nil, []store.Recorded{recorded("OrderPaid", schema, `{}`)})
		if err != nil || len(got) != want {
			t.Errorf("schema version %d: %v, %v, want %d events", schema, got, err, want)
		}
	}
}

// TestUpcastOfAnything checks that an upcaster may take an any, for data of unknown type.
func TestUpcastOfAnything(t *testing.T) {
	t.Parallel()
	c := codec.JSON(names(), codec.Up("OrderPaid", 1, func(old any) Event {
		cents, _ := old.(map[string]any)["amount"].(float64)
		return Paid{int64(cents)}
	}))
	got, err := c.Decode(nil, []store.Recorded{{Event: store.Event{Type: "OrderPaid", Schema: 1, Data: []byte(`{"amount":7}`)}}})
	if err != nil || len(got) != 1 || got[0] != (Paid{7}) {
		t.Errorf("Decode = %v, %v, want Paid{7}", got, err)
	}
}

func TestConstructorsPanic(t *testing.T) {
	t.Parallel()
	up := func(name string, schema uint32) codec.Upcaster { return codec.Up(name, schema, paidV2toNow) }
	tests := map[string]struct {
		build func()
		text  string
	}{
		"nil sample":        {func() { codec.JSON(map[string]Event{"Nothing": nil}) }, `<nil> is registered under the name "Nothing"`},
		"empty name":        {func() { codec.JSON(map[string]Event{"": Paid{}}) }, `codec_test.Paid is registered under the name ""`},
		"two names":         {func() { codec.JSON(map[string]Event{"A": Paid{}, "B": Paid{}}) }, `codec_test.Paid has two names, "A" and "B"`},
		"no name to upcast": {func() { codec.JSON(names(), up("", 1)) }, "set both a name and a schema version"},
		"schema version 0":  {func() { codec.JSON(names(), up("OrderPaid", 0)) }, "set both a name and a schema version"},
		"zero upcaster":     {func() { codec.JSON(names(), codec.Upcaster{}) }, "set both a name and a schema version"},
		"a gap":             {func() { codec.JSON(names(), up("OrderPaid", 2)) }, `no upcaster of "OrderPaid" from schema version 1`},
		"a wide gap":        {func() { codec.JSON(names(), codec.Drop("OrderPaid", 1<<32-1)) }, `no upcaster of "OrderPaid" from schema version 1`},
		"twice":             {func() { codec.JSON(names(), up("OrderPaid", 1), up("OrderPaid", 1)) }, `two upcasters of "OrderPaid" from schema version 1`},
		"a loose end":       {func() { codec.JSON(names(), codec.Up("OrderPaid", 1, paidV1toV2)) }, `returns codec_test.paidV2, which is neither codec_test.Event nor what the next one takes`},
		"a broken chain": {func() {
			codec.JSON(names(), codec.Up("OrderPaid", 1, paidV1toV2), codec.Up("OrderPaid", 2, func(paidV1) Event { return nil }))
		}, `from schema version 1 returns codec_test.paidV2`},
		"a nil upcaster":       {func() { codec.JSON(names(), codec.Up[paidV1, Event]("OrderPaid", 1, nil)) }, `the upcaster of "OrderPaid" from schema version 1 is nil`},
		"a nil UpMany":         {func() { codec.JSON(names(), codec.UpMany[paidV1, Event]("OrderPaid", 1, nil)) }, `the upcaster of "OrderPaid" from schema version 1 is nil`},
		"a misspelt name":      {func() { codec.JSON(names(), up("OrderPayed", 1)) }, `the upcaster of "OrderPayed" from schema version 1: there is no event of that name. Is it misspelt?`},
		"a later one misspelt": {func() { codec.JSON(names(), up("OrderPayed", 1).Retired(), up("OrderPayed", 2)) }, `from schema version 2: there is no event of that name`},
		"not retired":          {func() { codec.JSON(names(), up("OrderPaid", 1).Retired()) }, `the upcaster of "OrderPaid" from schema version 1 is Retired, but there is an event of that name`},
		"an old interface":     {func() { codec.JSON(names(), codec.Up("OrderPaid", 1, func(e Event) Event { return e })) }, `takes codec_test.Event, an interface`},
		"a nil keep":           {func() { codec.JSON(names()).KeepUnknown(nil) }, `KeepUnknown(nil)`},
		"a lost field":         {func() { codec.JSON(map[string]any{"Noted": struct{ text string }{}}) }, `"Noted" is a struct { text string }: JSON loses the field text: it is unexported`},
		"a lost balance": {func() {
			codec.JSON(map[string]any{"Noted": struct {
				time.Time
				Balance int
			}{}})
		}, `JSON loses the field Balance`},
		"an interface": {func() { codec.JSON(map[string]any{"Noted": struct{ Event Event }{}}) }, `JSON cannot read back the field Event: it is a codec_test.Event, an interface`},
		"a lost pointer": {func() {
			codec.JSON(map[string]any{"Noted": &struct {
				Text string `json:"-"`
			}{}})
		}, `JSON loses the field Text`},
		"not a message": {func() { codec.Proto(map[string]Event{"Paid": Paid{}}) }, `"Paid" is a codec_test.Paid, which is not a protobuf message`},
		"was not a message": {func() {
			codec.Proto(messages(), codec.Up("Old", 1, func(paidV1) proto.Message { return nil }).Retired())
		}, `"Old" was a codec_test.paidV1, which is not a protobuf message`},
		"nil for message": {func() { codec.Proto(map[string]proto.Message{"Paid": nil}) }, `"Paid" is a <nil>, which is not a protobuf message`},
		"far gap":         {func() { codec.Proto(messages(), codec.Drop("Old", 3).Retired(), codec.Drop("Old", 1).Retired()) }, `no upcaster of "Old" from schema version 2`},
		"untyped message": {func() {
			codec.Proto(map[string]proto.Message{"A": &wrapperspb.BoolValue{}, "B": &wrapperspb.BoolValue{}})
		}, "has two names"},
	}
	for name, tt := range tests {
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
}
