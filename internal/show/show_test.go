package show_test

import (
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	"github.com/evolvego/evolve/internal/show"
)

type (
	box[T any] struct{ v T }
	node       struct {
		Name string
		Next *node
	}
	amount int
	state  struct {
		Open      bool
		Balance   int
		Movements []int
		Totals    map[string]int
	}
	event   interface{ event() }
	deposit struct {
		Amount int
		Tags   []string
	}
	opened struct{ Owner string }
	closed struct{}
)

func (opened) event() {}
func (closed) event() {}

// TestQuotes checks that texts are quoted as in Go.
func TestQuotes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~\\n]*`)).Draw(t, "text")
		if got, want := show.Text(s), strconv.Quote(s); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

// TestText checks how values print, also as Go code.
func TestText(t *testing.T) {
	t.Parallel()
	loop := &node{Name: "a"}
	at := time.Date(2000, 1, 2, 3, 4, 5, 6, time.UTC)
	for name, tt := range map[string]struct{ text, want string }{
		"empty fields are left out":  {show.Text(state{Open: true}), "state{Open: true}"},
		"empty lists too":            {show.Text(state{Movements: []int{}, Totals: map[string]int{}}), "state{}"},
		"maps are sorted":            {show.Text(map[string]int{"b": 2, "a": 1}), `{"a": 1, "b": 2}`},
		"unexported fields":          {show.Text(box[amount]{5}), "box[amount]{v: 5}"},
		"pointers are followed":      {show.Text(&node{"a", &node{Name: "b"}}), `&node{Name: "a", Next: &node{Name: "b"}}`},
		"interfaces tell their type": {show.Text([]any{amount(1), 1, "1", nil, node{}}), `[amount(1) 1 "1" nil node{}]`},
		"bytes":                      {show.Text(box[[]byte]{[]byte("é")}), `box[[]uint8]{v: []uint8("é")}`},
		"bytes that are no text":     {show.Text([]byte{255, 1}), "[255 1]"},
		"times":                      {show.Text(at.In(time.FixedZone("x", 3600))), "2000-01-02T03:04:05.000000006Z"},
		"functions":                  {show.Text(func(int) {}), "func(int)"},
		"nothing":                    {show.Text[error](nil), "nil"},
		"numbers":                    {show.Text([]float64{1, 0.5, math.NaN()}), "[1 0.5 NaN]"},
		"code":                       {show.Code(deposit{5, []string{"a"}}), `show_test.deposit{Amount: 5, Tags: []string{"a"}}`},
		"code of events":             {show.Code[event](opened{"ann"}), `show_test.opened{Owner: "ann"}`},
		"code of pointers":           {show.Code(box[*int]{new(int)}), "show_test.box[*int]{v: ptr(0)}"},
		"code of times":              {show.Code(box[time.Time]{at}), "show_test.box[time.Time]{v: time.Unix(946782245, 6).UTC()}"},
		"code of maps":               {show.Code(map[string]amount{"a": 1}), `map[string]show_test.amount{"a": 1}`},
		"changes":                    {show.Changes(state{Balance: 1}, state{Balance: 5, Open: true}), "Open false → true, Balance 1 → 5"},
		"changes in maps":            {show.Changes(map[string]node{"a": {}, "b": {}}, map[string]node{"b": {Name: "x"}, "c": {}}), `["a"] node{} → gone, ["b"].Name "" → "x", ["c"] new → node{}`},
		"changes behind pointers":    {show.Changes(&node{Name: "a"}, &node{Name: "b"}), `Name "a" → "b"`},
		"changes of type":            {show.Changes[event](opened{}, closed{}), "opened{} → closed{}"},
		"no changes":                 {show.Changes(state{}, state{Movements: []int{}}), ""},
	} {
		if tt.text != tt.want {
			t.Errorf("%s: %s, want %s", name, tt.text, tt.want)
		}
	}
	loop.Next = loop
	if got := show.Text(loop); len(got) > 1000 {
		t.Errorf("a value that contains itself prints as %s", got)
	}
}

// TestTextTime checks times against package time, including those in unexported fields.
func TestTextTime(t *testing.T) {
	t.Parallel()
	if now := time.Now(); show.Text(box[time.Time]{now}) != show.Text(box[time.Time]{now.Round(0)}) {
		t.Error("a monotonic reading makes a difference")
	}
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-1<<33, 1<<33).Draw(t, "seconds"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanoseconds"))
		want := "box[Time]{v: " + at.UTC().Format(time.RFC3339Nano) + "}"
		if got := show.Text(box[time.Time]{at}); got != want {
			t.Fatalf("%v prints as %s, want %s", at, got, want)
		}
	})
}

// TestTextProto checks that the caches of a protobuf message are not part of the value.
func TestTextProto(t *testing.T) {
	t.Parallel()
	m := wrapperspb.String("a")
	before := show.Text(m)
	data, err := proto.Marshal(m)
	if again := new(wrapperspb.StringValue); err != nil || proto.Unmarshal(data, again) != nil || show.Text(again) != before {
		t.Errorf("was %s, is now %s, and decoded %s", before, show.Text(m), show.Text(again))
	}
	if other := show.Text(wrapperspb.String("b")); other == before {
		t.Errorf("%s is all that is printed", other)
	}
}

func Example() {
	type account struct {
		Open    bool
		Balance int
		Tags    []string
	}
	before, after := account{Open: true, Tags: []string{}}, account{Open: true, Balance: 5}
	fmt.Println(show.Text(after))
	fmt.Println(show.Changes(before, after))
	fmt.Println(show.Same(before, account{Open: true}))
	// Output:
	// account{Open: true, Balance: 5}
	// Balance 0 → 5
	// true
}
