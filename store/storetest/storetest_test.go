package storetest_test

import (
	"context"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("rapid.nofailfile", "true"); err != nil { // most failures here are intended
		panic(err)
	}
	os.Exit(m.Run())
}

func TestPlain(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.Store { return newPlain("") })
}

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.Store { return memory.New() })
}

// bare is a store without capabilities.
type bare struct{ store.Store }

// TestLeftOut checks what Run says about capabilities that a store lacks.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	if left := storetest.LeftOut(memory.New()); len(left) != 0 {
		t.Errorf("of a store with all capabilities it leaves out %q", left)
	}
	left := storetest.LeftOut(bare{memory.New()})
	for _, capability := range []string{
		"Log", "Log", "Tenants", "Snapshots", "Checkpoints", "Claims", "Leases", "Log", "store with an Update", "Documents", "Finder", "ValueReader", "io.Closer",
	} {
		if len(left) == 0 {
			t.Fatalf("nothing is left out for want of %s", capability)
		}
		if want := "storetest_test.bare is not a "; !strings.HasPrefix(left[0], want) || !strings.Contains(left[0], capability) || !strings.Contains(left[0], "; not checked: ") {
			t.Errorf("it says %q, want %q, %q and the clauses", left[0], want, capability)
		}
		left = left[1:]
	}
	if len(left) > 0 {
		t.Errorf("it also leaves out %q", left)
	}
}

// Stores whose Update is something else.
type (
	update0 struct{ bare }
	update1 struct{ bare }
	update2 struct{ bare }
	update3 struct{ bare }
	update4 struct{ bare }
	update5 struct{ bare }
	update6 struct{ bare }
)

func (update0) Update() error                                                        { return nil }
func (update1) Update(context.Context, int) error                                    { return nil }
func (update2) Update(context.Context, func(store.Tx) error)                         {}
func (update3) Update(context.Context, func() error) error                           { return nil }
func (update4) Update(context.Context, func(store.Tx)) error                         { return nil }
func (update5) Update(string, func(store.Tx) error) error                            { return nil }
func (update6) Update(context.Context, func(store.Tx) error, ...int) (err, no error) { return nil, nil }

// TestOtherUpdates checks that an Update which is none of transactions is left alone.
func TestOtherUpdates(t *testing.T) {
	t.Parallel()
	b := bare{memory.New()}
	for _, st := range []store.Store{b, update0{b}, update1{b}, update2{b}, update3{b}, update4{b}, update5{b}, update6{b}} {
		if diff := storetest.DifferUpdate(st); diff != "" {
			t.Errorf("%T: %s", st, diff)
		}
		if left := storetest.LeftOut(st); !slices.ContainsFunc(left, func(said string) bool { return strings.Contains(said, "is not a store with an Update") }) {
			t.Errorf("%T: the clauses about Update are not left out, only %q", st, left)
		}
	}
}

// blind is a store whose transactions cannot read streams.
type blind struct{ *plain }

func (b blind) Update(ctx context.Context, do func(tx store.Tx) error) error {
	return b.plain.Update(ctx, func(tx *plainTx) error { return do(struct{ store.Tx }{tx}) })
}

// TestSkips checks that a clause is skipped if the store lacks a second capability that it
// needs.
func TestSkips(t *testing.T) {
	t.Parallel()
	lacking := func() store.Store { return bare{newPlain("")} }
	for clause, open := range map[string]func() store.Store{
		"Close/subscriptions end with ErrClosed":            lacking,
		"Tenants/snapshots are separate":                    lacking,
		"Finder/tenants are separate":                       lacking,
		"Update/it reads streams including its own appends": func() store.Store { return blind{newPlain("")} },
	} {
		if got := record(clause, open, time.Minute); !got.Skipped() || got.Failed() {
			t.Errorf("%s is not skipped; it says %q", clause, got.said())
		}
	}
}

// TestBare checks clauses that also use a capability if the store has it.
func TestBare(t *testing.T) {
	t.Parallel()
	const where, model = "Append/returns the version and position of the last event", "Model/random histories get the same results as from a simple model"
	for _, tt := range []struct{ clause, bug, says string }{
		{where, "", "the store has no log"},
		{model, "", ""},
		{model, "a batch in the wrong order", "ID is"},
		{"Contention/a reader never sees part of a large batch", "", ""},
	} {
		got := record(tt.clause, func() store.Store { return bare{newPlain(tt.bug)} }, time.Minute)
		if got.Failed() != (tt.says != "") || !strings.Contains(got.said(), tt.says) {
			t.Errorf("%s, with the bug %q: it says %q, want %q", tt.clause, tt.bug, got.said(), tt.says)
		}
	}
	list := record("Checkpoints/they are listed in the byte order of their names", func() store.Store {
		p := newPlain("")
		return struct {
			store.Store
			store.Checkpoints
		}{p, p}
	}, time.Minute)
	if list.Failed() {
		t.Errorf("of a store without tenants it says %q", list.said())
	}
}
