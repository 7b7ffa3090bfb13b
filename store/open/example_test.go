package open_test

import (
	"context"
	"fmt"
	"log"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/open"
)

// A command takes the URL from its user, and works on any store.
func Example() {
	ctx := context.Background()
	st, err := open.Store(ctx, "memory:")
	if err != nil {
		log.Fatal(err)
	}
	defer st.Close()

	stream := store.Stream{Type: "Account", ID: "acc-1"}
	opened := store.Event{ID: store.NewID(), Type: "Opened", Data: []byte(`{"owner":"Ann"}`)}
	if _, err := st.Append(ctx, stream, store.NoStream, []store.Event{opened}); err != nil {
		log.Fatal(err)
	}
	for event, err := range store.Events(ctx, st, stream, 0) {
		fmt.Println(event.Version, event.Type, err)
	}
	// Output:
	// 1 Opened <nil>
}
