package props_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/props"
	"github.com/evolvego/evolve/store"
)

// A script says what is decided. Its other fields are set in few commands.
type (
	script struct {
		Events []any
		Reject string // the text of a rejection, if any
		Early  int
		Late   int
		Seal   opaque
		hidden int
	}
	rest    struct{}
	adding  struct{ N int }
	idling  struct{}
	refusal struct{ N int }
)

func (refusal) Error() string { return "refused" }

// known are the errors that scripts reject with, by their text.
var known = map[string]error{"not 3 times": errors.New("not 3 times"), "never": errors.New("never"), "refused": refusal{4}}

// scripted is a decider that does what its commands say.
func scripted() decider.Decider[any, int, any] {
	return decider.New(func(cmd any, _ int) ([]any, error) {
		c, ok := cmd.(script)
		switch err := known[c.Reject]; {
		case err != nil:
			return c.Events, err
		case ok && c.Reject == "again":
			return c.Events, fmt.Errorf("%w: again", known["not 3 times"])
		case c.Reject != "":
			return c.Events, errors.New(c.Reject)
		}
		return c.Events, nil
	}, func(s int, e any) int {
		if e, ok := e.(adding); ok {
			return s + e.N
		}
		return s
	})
}

// namesCodec is a codec of one event: it does not encode others, whose names it has too.
type namesCodec struct {
	codec.Codec[any]

	others []string
}

func (c namesCodec) Names() []string { return append([]string{"added"}, c.others...) }

func (namesCodec) Encode(e any) (store.Event, error) {
	switch e.(type) {
	case adding:
		return store.Event{Type: "added"}, nil
	case idling:
		return store.Event{Type: "idled"}, errors.New("no")
	}
	panic("no such event")
}

// TestCovered compares what is counted in histories, and what is said about it, with a
// golden file.
func TestCovered(t *testing.T) {
	t.Parallel()
	const commands, events = "every command leads to events sometimes", "every event is decided sometimes"
	does := func(events ...any) any { return script{Events: events} }
	rejects := func(text string) any { return script{Reject: text} }
	many := func(n int, cmds ...any) [][]any { return slices.Repeat([][]any{cmds}, n) }
	outcomes := []any{does(adding{1}), does(adding{1}), does(adding{1}), does(idling{}), does(idling{}), rest{}, script{hidden: 1}}
	for text := range strings.FieldsSeq("f e d c b") {
		outcomes = append(outcomes, rejects(text))
	}
	plain := props.For(scripted()).Any(script{}, rest{}).Checks(20)
	huge := plain.Without(commands).Reaches("it is huge", func(s props.Step[any, int, any]) bool { return s.After > 500 })
	three := namesCodec{others: []string{"idled", "refused"}}
	full := plain.Codec(three).
		Reaches("it is large", func(s props.Step[any, int, any]) bool { return s.After > 5 }).
		Rejections(known["never"], known["not 3 times"], refusal{}, &refusal{}, &refusal{3})
	var all strings.Builder
	for _, tt := range []struct {
		name      string
		suite     props.Suite[any, int, any]
		histories [][]any
	}{
		{"nothing", full, nil},
		{"values", plain.Values(opaque{1}), nil},
		{"each command", props.For(scripted()).Any(script{}), many(1000, does(adding{1}))},
		{"many checks", plain.Checks(3000), nil},
		{"events", full, [][]any{{does(adding{1}, idling{}, idling{}), does(idling{}, adding{0}, adding{2}, idling{}), does(refusal{}), rest{}}}},
		{"errors", full, [][]any{{rejects("not 3 times"), rejects("refused"), rejects("again"), script{Events: []any{idling{}}, Reject: "odd"}}}},
		{"outcomes", plain, [][]any{outcomes}},
		{"rare", full, slices.Concat(many(12, does(idling{})), many(12, does(adding{6})))},
		{"set at last", plain, slices.Concat(many(199, rest{}), many(1, script{Early: 1}), many(1, script{Late: 1}))},
		{"not found", full, many(1000)},
		{"not found, too few", huge, many(999)},
		{"not found, some", huge, many(2990)},
		{"not found, more", huge, many(3000)},
		{"not found, many", huge, many(29900)},
		{"not found, all", huge, many(30000)},
		{"without all", huge.Codec(three).Without("it is huge", events), many(1000)},
		{"without the events", huge.Codec(three).Without(events), many(1000)},
		{"all but commands", huge.Without("it is huge"), many(1000)},
		{"all but events", huge.Codec(three).Without("it is huge"), many(1000)},
		{"found", huge.Codec(namesCodec{}), many(1000, does(adding{501}))},
	} {
		fmt.Fprintf(&all, "%s: %s\n", tt.name, props.Covered(tt.suite, tt.histories...))
	}
	golden(t, "covered", all.String())
}

// TestDamaged checks the forms of damaged data: cut off and with another byte, at every
// place or at a few of them, and data that was never valid.
func TestDamaged(t *testing.T) {
	t.Parallel()
	never := []string{"", "null", "{}", "[]", "0", `"`, "\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "{\"a\":"}
	first := map[string]bool{}
	for size := range 600 {
		data := bytes.Repeat([]byte("a"), size)
		for _, thorough := range []bool{true, false} {
			strange, places := never, size/(1+size/256)
			all := props.Damaged(data, thorough)
			if !thorough {
				strange, places = never[:1], min(size, 2)
			}
			made, rest := all[:len(all)-len(strange)], all[len(all)-len(strange):]
			if thorough && fmt.Sprintf("%q", rest) != fmt.Sprintf("%q", never) || !thorough && !slices.Contains(never, string(rest[0])) {
				t.Fatalf("%d bytes, thorough %t: never valid are %q", size, thorough, rest)
			}
			first[string(rest[0])] = true
			cut, changed := map[int]bool{}, map[int]bool{}
			for _, d := range made {
				at := bytes.IndexFunc(d, func(r rune) bool { return r != 'a' })
				switch {
				case at < 0 && 0 < len(d) && len(d) < size:
					cut[len(d)] = true
				case at >= 0 && len(d) == size && bytes.Count(d, []byte("a")) == size-1:
					changed[at] = true
				default:
					t.Fatalf("%d bytes, thorough %t: %q", size, thorough, d)
				}
			}
			if len(changed) < places || len(cut) < places-1 || len(cut)+len(changed) != len(made) || !thorough && len(changed) > 4 || len(changed) > 256 {
				t.Fatalf("%d bytes, thorough %t: changed at %v, cut at %v", size, thorough, changed, cut)
			}
		}
	}
	contents := map[string]bool{}
	for b := range byte(64) {
		all := props.Damaged([]byte{b, 1}, false)
		contents[string(all[len(all)-1])] = true
	}
	if len(contents) < 3 {
		t.Errorf("what was never valid does not differ from data to data: %v", contents)
	}
	if len(first) != len(never) {
		t.Errorf("never valid are only %q", slices.Collect(maps.Keys(first)))
	}
}

// TestSplits checks that events are split at few places, which include both ends.
func TestSplits(t *testing.T) {
	t.Parallel()
	for n := range 200 {
		at := props.Splits(n)
		if !slices.IsSorted(at) || at[0] != 0 || at[len(at)-1] != n || len(at) > 8 || len(at) < min(n+1, 5) || len(slices.Compact(slices.Clone(at))) != len(at) {
			t.Errorf("%d events are split at %v", n, at)
		}
	}
}
