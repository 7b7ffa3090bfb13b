package memory_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

func Example() {
	ctx := context.Background()
	st := memory.New()
	defer st.Close()

	account := store.Stream{Type: "Account", ID: "acc-1"}
	events := []store.Event{
		{ID: store.NewID(), Type: "AccountOpened", Data: []byte(`{"owner":"Ada"}`)},
		{ID: store.NewID(), Type: "Deposited", Data: []byte(`{"cents":500}`)},
	}
	appended, err := st.Append(ctx, account, store.NoStream, events)
	fmt.Println("version", appended.Version, err)

	appended, err = st.Append(ctx, account, store.NoStream, events) // the answer was lost, so retry
	fmt.Println("version", appended.Version, err, "replayed:", appended.Replayed)

	late := []store.Event{{ID: store.NewID(), Type: "Deposited"}}
	_, err = st.Append(ctx, account, store.Exactly(1), late)
	fmt.Println(err, errors.Is(err, store.ErrConflict))

	for page, err := range st.Subscribe(ctx, store.LogOptions{}) {
		if err != nil {
			fmt.Println(err)
		}
		for _, e := range page.Events {
			fmt.Println(e.Position, e.Stream, e.Type, string(e.Data))
		}
		if page.End {
			break // everything is read; without the break, the loop waits for more events
		}
	}
	// Output:
	// version 2 <nil>
	// version 2 <nil> replayed: true
	// store: conflict: Account/acc-1 is at version 2, not 1 true
	// 1 Account/acc-1 AccountOpened {"owner":"Ada"}
	// 2 Account/acc-1 Deposited {"cents":500}
}

// A [store.Finder] lists the streams of a store, and finds an event by its id.
func ExampleStore_ListStreams() {
	ctx := context.Background()
	st := memory.New()
	for _, id := range []string{"acc-2", "acc-1", "other"} {
		opened := store.Event{ID: "opened-" + id, Type: "AccountOpened"}
		if _, err := st.Append(ctx, store.Stream{Type: "Account", ID: id}, store.NoStream, []store.Event{opened}); err != nil {
			fmt.Println(err)
		}
	}
	page, err := st.ListStreams(ctx, store.StreamsOptions{Type: "Account", IDPrefix: "acc-"})
	for _, s := range page.Streams {
		fmt.Println(s.Stream, s.Version, s.EventType)
	}
	event, found, err2 := st.FindEvent(ctx, "opened-other")
	fmt.Println(event.Stream, found, errors.Join(err, err2))
	// Output:
	// Account/acc-1 1 AccountOpened
	// Account/acc-2 1 AccountOpened
	// Account/other true <nil>
}

// Everything that a transaction writes is there when Update returns, or nothing is.
func ExampleTx() {
	ctx, st := context.Background(), memory.New()
	err := st.Update(ctx, func(tx *memory.Tx) error {
		return tx.SaveDocuments([]store.Document{{Kind: "balance", ID: "acc-1", Data: []byte("500")}})
	})
	fmt.Println(err)
	kept, err := st.LoadDocuments(ctx, "balance", []string{"acc-1"})
	fmt.Println(string(kept[0].Data), err)
	// Output:
	// <nil>
	// 500 <nil>
}
