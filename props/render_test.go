package props_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	"github.com/evolvego/evolve/props"
)

type (
	box[T any] struct{ v T }
	node       struct {
		Name string
		Next *node
	}
	amount int
)

// TestText holds how values print, and their Go code.
func TestText(t *testing.T) {
	t.Parallel()
	loop := &node{Name: "a"}
	at := time.Date(2000, 1, 2, 3, 4, 5, 6, time.UTC)
	for name, tt := range map[string]struct{ text, want string }{
		"empty fields are left out":  {props.Text(State{Open: true}), "State{Open: true}"},
		"empty lists too":            {props.Text(State{Movements: []int{}, Totals: map[string]int{}}), "State{}"},
		"maps are sorted":            {props.Text(map[string]int{"b": 2, "a": 1}), `{"a": 1, "b": 2}`},
		"unexported fields":          {props.Text(box[amount]{5}), "box[amount]{v: 5}"},
		"pointers are followed":      {props.Text(&node{"a", &node{Name: "b"}}), `&node{Name: "a", Next: &node{Name: "b"}}`},
		"interfaces tell their type": {props.Text([]any{amount(1), 1, "1", nil, node{}}), `[amount(1) 1 "1" nil node{}]`},
		"bytes":                      {props.Text(box[[]byte]{[]byte("é")}), `box[[]uint8]{v: []uint8("é")}`},
		"bytes that are no text":     {props.Text([]byte{255, 1}), "[255 1]"},
		"times":                      {props.Text(at.In(time.FixedZone("x", 3600))), "2000-01-02T03:04:05.000000006Z"},
		"functions":                  {props.Text(func(int) {}), "func(int)"},
		"nothing":                    {props.Text[error](nil), "nil"},
		"numbers":                    {props.Text([]float64{1, 0.5, math.NaN()}), "[1 0.5 NaN]"},
		"code":                       {props.Code(Deposit{5, []string{"a"}}), `props_test.Deposit{Amount: 5, Tags: []string{"a"}}`},
		"code of events":             {props.Code[Event](Opened{"ann"}), `props_test.Opened{Owner: "ann"}`},
		"code of pointers":           {props.Code(box[*int]{new(int)}), "props_test.box[*int]{v: ptr(0)}"},
		"code of times":              {props.Code(box[time.Time]{at}), "props_test.box[time.Time]{v: time.Unix(946782245, 6).UTC()}"},
		"code of maps":               {props.Code(map[string]amount{"a": 1}), `map[string]props_test.amount{"a": 1}`},
		"changes":                    {props.Changes(State{Balance: 1}, State{Balance: 5, Open: true}), "Open false → true, Balance 1 → 5"},
		"changes in maps":            {props.Changes(map[string]node{"a": {}, "b": {}}, map[string]node{"b": {Name: "x"}, "c": {}}), `["a"] node{} → gone, ["b"].Name "" → "x", ["c"] new → node{}`},
		"changes behind pointers":    {props.Changes(&node{Name: "a"}, &node{Name: "b"}), `Name "a" → "b"`},
		"changes of type":            {props.Changes[Event](Opened{}, Closed{}), "Opened{} → Closed{}"},
		"no changes":                 {props.Changes(State{}, State{Movements: []int{}}), ""},
	} {
		if tt.text != tt.want {
			t.Errorf("%s: %s, want %s", name, tt.text, tt.want)
		}
	}
	loop.Next = loop
	if got := props.Text(loop); len(got) > 1000 {
		t.Errorf("a value that contains itself prints as %s", got)
	}
}

// TestTextTime checks times, also in fields that reflection does not hand out,
// against package time.
func TestTextTime(t *testing.T) {
	t.Parallel()
	if now := time.Now(); props.Text(box[time.Time]{now}) != props.Text(box[time.Time]{now.Round(0)}) {
		t.Error("a monotonic reading makes a difference")
	}
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-1<<33, 1<<33).Draw(t, "seconds"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanoseconds"))
		want := "box[Time]{v: " + at.UTC().Format(time.RFC3339Nano) + "}"
		if got := props.Text(box[time.Time]{at}); got != want {
			t.Fatalf("%v prints as %s, want %s", at, got, want)
		}
	})
}

// TestTextProto checks that the caches of a protobuf message do not count.
func TestTextProto(t *testing.T) {
	t.Parallel()
	m := wrapperspb.String("a")
	before := props.Text(m)
	data, err := proto.Marshal(m)
	if again := new(wrapperspb.StringValue); err != nil || proto.Unmarshal(data, again) != nil || props.Text(again) != before {
		t.Errorf("was %s, is now %s, and decoded %s", before, props.Text(m), props.Text(again))
	}
	if other := props.Text(wrapperspb.String("b")); other == before {
		t.Errorf("%s is all that is printed", other)
	}
}

// TestClone checks that a copy shares nothing with the original.
func TestClone(t *testing.T) {
	t.Parallel()
	original := Everything{List: []string{"a"}, Map: map[string]int{"a": 1}, Pointer: new(int), Nested: Inner{Deep: &Inner{Name: "a"}}, Any: []int{1}}
	want := props.Text(original)
	c := props.Clone(original)
	if got := props.Text(c); got != want {
		t.Errorf("the copy is %s, want %s", got, want)
	}
	c.List[0], c.Map["a"], *c.Pointer, c.Nested.Deep.Name = "b", 2, 2, "b"
	if list, ok := c.Any.([]int); ok {
		list[0] = 2
	}
	if got := props.Text(original); got != want {
		t.Errorf("the original is now %s, want %s", got, want)
	}
	if err := props.Clone[error](nil); err != nil || props.Clone(errors.ErrUnsupported) == nil {
		t.Error("interfaces are not copied")
	}
}
