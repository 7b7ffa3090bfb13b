package faults_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest/faults"
)

// save saves a document, and counts its calls in times.
func save(times *int) func(tx *memory.Tx) error {
	return func(tx *memory.Tx) error {
		*times++
		return tx.SaveDocuments([]store.Document{{Kind: "note", ID: "1", Data: []byte("saved")}})
	}
}

// TestTarget checks, for each fault, what is left of a transaction, and how often its
// function is called.
func TestTarget(t *testing.T) {
	t.Parallel()
	for fault, want := range map[faults.Fault]struct {
		times  int
		saved  bool
		failed bool
	}{
		faults.None:   {1, true, false},
		faults.Down:   {0, false, true},
		faults.Undone: {1, false, true},
		faults.Lost:   {1, true, true},
		faults.Slow:   {1, true, false},
	} {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := memory.New()
				f := faults.Wrap(m, 1, faults.Rate{})
				target := faults.WrapTarget(f, m)
				f.NextUpdate(fault)
				times := 0
				err := target.Update(t.Context(), save(&times))
				docs, loading := m.LoadDocuments(t.Context(), "note", []string{"1"})
				if times != want.times || (docs[0].Data != nil) != want.saved || (err != nil) != want.failed || loading != nil {
					t.Errorf("Update = %v after %d calls, and left %q, %v; want %+v", err, times, docs[0].Data, loading, want)
				}
				if want.failed {
					wantInjected(t, err)
				}
				if f.Count(fault) != 1 {
					t.Errorf("Count(%s) = %d, want 1", fault, f.Count(fault))
				}
			})
		})
	}
}

func TestTargetKeepsTheError(t *testing.T) {
	t.Parallel()
	m := memory.New()
	f := faults.Wrap(m, 1, faults.Rate{})
	f.NextUpdate(faults.None, faults.Undone)
	mine := errors.New("mine")
	for range 2 {
		if err := faults.WrapTarget(f, m).Update(t.Context(), func(*memory.Tx) error { return mine }); !errors.Is(err, mine) {
			t.Errorf("Update = %v, want the error of the transaction", err)
		}
	}
}

func TestNextUpdateRefuses(t *testing.T) {
	t.Parallel()
	for _, fault := range []faults.Fault{faults.Late, faults.Refuse} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("NextUpdate(%s) does not panic", fault)
				}
			}()
			faults.Wrap(memory.New(), 1, faults.Rate{}).NextUpdate(fault)
		}()
	}
}

// The commit of a transaction fails, and then its result is lost.
func ExampleWrapTarget() {
	m := memory.New()
	f := faults.Wrap(m, 1, faults.Rate{})
	var updater faults.Updater[*memory.Tx] = m // any store with transactions
	target := faults.WrapTarget(f, updater)
	f.NextUpdate(faults.Undone, faults.Lost)
	for range 2 {
		err := target.Update(context.Background(), func(tx *memory.Tx) error {
			return tx.SaveDocuments([]store.Document{{Kind: "note", ID: "1", Data: []byte("saved")}})
		})
		docs, _ := m.LoadDocuments(context.Background(), "note", []string{"1"})
		fmt.Printf("%v: %q\n", err, docs[0].Data)
	}
	// Output:
	// faults: injected fault: undone: ""
	// faults: injected fault: lost: "saved"
}

// counted is a store that counts its appends.
type counted struct {
	store.Store
	appends *int
}

func (c counted) Append(ctx context.Context, s store.Stream, e store.Expected, events []store.Event) (store.Appended, error) {
	*c.appends++
	return c.Store.Append(ctx, s, e, events)
}

func TestLandLandsOnce(t *testing.T) {
	t.Parallel()
	appends := 0
	f := faults.Wrap(counted{memory.New(), &appends}, 1, faults.Rate{})
	f.Next(faults.Late)
	_, err := f.Append(t.Context(), stream, store.Any, event("late"))
	wantInjected(t, err)
	for range 2 {
		f.Land()
	}
	if appends != 1 {
		t.Errorf("a late append has happened %d times, want once", appends)
	}
}

func TestFaultString(t *testing.T) {
	t.Parallel()
	for fault, want := range map[faults.Fault]string{faults.None: "none", faults.Undone: "undone", faults.Undone + 1: "fault 7", faults.None - 1: "fault -1"} {
		if got := fault.String(); got != want {
			t.Errorf("Fault(%d).String() = %q, want %q", int(fault), got, want)
		}
	}
}
