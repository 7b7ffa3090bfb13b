package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
)

// TestStreamsOptions checks which options are valid.
func TestStreamsOptions(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", store.MaxName)
	for field, all := range map[string][]store.StreamsOptions{
		"": {
			{},
			{Type: long, IDPrefix: long, After: store.Stream{Type: long, ID: long}, Limit: 1},
		},
		"type":       {{Type: long + "a"}, {Type: "\xff"}, {Type: "\x00"}},
		"id prefix":  {{IDPrefix: long + "a"}, {IDPrefix: "\xff"}, {IDPrefix: "\x00"}},
		"after.type": {{After: store.Stream{ID: "1"}}, {After: store.Stream{Type: "\xff", ID: "1"}}},
		"after.id":   {{After: store.Stream{Type: "A"}}, {After: store.Stream{Type: "A", ID: long + "a"}}},
		"limit":      {{Limit: -1}},
	} {
		for _, o := range all {
			err := o.Validate()
			invalid, ok := errors.AsType[*store.InvalidError](err)
			if field == "" && err != nil || field != "" && (!ok || invalid.Field != field) {
				t.Errorf("Validate of %+v = %v, want an error about %q", o, err, field)
			}
		}
	}
}

// TestStreamsOptionsMatches checks, with sorted streams, that successive pages match
// each selected stream exactly once, and no other stream.
func TestStreamsOptionsMatches(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"", "a", "ab", "b", "ba"})
		var all []store.Stream
		for _, typ := range []string{"a", "ab", "b"} {
			for _, id := range []string{"a", "ab", "b", "ba"} {
				all = append(all, store.Stream{Type: typ, ID: id})
			}
		}
		for i := range all {
			for j := range all {
				if c := all[i].Compare(all[j]); c != min(1, max(-1, i-j)) {
					t.Fatalf("%v.Compare(%v) = %d", all[i], all[j], c)
				}
			}
		}
		o := store.StreamsOptions{Type: rapid.SampledFrom([]string{"", "a", "ab", "c"}).Draw(t, "type"), IDPrefix: word.Draw(t, "prefix")}
		n := rapid.IntRange(-1, len(all)-1).Draw(t, "after")
		if n >= 0 {
			o.After = all[n]
		}
		want := slices.DeleteFunc(slices.Clone(all[n+1:]), func(s store.Stream) bool {
			return o.Type != "" && s.Type != o.Type || !strings.HasPrefix(s.ID, o.IDPrefix)
		})
		got := slices.DeleteFunc(slices.Clone(all), func(s store.Stream) bool { return !o.Matches(s) })
		if !slices.Equal(got, want) {
			t.Fatalf("%+v matches %v, want %v", o, got, want)
		}
	})
}
