package store_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
)

// TestEventSame checks which changes make an event a different one.
func TestEventSame(t *testing.T) {
	t.Parallel()
	event := opened(nil)[0]
	for name, tt := range map[string]struct {
		change func(*store.Event)
		want   bool
	}{
		"nothing":      {func(*store.Event) {}, true},
		"meta":         {func(e *store.Event) { e.Meta.ActorID = "ann" }, true},
		"time":         {func(e *store.Event) { e.Time = time.Unix(1, 0) }, true},
		"id":           {func(e *store.Event) { e.ID = "e-2" }, false},
		"type":         {func(e *store.Event) { e.Type = "AccountClosed" }, false},
		"schema":       {func(e *store.Event) { e.Schema++ }, false},
		"content type": {func(e *store.Event) { e.ContentType = "" }, false},
		"data":         {func(e *store.Event) { e.Data = []byte("{ }") }, false},
	} {
		other := opened(tt.change)[0]
		if got := event.Same(&other); got != tt.want {
			t.Errorf("Same after a change of %s = %v, want %v", name, got, tt.want)
		}
	}
	plain, octets := store.Event{ID: "e"}, store.Event{ID: "e", ContentType: store.OctetStream, Data: []byte{}}
	if !plain.Same(&octets) {
		t.Error("an empty content type and octet-stream are not the same")
	}
}

// TestErrors checks that errors.Is and errors.As see through a wrapping layer, and
// which errors are definite.
func TestErrors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err      error
		is       error
		definite bool
		text     string
	}{
		"conflict": {
			&store.ConflictError{Stream: account, Expected: store.Exactly(3), Actual: 5}, store.ErrConflict, true,
			"store: conflict: Account/acc-1 is at version 5, not 3",
		},
		"conflict on a stream that exists": {
			&store.ConflictError{Stream: account, Expected: store.NoStream, Actual: 5}, store.ErrConflict, true,
			"store: conflict: Account/acc-1 exists, at version 5",
		},
		"conflict on a stream that does not exist": {
			&store.ConflictError{Stream: account, Expected: store.Exists}, store.ErrConflict, true,
			"store: conflict: Account/acc-1 does not exist",
		},
		"duplicate": {
			&store.DuplicateError{Stream: account, EventID: "e-1", In: store.Stream{Type: "Account", ID: "acc-2"}, Version: 4}, store.ErrDuplicate, true,
			`store: duplicate event id: append to Account/acc-1: id "e-1" is version 4 of Account/acc-2`,
		},
		"invalid": {
			&store.InvalidError{Field: "stream.id", Reason: "is empty"}, store.ErrInvalid, true,
			"store: invalid argument: stream.id is empty",
		},
		"claimed": {
			&store.ClaimedError{Stream: account, Key: "email:a", Holder: store.Stream{Type: "Account", ID: "acc-2"}}, store.ErrClaimed, true,
			`store: key is held by another stream: append to Account/acc-1: key "email:a" is held by Account/acc-2`,
		},
		"lease": {
			&store.LeaseHeldError{Name: "reader", Owner: "a", Until: time.Unix(1, 0).UTC()}, store.ErrLeaseHeld, false,
			`store: lease is held: "reader" is held by "a" until 1970-01-01T00:00:01Z`,
		},
		"diverged": {
			&store.DivergedError{Checkpoint: store.Checkpoint{Position: 7, EventID: "e-7"}, Found: "e-8", Head: 9}, store.ErrLogDiverged, false,
			`store: log diverged: checkpoint is event "e-7" at position 7, the log has event "e-8" there, its head is 9`,
		},
		"short log": {
			&store.DivergedError{Checkpoint: store.Checkpoint{Position: 7, EventID: "e-7"}, Head: 6}, store.ErrLogDiverged, false,
			`store: log diverged: checkpoint is event "e-7" at position 7, the log has no event there, its head is 6`,
		},
		"closed":   {store.ErrClosed, store.ErrClosed, true, "store: closed"},
		"refused":  {store.ErrRefused, store.ErrRefused, true, "store: refused"},
		"canceled": {context.Canceled, context.Canceled, false, "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := fmt.Errorf("outer: %w", tt.err)
			if !errors.Is(err, tt.is) {
				t.Errorf("errors.Is(%v, %v) = false", err, tt.is)
			}
			for _, other := range []error{
				store.ErrConflict, store.ErrDuplicate, store.ErrClaimed, store.ErrInvalid, store.ErrRefused, store.ErrClosed,
				store.ErrLeaseHeld, store.ErrLogDiverged,
			} {
				if !errors.Is(other, tt.is) && errors.Is(err, other) {
					t.Errorf("%v is also %v", err, other)
				}
			}
			if got := store.Definite(err); got != tt.definite {
				t.Errorf("Definite(%v) = %v, want %v", err, got, tt.definite)
			}
			if got := tt.err.Error(); got != tt.text {
				t.Errorf("Error() = %q, want %q", got, tt.text)
			}
		})
	}
	if store.Definite(nil) {
		t.Error("Definite(nil) = true")
	}
}

// TestNewID checks that ids have the form of a version 7 UUID, contain the current
// time, and do not repeat.
func TestNewID(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		before := time.Now().UnixMilli()
		id := store.NewID()
		ms, err := strconv.ParseInt(id[:8]+id[9:13], 16, 64)
		if !form.MatchString(id) || seen[id] || err != nil || ms < before || ms > time.Now().UnixMilli() {
			t.Fatalf("NewID() = %q with time %d ms, seen before: %v, %v", id, before, seen[id], err)
		}
		seen[id] = true
	})
}

func TestFormatID(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hi, lo := rapid.Uint64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")
		digits := fmt.Sprintf("%016x%016x", hi, lo)
		want := digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:]
		if text := store.FormatID(hi, lo); string(text[:]) != want {
			t.Fatalf("FormatID(%#x, %#x) = %s, want %s", hi, lo, text, want)
		}
	})
}

// TestNewIDs checks that the ids of a batch look like those of NewID, count up, and do not
// repeat.
func TestNewIDs(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 50).Draw(t, "n")
		ids := store.NewIDs(n)
		if len(ids) != n {
			t.Fatalf("NewIDs(%d) returned %d ids", n, len(ids))
		}
		for i, id := range ids {
			if !form.MatchString(id) || seen[id] || id[:13] != ids[0][:13] {
				t.Fatalf("NewIDs(%d)[%d] = %q, seen before: %v; the first is %q", n, i, id, seen[id], ids[0])
			}
			if i > 0 && id <= ids[i-1] {
				t.Fatalf("NewIDs(%d)[%d] = %q does not follow %q", n, i, id, ids[i-1])
			}
			seen[id] = true
		}
	})
}

// TestFilter checks Matches with each field of the filter set or not.
func TestFilter(t *testing.T) {
	t.Parallel()
	names := rapid.SampledFrom([]string{"a", "ab", "abc", "a%", "a_"})
	rapid.Check(t, func(t *rapid.T) {
		f := store.Filter{
			StreamTypes: rapid.SliceOfN(names, 0, 2).Draw(t, "stream types"),
			IDPrefix:    rapid.OneOf(rapid.Just(""), names).Draw(t, "prefix"),
			EventTypes:  rapid.SliceOfN(names, 0, 2).Draw(t, "event types"),
		}
		r := store.Recorded{Stream: store.Stream{Type: names.Draw(t, "stream type"), ID: names.Draw(t, "id")}}
		r.Type = names.Draw(t, "type")
		want := true
		for _, set := range []struct {
			any []string
			is  string
		}{{f.StreamTypes, r.Stream.Type}, {f.EventTypes, r.Type}} {
			found := len(set.any) == 0
			for _, name := range set.any {
				found = found || name == set.is
			}
			want = want && found
		}
		want = want && len(r.Stream.ID) >= len(f.IDPrefix) && r.Stream.ID[:len(f.IDPrefix)] == f.IDPrefix
		if got := f.Matches(&r); got != want {
			t.Fatalf("%+v.Matches(%+v) = %v", f, r, got)
		}
	})
}

// TestStreamString checks that a printed stream never breaks a log line, and that plain
// names are printed unchanged.
func TestStreamString(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"acc-1":                        `Account/acc-1`,
		"größe@example.org":            `Account/größe@example.org`,
		"a b":                          `"Account/a b"`,
		"a\x00b":                       `"Account/a\x00b"`,
		"a\nlevel=ERROR":               `"Account/a\nlevel=ERROR"`,
		"caf\xe9":                      `"Account/caf\xe9"`,
		`a"b`:                          `"Account/a\"b"`,
		"a\u202eb":                     `"Account/a\u202eb"`,
		strings.Repeat("x", 120):       `Account/` + strings.Repeat("x", 120),
		strings.Repeat("x", 513):       `"Account/` + strings.Repeat("x", 120) + `"… (521 bytes)`,
		"y" + strings.Repeat("ß", 300): `"Account/y` + strings.Repeat("ß", 59) + `"… (609 bytes)`,
	} {
		if got := (store.Stream{Type: "Account", ID: id}).String(); got != want {
			t.Errorf("String of %q = %s, want %s", id, got, want)
		}
	}
}
