package jetstreamtest_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jetstream"
	"github.com/evolvego/evolve/store/jetstream/jetstreamtest"
)

// exampleURL returns the URL of a new server, and a function that ends it.
func exampleURL() (url string, stop func()) {
	dir, err := os.MkdirTemp("", "jetstreamtest-example")
	if err != nil {
		panic(err)
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, JetStream: true, StoreDir: dir})
	if err != nil {
		panic(err)
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		panic("the server is not ready after a minute")
	}
	return "nats://" + s.Addr().String(), func() {
		s.Shutdown()
		s.WaitForShutdown()
		_ = os.RemoveAll(dir)
	}
}

func Example() {
	ctx := context.Background()
	url, stop := exampleURL()
	defer stop()
	st, err := jetstream.Open(ctx, url, jetstream.WithReplicas(1)) // one server, for development
	if err != nil {
		fmt.Println(err)
		return
	}
	defer st.Close()

	account := store.Stream{Type: "Account", ID: "acc-1"}
	appended, err := st.Append(ctx, account, store.NoStream, []store.Event{
		{ID: store.NewID(), Type: "AccountOpened", Data: []byte(`{"owner":"Ada"}`)},
		{ID: store.NewID(), Type: "Deposited", Data: []byte(`{"cents":500}`)},
	})
	fmt.Println("version", appended.Version, err)
	for e, err := range store.Events(ctx, st, account, 0) {
		fmt.Println(e.Version, e.Type, string(e.Data), err)
	}
	// Output:
	// version 2 <nil>
	// 1 AccountOpened {"owner":"Ada"} <nil>
	// 2 Deposited {"cents":500} <nil>
}

// Your own tests can open a store on a server in the same process.
func ExampleStart() {
	_ = func(t *testing.T) { //nolint:thelper // a test
		st, err := jetstream.Open(t.Context(), jetstreamtest.Start(t).URL(), jetstream.WithReplicas(1))
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
	}
	// Output:
}

// A test of failures opens a store on a cluster of three servers.
func ExampleStartCluster() {
	_ = func(t *testing.T) { //nolint:thelper // a test
		cluster := jetstreamtest.StartCluster(t)
		st, err := jetstream.Open(t.Context(), cluster.URL())
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
	}
	// Output:
}
