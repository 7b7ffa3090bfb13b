package codec_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// jsonData draws valid and invalid data for an event.
func jsonData() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		placed := Placed{Customer: rapid.StringN(0, 5, -1).Draw(t, "customer")}
		if rapid.Bool().Draw(t, "lines") {
			placed.Lines = []Line{{Article: rapid.StringN(0, 3, -1).Draw(t, "article")}}
		}
		if rapid.Bool().Draw(t, "notes") {
			placed.Notes = map[string]string{rapid.StringN(1, 3, -1).Draw(t, "note"): "x"}
		}
		if rapid.IntRange(0, 19).Draw(t, "size") == 0 {
			placed.Customer = strings.Repeat("long", 1<<rapid.IntRange(10, 16).Draw(t, "length"))
		}
		data, err := json.Marshal(placed)
		if err != nil {
			t.Fatal(err)
		}
		whole := string(data)
		switch rapid.IntRange(0, 9).Draw(t, "wrong") {
		case 0:
			whole = whole[:rapid.IntRange(0, len(whole)).Draw(t, "cut")]
		case 1:
			whole = strings.Replace(whole, `"`, rapid.SampledFrom([]string{"", "7", `"\`, "\x00", "\xff"}).Draw(t, "quote"), 1)
		case 2:
			whole = rapid.SampledFrom([]string{"7", `"text"`, "[]", "true", "{}", `{"customer":7,"notes":{"a":"b"}}`, `{"lines":7}`, "{", "tru", ""}).Draw(t, "value")
		case 3:
			whole += whole
		}
		around := rapid.SampledFrom([]string{"", "", "", " ", "\n", "\t\r\n ", "}", "]", ",", "x", "\x00"})
		return around.Draw(t, "before") + whole + around.Draw(t, "after")
	})
}

// TestJSONIsUnmarshal checks that data is read as by json.Unmarshal, with the same
// errors, whatever was read before.
func TestJSONIsUnmarshal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := codec.JSON(names())
		all := rapid.SliceOfN(jsonData(), 1, 8).Draw(t, "data")
		for _, data := range all {
			var want Placed
			wantErr := json.Unmarshal([]byte(data), &want)
			got, err := c.Decode(nil, []store.Recorded{recorded("OrderPlaced", 1, data)})
			if wantErr != nil {
				var decode *codec.DecodeError
				if !errors.As(err, &decode) || decode.Err.Error() != wantErr.Error() {
					t.Fatalf("Decode(%q) = %v, want the error %q", data, err, wantErr)
				}
				continue
			}
			if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], Event(want)) {
				t.Fatalf("Decode(%q) = %+v, %v; want %+v", data, got, err, want)
			}
		}
		readable := slices.DeleteFunc(all, func(data string) bool { return json.Unmarshal([]byte(data), new(Placed)) != nil })
		page := make([]store.Recorded, len(readable))
		want := make([]Event, len(readable))
		for i, data := range readable {
			page[i] = recorded("OrderPlaced", 1, data)
			var placed Placed
			_ = json.Unmarshal([]byte(data), &placed)
			want[i] = placed
		}
		if got, err := c.Decode([]Event{}, page); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("Decode(%q) = %+v, %v; want %+v", readable, got, err, want)
		}
	})
}
