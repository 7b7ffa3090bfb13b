package jetstreamtest_test

import (
	"context"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jetstream"
	"github.com/evolvego/evolve/store/jetstream/jetstreamtest"
)

// A test of your own opens a store on a server in its process.
func ExampleStart() {
	_ = func(t *testing.T) { //nolint:thelper // a test
		st, err := jetstream.Open(t.Context(), jetstreamtest.Start(t).URL(), jetstream.WithReplicas(1))
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		account := store.Stream{Type: "Account", ID: "acc-1"}
		_, err = st.Append(context.Background(), account, store.NoStream, []store.Event{{ID: store.NewID(), Type: "AccountOpened"}})
		if err != nil {
			t.Error(err)
		}
	}
	// Output:
}
