package history_test

import (
	"context"
	"fmt"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest/history"
)

// stale is a store whose reads find nothing.
type stale struct{ *memory.Store }

func (stale) Read(context.Context, store.Stream, store.ReadOptions) (store.Page, error) {
	return store.Page{Next: 1, End: true}, nil
}

// A Recorder records what the store told its clients, and Check compares it with the
// stream.
func ExampleCheck() {
	st := memory.New()
	recorder := history.Record(stale{st})
	stream := store.Stream{Type: "Account", ID: "acc-1"}

	ann, ben := history.WithClient(context.Background(), 0), history.WithClient(context.Background(), 1)
	if _, err := recorder.Append(ann, stream, store.NoStream, []store.Event{{ID: "1", Type: "Opened"}}); err != nil {
		fmt.Println(err)
	}
	if _, err := recorder.Read(ben, stream, store.ReadOptions{}); err != nil {
		fmt.Println(err)
	}
	calls, err := recorder.History(context.Background(), st, stream)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(history.Check(calls))
	// Output:
	// history: stream Account/acc-1 is not linearizable: the first call ended before the second began, but took effect after it
	//      1-2    A appends 1 at no stream: version 1
	//      3-4    B reads from 0: head 0
}
