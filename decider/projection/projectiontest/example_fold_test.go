package projectiontest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/projection/projectiontest"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// testLastDeposit checks a projection on a history of your own. The suite runs it with
// random batches, crashes and owners, and compares what it reads with Want.
func testLastDeposit(t *testing.T) {
	t.Helper()
	ann, bob := store.Stream{Type: "Account", ID: "ann"}, store.Stream{Type: "Account", ID: "bob"}
	history := []projectiontest.Append{
		projectiontest.Given(t, accounts(), ann, deposited{500}),
		projectiontest.Given(t, accounts(), bob, deposited{300}, deposited{200}),
	}
	projectiontest.Fold(t, open, projectiontest.Subject[*memory.Tx, move]{
		New: func(w projectiontest.World[*memory.Tx]) *projection.Projection[*memory.Tx, move] {
			return projection.New(w.Store, w.Target, "last", moves(), func(_ context.Context, tx *memory.Tx, e projection.Event[move]) error {
				return tx.SaveDocuments([]store.Document{{Kind: "last", ID: e.Event.Account, Data: fmt.Append(nil, e.Event.Cents)}})
			})
		},
		Read: func(ctx context.Context, w projectiontest.World[*memory.Tx]) (any, error) {
			st, ok := w.Store.(*memory.Store)
			if !ok {
				return nil, fmt.Errorf("the store is a %T", w.Store)
			}
			last, err := st.LoadDocuments(ctx, "last", []string{"ann", "bob"})
			return fmt.Sprintf("%s %s", last[0].Data, last[1].Data), err
		},
		Want: func([]projectiontest.Append) any { return "500 200" },
	}, history)
}

// A projection of your own is a Subject. Call Fold in a test.
func ExampleFold() {
	fmt.Printf("%T\n", testLastDeposit)
	// Output: func(*testing.T)
}
