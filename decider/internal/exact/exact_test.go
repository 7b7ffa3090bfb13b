package exact_test

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider/internal/exact"
)

type (
	base   struct{ Name string }
	Base   struct{ Name string }
	Level  int
	silent int
	tree   struct {
		Value       int
		Left, Right *tree
	}
	shape      interface{ Area() float64 }
	picky      struct{ Code string }
	partial    struct{ Kept, Dropped string }
	coin       struct{ cents int64 }
	box[T any] struct{ Value T }
)

func (l Level) MarshalText() ([]byte, error) {
	if l < 1 || l > 3 {
		return nil, errors.New("no level")
	}
	return []byte(strings.Repeat("x", int(l))), nil
}

func (l *Level) UnmarshalText(text []byte) error {
	*l = Level(len(text))
	return nil
}

func (silent) MarshalText() ([]byte, error) { return []byte("silent"), nil }

// picky accepts only values that cannot be guessed.
func (p picky) MarshalText() ([]byte, error) {
	if p.Code != "GB82WEST12345698765432" {
		return nil, errors.New("no account number")
	}
	return []byte(p.Code), nil
}

func (p *picky) UnmarshalText(text []byte) error {
	if string(text) != "GB82WEST12345698765432" {
		return errors.New("no account number")
	}
	p.Code = string(text)
	return nil
}

func (p partial) MarshalJSON() ([]byte, error)     { return json.Marshal(p.Kept) }
func (p *partial) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &p.Kept) }

func (c coin) MarshalJSON() ([]byte, error)     { return json.Marshal(c.cents) }
func (c *coin) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &c.cents) }

var (
	_ encoding.TextUnmarshaler = (*Level)(nil)
	_ encoding.TextUnmarshaler = (*picky)(nil)
)

// TestKept checks types that JSON keeps, or that cannot be checked.
func TestKept(t *testing.T) {
	t.Parallel()
	for _, value := range []any{
		struct{}{},
		1, "", true, 1.5, float32(1.5), uint8(1),
		[2]int{},
		[]byte{},
		[]string{},
		map[string]int{},
		map[int][]string{},
		struct {
			Name  string `json:"name,omitempty"`
			At    time.Time
			Until *time.Time `json:",omitzero"`
			_     [3]int
			none  struct{}
		}{},
		struct{ Base }{},
		struct{ *Base }{},
		struct{ base }{},
		&Base{},
		struct {
			Base Base
			Name string
		}{},
		struct {
			A, B int `json:",string"`
		}{},
		tree{},
		[]tree{},
		map[string]*tree{},
		box[box[*tree]]{},
		struct{ Data any }{},
		map[string]any{},
		struct{ Raw json.RawMessage }{},
		struct{ Level Level }{},
		map[Level]int{},
		struct{ P picky }{},
		struct{ P *picky }{},
		coin{},
		box[coin]{},
		box[*coin]{},
		big.Int{},
		box[*big.Int]{},
		box[*big.Float]{},
		box[*big.Rat]{},
		netip.Addr{},
		box[netip.Prefix]{},
		time.Duration(0), time.Month(0),
	} {
		if _, err := exact.Of(reflect.TypeOf(value)); err != nil {
			t.Errorf("Of(%T): %v", value, err)
		}
	}
}

// TestLost checks that each type that JSON loses a part of is refused, and that the error
// names the part.
func TestLost(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		value any
		text  string
	}{
		"unexported":                     {struct{ note string }{}, "JSON loses the field note: it is unexported"},
		"unexported, nested":             {box[[]map[string]*struct{ note string }]{}, "the field Value.note: it is unexported"},
		"unexported in an embedded one":  {struct{ base2 }{}, "the field base2.name: it is unexported"},
		"embedded pointer to unexported": {struct{ *base }{}, "cannot read back the field base: it is an embedded pointer"},
		"left out by its tag": {struct {
			Note string `json:"-"`
		}{}, "JSON loses the field Note: it is empty afterwards"},
		"shadowed": {struct {
			Base
			Name string
		}{}, "JSON loses the field Base.Name: it is empty afterwards"},
		"two of one name": {twoOfOneName(), "JSON loses the field A: it is empty afterwards"},
		"two embedded of one name": {struct {
			Base
			Other box[int] `json:"Name"`
		}{}, "JSON loses the field Base.Name"},
		"names that differ in case": {struct{ ID, Id int }{}, `JSON cannot read back what it writes: the key "Id" occurs twice`}, //nolint:revive // the case
		"a promoted MarshalJSON": {struct {
			time.Time
			Balance int
		}{}, "JSON loses the field Balance: the methods that write"},
		"a promoted one, unexported": {struct {
			time.Time
			balance int
		}{}, "JSON loses the field balance: the methods that write"},
		"a promoted one, nested": {box[struct {
			Level
			Balance int
		}]{}, "JSON loses the field Value.Balance"},
		"a promoted one, unexported too": {struct {
			coin
			Balance int
		}{}, "JSON loses the value itself"},
		"an interface":                {struct{ Shape shape }{}, "cannot read back the field Shape: it is a exact_test.shape, an interface"},
		"an error":                    {struct{ Err error }{}, "cannot read back the field Err"},
		"interfaces in a map":         {map[string]shape{}, "cannot read back the value itself"},
		"a channel":                   {struct{ C chan int }{}, "JSON cannot write the field C"},
		"a function":                  {struct{ F func() }{}, "JSON cannot write the field F"},
		"a complex number":            {struct{ Z []complex128 }{}, "JSON cannot write the field Z"},
		"a key that is not text":      {struct{ M map[float64]int }{}, "JSON cannot write the field M: its keys are of type float64"},
		"a part from another package": {url.URL{}, "JSON loses the field User.username: it is unexported"},
		"written, never read":         {struct{ S silent }{}, "JSON cannot read back what it writes"},
		"a MarshalJSON that drops":    {partial{}, "JSON loses the field Dropped: it is empty afterwards (does the MarshalJSON"},
		"a nested one that drops":     {box[*partial]{}, "JSON loses the field Value.Dropped"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := exact.Of(reflect.TypeOf(tt.value)); err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Of(%T): %v, want %q", tt.value, err, tt.text)
			}
		})
	}
}

// twoOfOneName returns a struct that go vet would reject.
func twoOfOneName() any {
	field := func(name string) reflect.StructField {
		return reflect.StructField{Name: name, Type: reflect.TypeFor[string](), Tag: `json:"x"`}
	}
	return reflect.Zero(reflect.StructOf([]reflect.StructField{field("A"), field("B")})).Interface()
}

type base2 struct{ name string } //nolint:unused // used by reflection

// TestMarshalRefuses checks values that would change.
func TestMarshalRefuses(t *testing.T) {
	t.Parallel()
	const bad = "caf\xe9"
	tests := map[string]struct {
		value any
		text  string
	}{
		"text":                            {box[string]{bad}, "the field Value has text that is not UTF-8"},
		"the value itself":                {bad, "the value itself has text that is not UTF-8"},
		"a key":                           {box[map[string]int]{map[string]int{bad: 1}}, "the field Value has text"},
		"deep":                            {box[[]*box[[1]string]]{[]*box[[1]string]{{[1]string{bad}}}}, "the field Value.Value has text"},
		"in an any":                       {box[any]{[]any{map[string]any{"a": bad}}}, "the field Value has text"},
		"text of its own":                 {box[textual]{textual{bad}}, "the field Value has text"},
		"JSON of its own":                 {box[json.RawMessage]{json.RawMessage(`"` + bad + `"`)}, "the data is not UTF-8"},
		"next to a replacement character": {[2]string{"\ufffd", bad}, "has text"},
		"an int in an any":                {box[any]{1}, "the field Value is an any that holds a int"},
		"a struct in an any":              {box[any]{Base{}}, "holds a exact_test.Base"},
		"a named text in an any":          {box[any]{named("a")}, "holds a exact_test.named"},
		"a number in an any":              {box[any]{json.Number("1")}, "holds a json.Number"},
		"nested in an any":                {box[any]{[]any{map[string]any{"a": []any{int64(1)}}}}, "holds a int64"},
		"a nil slice in an any":           {box[any]{[]any(nil)}, "holds a []interface {}"},
		"in a map of any":                 {map[string]any{"a": float32(1)}, "holds a float32"},
		"in a slice of pointers":          {[]*box[any]{{uint(1)}}, "the field Value is an any that holds a uint"},
		"not a number":                    {box[float64]{math.NaN()}, "unsupported value: NaN"},
		"infinite":                        {box[any]{math.Inf(1)}, "unsupported value: +Inf"},
		"a repeated key":                  {box[json.RawMessage]{json.RawMessage(`{"a":1,"a":2}`)}, `the key "a" occurs twice`},
		"two keys of one text":            {map[textual]int{{"a"}: 1, {"A"}: 2}, `the key "a" occurs twice`},
		"a replacement character alone":   {box[textual]{textual{"\ufffd" + bad}}, "the field Value has text"},
		"an unexported embedded's":        {struct{ base }{base{bad}}, "the field base.Name has text"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			typ, err := exact.Of(reflect.TypeOf(tt.value))
			if err != nil {
				t.Fatal(err)
			}
			if data, err := typ.Marshal(tt.value); err == nil || !strings.Contains(err.Error(), tt.text) || data != nil {
				t.Errorf("Marshal(%+v) = %s, %v, want %q", tt.value, data, err, tt.text)
			}
		})
	}
}

type named string

// textual is a text that is written in lower case.
type textual struct{ Text string }

func (x textual) MarshalText() ([]byte, error) {
	return []byte(strings.ReplaceAll(x.Text, "A", "a")), nil
}

func (x *textual) UnmarshalText(text []byte) error {
	x.Text = string(text)
	return nil
}

// TestMarshalKeeps checks, with text that looks like a replacement, that the output is
// that of encoding/json, and that it decodes unchanged.
func TestMarshalKeeps(t *testing.T) {
	t.Parallel()
	type value struct {
		Text  string
		Texts map[string]string
		Any   any
		Int   *int64
		Float float64
	}
	typ, err := exact.Of(reflect.TypeFor[value]())
	if err != nil {
		t.Fatal(err)
	}
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"\ufffd", `\ufffd`, `\\ufffd`, "\x00", "<&>\u2028", "é\ufffdé"}))
	boxed := rapid.OneOf(rapid.Just[any](nil), rapid.Map(rapid.Bool(), toAny), rapid.Map(rapid.Float64(), toAny), rapid.Map(text, toAny),
		rapid.Map(rapid.SliceOfN(rapid.Map(text, toAny), 1, 2), toAny), rapid.Map(rapid.MapOfN(text, rapid.Map(text, toAny), 0, 2), toAny))
	rapid.Check(t, func(t *rapid.T) {
		want := value{
			Text: text.Draw(t, "text"), Texts: rapid.MapOfN(text, text, 1, 3).Draw(t, "texts"), Any: boxed.Draw(t, "any"),
			Int: rapid.Ptr(rapid.Int64(), true).Draw(t, "int"), Float: rapid.Float64().Draw(t, "float"),
		}
		data, err := typ.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if plain, _ := json.Marshal(want); string(plain) != string(data) {
			t.Fatalf("wrote %s, want %s", data, plain)
		}
		var got value
		if err := json.Unmarshal(data, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("read %+v, %v, want %+v", got, err, want)
		}
	})
}

func toAny[T any](v T) any { return v }

// TestKeys checks that exactly the objects with a repeated key are found, compared with a
// reader that goes through them token by token.
func TestKeys(t *testing.T) {
	t.Parallel()
	names := rapid.SampledFrom([]string{`a`, `A`, `b`, `\u0061`, `\u0041`, `é`, `É`, `k`, "\u212a", `x\"y`, `x\\`, ``, `:`})
	var object func(depth int) *rapid.Generator[string]
	object = func(depth int) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			kind := rapid.IntRange(0, 4).Draw(t, "kind")
			if depth == 0 {
				kind = 0
			}
			space := rapid.SampledFrom([]string{"", " ", "\n\t"}).Draw(t, "space")
			n := rapid.IntRange(0, 3).Draw(t, "n")
			var parts []string
			switch kind {
			case 0:
				return rapid.SampledFrom([]string{`1`, `"a"`, `"a\":"`, `null`, `"{"`, `"}"`}).Draw(t, "leaf")
			case 1:
				for range n {
					parts = append(parts, object(depth-1).Draw(t, "element"))
				}
				return "[" + space + strings.Join(parts, ","+space) + "]"
			}
			for range n {
				parts = append(parts, `"`+names.Draw(t, "key")+`"`+space+":"+space+object(depth-1).Draw(t, "value"))
			}
			return "{" + strings.Join(parts, space+","+space) + space + "}"
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		data := object(3).Draw(t, "data")
		many := rapid.Bool().Draw(t, "many")
		if many { // siblings enough for the other way to look at them
			var parts []string
			for i := range 100 {
				parts = append(parts, fmt.Sprintf(`"n%d":%d`, i, i))
			}
			data = "{" + strings.Join(parts, ",") + `,"in":` + data + `}`
		}
		folds := rapid.SampledFrom([]exact.Folds{exact.NoObject, exact.TopObject, exact.AllObjects}).Draw(t, "folds")
		want := twice(t, data, folds)
		if err := exact.Check([]byte(data), folds); (err != nil) != want {
			t.Fatalf("Check(%s, %d) = %v, want an error: %v", data, folds, err, want)
		}
	})
}

// TestKeysExamples checks what random objects seldom have.
func TestKeysExamples(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		data  string
		folds exact.Folds
		want  bool // twice
	}{
		{`{"a":1,"\u0061":2}`, exact.NoObject, true},
		{`{"\u0061":1,"a":2}`, exact.NoObject, true},
		{`{"a":1,"\u0041":2}`, exact.NoObject, false},
		{`{"a":1,"\u0041":2}`, exact.TopObject, true},
		{`{"a":1,"A":2}`, exact.TopObject, true},
		{`{"x":{"a":1,"A":2}}`, exact.TopObject, false},
		{`{"x":{"a":1,"A":2}}`, exact.AllObjects, true},
		{`[{"a":1,"A":2}]`, exact.TopObject, false},
		{`{"x":{"a":1},"a":2}`, exact.AllObjects, false},
		{`{"a":"a","b":"a"}`, exact.AllObjects, false},
	} {
		if err := exact.Check([]byte(tt.data), tt.folds); (err != nil) != tt.want {
			t.Errorf("Check(%s, %d) = %v, want an error: %v", tt.data, tt.folds, err, tt.want)
		}
	}
}

// twice reports whether an object in data has a key twice.
func twice(t *rapid.T, data string, folds exact.Folds) bool {
	d := json.NewDecoder(strings.NewReader(data))
	var walk func(depth int) bool
	walk = func(depth int) bool {
		token, err := d.Token()
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		found := false
		var seen []string
		switch token {
		case json.Delim('['):
			for d.More() {
				found = walk(depth+1) || found
			}
		case json.Delim('{'):
			for d.More() {
				key, err := d.Token()
				if err != nil {
					t.Fatalf("%s: %v", data, err)
				}
				for _, s := range seen {
					fold := folds == exact.AllObjects || folds == exact.TopObject && depth == 0
					found = found || s == key.(string) || fold && strings.EqualFold(s, key.(string)) //nolint:errcheck // a key is text
				}
				seen = append(seen, key.(string)) //nolint:errcheck // a key is text
				found = walk(depth+1) || found
			}
		default:
			return false
		}
		if _, err := d.Token(); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		return found
	}
	return walk(0)
}

// TestCheckText checks that a byte that is not UTF-8 is found wherever it is, beside one
// key and beside two, and that UTF-8 is fine there.
func TestCheckText(t *testing.T) {
	t.Parallel()
	for _, other := range []string{"", `,"b":1`} {
		for n := range 30 {
			for at := range n {
				for text, want := range map[string]bool{"a": false, "é": false, "\u2028": false, "\xe9": true, "\xff": true} {
					data := `{"a":"` + strings.Repeat("x", at) + text + strings.Repeat("x", n-at) + `"` + other + `}`
					if err := exact.Check([]byte(data), exact.AllObjects); (err != nil) != want {
						t.Fatalf("Check(%q) = %v, want an error: %v", data, err, want)
					}
				}
			}
		}
	}
	for _, short := range []string{"\"\xff\"", "\xff", "\"\xc3\xa9\"", `""`, ""} {
		if err := exact.Check([]byte(short), exact.NoObject); (err != nil) != strings.Contains(short, "\xff") {
			t.Errorf("Check(%q) = %v", short, err)
		}
	}
}

// TestKeysOfMany checks that an object with a great many keys does not take for ever.
func TestKeysOfMany(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 300_000 {
		fmt.Fprintf(&b, `"key %d":1,`, i)
	}
	many := "{" + b.String()
	if err := exact.Check([]byte(many+`"last":1}`), exact.TopObject); err != nil {
		t.Error(err)
	}
	var c exact.Checker
	if err := c.Check([]byte(many+`"KEY 7":1}`), exact.TopObject); err == nil {
		t.Error("a repeated key is not found")
	}
	for range 2 { // with what the checker has kept
		if err := c.Check([]byte(`{"a":1,"b":{"a":2}}`), exact.AllObjects); err != nil {
			t.Error(err)
		}
		if err := c.Check([]byte(`{"a":1,"b":{"c":2,"c":3}}`), exact.AllObjects); err == nil {
			t.Error("a repeated key is not found again")
		}
	}
}

func TestFoldsOf(t *testing.T) {
	t.Parallel()
	for want, values := range map[exact.Folds][]any{
		exact.NoObject:   {1, map[string]Base{}, []Base{}, coin{}, time.Time{}},
		exact.TopObject:  {box[map[string]int]{}, box[any]{}, box[[]json.RawMessage]{}, &box[coin]{}, box[box[[1]map[string]int]]{}},
		exact.AllObjects: {Base{}, &Base{}, tree{}, box[time.Time]{}, box[[]Base]{}, box[Level]{}},
	} {
		for _, value := range values {
			if got := exact.FoldsOf(reflect.TypeOf(value)); got != want {
				t.Errorf("FoldsOf(%T) = %d, want %d", value, got, want)
			}
		}
	}
}

func FuzzKeys(f *testing.F) {
	for _, data := range []string{`{"a":1,"a":2}`, `{"a":{"b":1},"c":[{"b":1},{"b":2}]}`, `"`, `{"\u`, `}`, `{"a\\":1}`} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		strict := exact.Check(data, exact.AllObjects)
		if exact.Check(data, exact.NoObject) != nil && strict == nil {
			t.Errorf("%q: folding finds less", data)
		}
	})
}
