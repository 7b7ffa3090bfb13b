package store_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
)

// TestExpectedMatches checks every kind of Expected against its documentation.
func TestExpectedMatches(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		actual := rapid.OneOf(rapid.Uint64Range(0, 5), rapid.Uint64()).Draw(t, "actual")
		version := rapid.OneOf(rapid.Uint64Range(0, 5), rapid.Uint64Range(0, store.MaxVersion)).Draw(t, "version")
		for _, tt := range []struct {
			expected store.Expected
			want     bool
		}{
			{store.Any, true},
			{store.Exists, actual > 0},
			{store.NoStream, actual == 0},
			{store.Exactly(version), actual == version},
			{store.Expected(0), false},
			{store.Any - 1, false},
		} {
			if got := tt.expected.Matches(actual); got != tt.want {
				t.Fatalf("(%v).Matches(%d) = %v, want %v", tt.expected, actual, got, tt.want)
			}
		}
	})
}

// TestExpectedVersion checks that Version is the inverse of Exactly, and that only
// conditions that match a single version have one.
func TestExpectedVersion(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.Uint64Range(0, store.MaxVersion).Draw(t, "version")
		if got, ok := store.Exactly(version).Version(); !ok || got != version {
			t.Fatalf("Exactly(%d).Version() = %d, %v", version, got, ok)
		}
		above := rapid.Uint64Min(store.MaxVersion+1).Draw(t, "above")
		if got := store.Exactly(above); got != 0 {
			t.Fatalf("Exactly(%d) = %v, want the invalid zero", above, got)
		}
	})
	for _, e := range []store.Expected{store.Any, store.Exists, 0} {
		if v, ok := e.Version(); ok {
			t.Errorf("(%v).Version() = %d, true, want none", e, v)
		}
	}
	if store.Exactly(0) != store.NoStream {
		t.Error("Exactly(0) is not NoStream")
	}
}

func TestExpectedString(t *testing.T) {
	t.Parallel()
	for expected, want := range map[store.Expected]string{
		store.Any:        "any version",
		store.Exists:     "an existing stream",
		store.NoStream:   "no stream",
		store.Exactly(7): "version 7",
		0:                "nothing (the zero Expected is invalid)",
	} {
		if got := expected.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}
