package grpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// A store on a server, which runs in the same process here.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	ended := make(chan error, 1)
	go func() { ended <- server.New(memory.New()).Serve(ctx, listener) }()

	st, err := grpc.Open(ctx, listener.Addr().String(), grpc.Plaintext(), grpc.Tenant("bank"))
	if err != nil {
		fmt.Println(err)
		return
	}
	account := store.Stream{Type: "Account", ID: "acc-1"}
	opened := store.Event{ID: store.NewID(), Type: "AccountOpened", Schema: 1, ContentType: "application/json", Data: []byte(`{"owner":"Ada"}`)}
	appended, err := st.Append(ctx, account, store.NoStream, []store.Event{opened})
	fmt.Println("version", appended.Version, err)

	again, err := st.Append(ctx, account, store.NoStream, []store.Event{opened})
	fmt.Println("replayed", again.Replayed, err)

	opened.ID = store.NewID()
	_, err = st.Append(ctx, account, store.NoStream, []store.Event{opened})
	fmt.Println(errors.Is(err, store.ErrConflict), err)

	for page, err := range st.Subscribe(ctx, store.LogOptions{}) {
		for _, e := range page.Events {
			fmt.Println(e.Stream, e.Version, e.Type, string(e.Data), err)
		}
		if page.End {
			break
		}
	}
	fmt.Println(st.Close())
	stop()
	fmt.Println(<-ended)
	// Output:
	// version 1 <nil>
	// replayed true <nil>
	// true store: conflict: Account/acc-1 exists, at version 1
	// Account/acc-1 1 AccountOpened {"owner":"Ada"} <nil>
	// <nil>
	// <nil>
}
