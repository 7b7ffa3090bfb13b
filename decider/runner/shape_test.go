package runner_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

type (
	shape1   struct{ Cents int }
	Shape1   = shape1
	shape2   struct{ Cents int }
	renamed  struct{ Amount int }
	retyped  struct{ Cents int64 }
	retagged struct {
		Cents int `json:"c"`
	}
	longer   struct{ Cents, More int }
	swapped  struct{ More, Cents int }
	deep1    struct{ In []map[string]*shape1 }
	deep2    struct{ In []map[string]*retyped }
	array2   struct{ In [2]int }
	array3   struct{ In [3]int }
	embeds   struct{ Shape1 }
	has      struct{ Shape1 shape1 }
	tree     struct{ Left, Right *tree }
	tree2    struct{ Left, Right, Middle *tree2 }
	named    struct{ Cents time.Duration }
	keyed1   struct{ In map[string]int }
	keyed2   struct{ In map[int]int }
	anything struct{ Cents any }
	errors1  struct{ Cents error }
)

// schemaOf returns the schema under which snapshots of S are stored.
func schemaOf[S any](t *testing.T, schema string) string {
	t.Helper()
	var seen schemas
	s := runner.Snapshots[S, event]{
		Store: &seen, Schema: schema,
		Encode: func(S) ([]byte, error) { return nil, nil },
		Decode: func([]byte) (s S, err error) { return s, nil },
	}
	if _, err := stateless[S]().WithSnapshots(s).Load(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	return seen.asked
}

// schemas records the schema that it was asked for.
type schemas struct {
	memory.Store

	asked string
}

func (s *schemas) LoadSnapshot(_ context.Context, _ store.Stream, schema string) (store.Snapshot, bool, error) {
	s.asked = schema
	return store.Snapshot{}, false, nil
}

// inside and outside have the same fields in the same order.
type (
	inside struct {
		A struct{ B, C int }
	}
	outside struct {
		A struct{ B int }
		C int
	}
)

// TestSnapshotsKnowTheShape checks that another shape of the state is another schema,
// whatever the schema is called, and that another type name is not.
func TestSnapshotsKnowTheShape(t *testing.T) {
	t.Parallel()
	if one, two := schemaOf[shape1](t, "1"), schemaOf[shape2](t, "1"); one != two {
		t.Errorf("types that differ only in name have the schemas %q and %q", one, two)
	}
	if one, two := schemaOf[shape1](t, "1"), schemaOf[named](t, "1"); one == two {
		t.Errorf("int and time.Duration have one schema")
	}
	seen := map[string]string{}
	for name, got := range map[string]string{
		"unchanged": schemaOf[shape1](t, "1"), "another schema": schemaOf[shape1](t, "2"), "a field renamed": schemaOf[renamed](t, "1"),
		"a field of another type": schemaOf[retyped](t, "1"), "another tag": schemaOf[retagged](t, "1"), "an added field": schemaOf[longer](t, "1"),
		"fields swapped": schemaOf[swapped](t, "1"), "deep": schemaOf[deep1](t, "1"), "another type deep inside": schemaOf[deep2](t, "1"),
		"an array": schemaOf[array2](t, "1"), "a longer array": schemaOf[array3](t, "1"), "embedded": schemaOf[embeds](t, "1"),
		"not embedded": schemaOf[has](t, "1"), "a tree": schemaOf[tree](t, "1"), "another tree": schemaOf[tree2](t, "1"),
		"string keys": schemaOf[keyed1](t, "1"), "int keys": schemaOf[keyed2](t, "1"), "any": schemaOf[anything](t, "1"),
		"a field inside": schemaOf[inside](t, "1"), "the same field outside": schemaOf[outside](t, "1"),
		"another interface": schemaOf[errors1](t, "1"), "an int": schemaOf[int](t, "1"),
	} {
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q have the schema %q", name, other, got)
		}
		seen[got] = name
	}
}

// foreign is a store that returns a snapshot of another schema than requested.
type foreign struct{ *memory.Store }

func (s foreign) LoadSnapshot(context.Context, store.Stream, string) (store.Snapshot, bool, error) {
	return store.Snapshot{Stream: stream("a"), Schema: "another", Version: 1, Data: []byte(`{"Owner":"eve"}`)}, true, nil
}

// TestSnapshotOfAnotherSchema checks that a snapshot of another schema is not used, even
// if the store returns it.
func TestSnapshotOfAnotherSchema(t *testing.T) {
	t.Parallel()
	st := memory.New()
	must(t, newAccounts(st), "a", open{"ann"})
	r := newAccounts(st).WithSnapshots(snapshots{Store: foreign{st}, Schema: "1"})
	if got := load(t, r, "a"); got.State.Owner != "ann" {
		t.Errorf("Load = %+v, want the state of the events", got)
	}
}

func TestSchemaIsAName(t *testing.T) {
	t.Parallel()
	for name, schema := range map[string]string{"too long": strings.Repeat("s", 257), "NUL": "a\x00", "not UTF-8": "caf\xe9"} {
		if text := panics(t, func() { withSnapshots(snapshots{Store: memory.New(), Schema: schema}) }); !strings.HasPrefix(text, "runner: WithSnapshots: the schema ") {
			t.Errorf("%s: panic %q", name, text)
		}
	}
	withSnapshots(snapshots{Store: memory.New(), Schema: strings.Repeat("s", 256)})
}

// The wait doubles up to the cap, however many attempts there are.
func TestRetryManyAttempts(t *testing.T) {
	t.Parallel()
	st := newSpy()
	rival(t, st, 80)
	var ceilings []time.Duration
	r := newAccounts(st).WithRetry(runner.Retry{Attempts: 100, Jitter: func(ceiling time.Duration) time.Duration {
		ceilings = append(ceilings, ceiling)
		return 0
	}})
	must(t, r, "a", deposit{1})
	if len(ceilings) != 79 || slices.Min(ceilings) != 2*time.Millisecond || slices.Max(ceilings) != 250*time.Millisecond || !slices.IsSorted(ceilings) {
		t.Errorf("waits of at most %v, want 79 from 2 ms up to 250 ms", ceilings)
	}
}
