package schedule_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest/schedule"
)

// Two clients check whether there is an account before they open it. That is not
// enough, and the test shows why:
//
//	schedule 2: opened 2 times, <nil>
//	   1  A reads from 0: head 0
//	   2  B reads from 0: head 0
//	   3  A appends 1 at any version: version 1
//	   4  B appends 1 at any version: version 2
func ExampleExplore() {
	stream := store.Stream{Type: "Account", ID: "acc-1"}
	test := func(t *testing.T) {
		t.Helper()
		_, err := schedule.Explore(t, schedule.Limits{}, func(s *schedule.Sim) {
			inner := memory.New()
			st := s.Store(inner)
			s.Alike(2, func(ctx context.Context) {
				page, err := st.Read(ctx, stream, store.ReadOptions{})
				if err == nil && page.Head == 0 {
					_, err = st.Append(ctx, stream, store.Any, []store.Event{{ID: store.NewID(), Type: "Opened"}})
				}
				if err != nil {
					s.Errorf("open: %v", err)
				}
			})
			s.Then(func() {
				if page, err := inner.Read(context.Background(), stream, store.ReadOptions{}); page.Head != 1 || err != nil {
					s.Errorf("opened %d times, %v", page.Head, err)
				}
			})
		})
		if err != nil {
			t.Error(err)
		}
	}
	fmt.Printf("%T\n", test)
	// Output: func(*testing.T)
}

// saveNote uses the target as it would use the store.
func saveNote(ctx context.Context, notes *schedule.Target[*memory.Tx]) error {
	return notes.Update(ctx, func(tx *memory.Tx) error {
		return tx.SaveDocuments([]store.Document{{Kind: "note", ID: "1", Data: []byte("saved")}})
	})
}

// A test of what uses transactions runs under every order of them, and with every fault.
func ExampleAddTarget() {
	test := func(t *testing.T) {
		t.Helper()
		_, err := schedule.Explore(t, schedule.Limits{}, func(s *schedule.Sim) {
			notes := schedule.AddTarget(s, memory.New())
			s.Alike(2, func(ctx context.Context) {
				if err := saveNote(ctx, notes); err != nil {
					s.Errorf("save a note: %v", err)
				}
			})
		})
		if err != nil {
			t.Error(err)
		}
	}
	fmt.Printf("%T\n", test)
	// Output: func(*testing.T)
}
