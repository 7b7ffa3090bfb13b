package jetstream

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
)

// anyName draws names with characters that subjects treat in a special way.
func anyName() *rapid.Generator[string] {
	part := rapid.OneOf(rapid.SampledFrom([]string{"a", "A", "-", "_", ".", "*", ">", " ", "%", "%41", "~", "é", "日", "\t", "\r\n"}), rapid.StringN(1, 3, -1))
	return rapid.Custom(func(t *rapid.T) string {
		name := strings.Join(rapid.SliceOfN(part, 1, 8).Draw(t, "parts"), "")
		if rapid.Bool().Draw(t, "long") {
			name = strings.Repeat(name, 1+rapid.IntRange(0, 60).Draw(t, "times"))
		}
		return strings.ToValidUTF8(name[:min(len(name), store.MaxName)], "?")
	})
}

// TestTokens checks that a token can be part of a subject, returns its name unless it
// is hashed, and belongs to no other name.
func TestTokens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyName().Draw(t, "a"), anyName().Draw(t, "b")
		got := token(a)
		if got == "" || len(got) > maxToken || strings.ContainsAny(got, ".*> \t\r\n\x00") {
			t.Errorf("token(%q) = %q, which cannot be in a subject", a, got)
		}
		if (got == token(b)) != (a == b) {
			t.Errorf("token(%q) = token(%q) = %q", a, b, got)
		}
		if name, ok := nameOf(got); ok && name != a {
			t.Errorf("nameOf(%q) = %q, want %q", got, name, a)
		} else if !ok && len(a) <= maxToken/3 {
			t.Errorf("%q, of %d bytes, is hashed", a, len(a))
		}
	})
}

// TestStreamOf checks that the subject of an event returns its stream, with the headers
// for hashed parts.
func TestStreamOf(t *testing.T) {
	t.Parallel()
	names := subjects{"log"}
	rapid.Check(t, func(t *rapid.T) {
		s := store.Stream{Type: anyName().Draw(t, "type"), ID: anyName().Draw(t, "id")}
		header, _, err := encode(s, &store.Event{ID: "1", Type: "x"})
		if err != nil {
			t.Fatal(err)
		}
		m := message{subject: names.event("tenant", s), position: 2, header: header}
		m.header[headerVersion] = []string{"1"}
		if got, err := m.recorded(); err != nil || got.Stream != s {
			t.Errorf("recorded().Stream = %+v, %v; want %+v", got, err, s)
		}
	})
}
