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

// You can also check a history that you recorded yourself, such as the log of a client.
// Here two clients were told that each of them created the stream.
func ExampleOp() {
	stream := store.Stream{Type: "Account", ID: "acc-1"}
	fmt.Println(history.Check(history.History{
		Stream: stream,
		Final:  []string{"a"},
		Ops: []history.Op{
			{Client: 0, Call: 1, Return: 2, Stream: stream, Expected: store.NoStream, IDs: []string{"a"}, Appended: store.Appended{Version: 1, Position: 1}},
			{Client: 1, Call: 3, Return: 4, Stream: stream, Expected: store.NoStream, IDs: []string{"b"}, Appended: store.Appended{Version: 1, Position: 2}},
		},
	}))
	// Output:
	// history: stream Account/acc-1 is not linearizable: event "b" was appended as version 1, but in the end that is "a"
	//      3-4    B appends 1 at no stream: version 1
	//      1-2    A appends 1 at no stream: version 1
}
