package show_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/internal/show"
)

type line struct {
	Name  string
	Cents int64
}

type cart struct {
	Open  bool
	Lines []line
	Paid  map[string]int
	At    time.Time
	Next  *line
	note  string
}

func changes(before, after show.Node) string {
	var all []string
	for _, c := range show.TreeChanges(before, after) {
		all = append(all, fmt.Sprintf("%s: %s → %s", c.Path, c.From, c.To))
	}
	return strings.Join(all, "\n")
}

func TestTreeOfAValue(t *testing.T) {
	t.Parallel()
	before := cart{Open: true, Lines: []line{{"tea", 3}}, Paid: map[string]int{"a": 1, "b": 2}, note: "x"}
	after := cart{Lines: []line{{"tea", 4}, {"milk", 1}}, Paid: map[string]int{"b": 2, "c": 3}, At: time.Unix(0, 0), Next: &line{"bun", 2}, note: "y"}
	const want = `Open: true → false
Lines[0].Cents: 3 → 4
Lines[1]:  → {Name: "milk", Cents: 1}
Paid.c:  → 3
Paid.a: 1 → ` + `
At: 0001-01-01T00:00:00Z → 1970-01-01T00:00:00Z
Next: nil → {Name: "bun", Cents: 2}
note: "x" → "y"`
	if got := changes(show.Tree(before), show.Tree(after)); got != want {
		t.Errorf("changes:\n%s\nwant:\n%s", got, want)
	}
	if got := show.Tree(after).Kids[0]; got.Name != "Open" || got.Text != "false" || got.Kind != "bool" {
		t.Errorf("a field that is empty is %+v, want it shown", got)
	}
}

func TestTreeOfJSON(t *testing.T) {
	t.Parallel()
	node := func(text string) show.Node {
		n, err := show.JSON([]byte(text))
		if err != nil {
			t.Fatalf("JSON(%s): %v", text, err)
		}
		return n
	}
	got := changes(node(`{"z":1,"a":{"b":[1,null]},"big":12345678901234567890}`), node(`{"z":1.0,"a":{"b":[1,"x",true]},"new":{}}`))
	const want = `z: 1 → 1.0
a.b[1]: null → "x"
a.b[2]:  → true
new:  → {}
big: 12345678901234567890 → `
	if got != want {
		t.Errorf("changes:\n%s\nwant:\n%s", got, want)
	}
	for _, bad := range []string{"", "{", `{"a":}`, "1 2", "[1,]", strings.Repeat("[", 100) + strings.Repeat("]", 100)} {
		if n, err := show.JSON([]byte(bad)); err == nil {
			t.Errorf("JSON(%.20q) = %+v, want an error", bad, n)
		}
	}
}

// A tree does not differ from itself. It differs from another tree if and only if the
// values differ.
func TestTreeChangesAreAll(t *testing.T) {
	t.Parallel()
	values := rapid.Custom(func(t *rapid.T) cart {
		return cart{
			Open: rapid.Bool().Draw(t, "open"),
			Lines: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) line {
				return line{rapid.SampledFrom([]string{"", "a"}).Draw(t, "name"), rapid.Int64Range(0, 1).Draw(t, "cents")}
			}), 0, 2).Draw(t, "lines"),
			Paid: rapid.MapOfN(rapid.SampledFrom([]string{"a", "b"}), rapid.IntRange(0, 1), 0, 2).Draw(t, "paid"),
			note: rapid.SampledFrom([]string{"", "n"}).Draw(t, "note"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := values.Draw(t, "a"), values.Draw(t, "b")
		if got := changes(show.Tree(a), show.Tree(b)); (got == "") != show.Same(a, b) {
			t.Errorf("the changes from %s to %s are %q", show.Text(a), show.Text(b), got)
		}
		text, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := show.JSON(text); err != nil || changes(n, n) != "" {
			t.Errorf("JSON(%s) = %+v, %v", text, n, err)
		}
	})
}

func TestTreeIsBounded(t *testing.T) {
	t.Parallel()
	count := func(n show.Node) (all int) {
		var walk func(show.Node)
		walk = func(n show.Node) {
			all++
			for _, kid := range n.Kids {
				walk(kid)
			}
		}
		walk(n)
		return all
	}
	many := make([]int, 100_000)
	if n := count(show.Tree(many)); n < 1000 || n > 5000 {
		t.Errorf("the tree of 100,000 numbers has %d nodes", n)
	}
	text, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	if node, err := show.JSON(text); err != nil || count(node) > 5000 || node.Kids[len(node.Kids)-1].Kind != "more" {
		t.Errorf("the tree of JSON of 100,000 numbers has %d nodes, %v", count(node), err)
	}
	type ring struct{ Next *ring }
	r := &ring{}
	r.Next = r
	if n := count(show.Tree(r)); n > 100 {
		t.Errorf("the tree of a value that contains itself has %d nodes", n)
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":null}],"a":"\u0000"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := show.JSON(data)
		if err == nil && !json.Valid(data) {
			t.Errorf("JSON(%q) = %+v, and it is no JSON", data, n)
		}
		_ = n.Line()
	})
}
