package jetstream_test

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jetstream"
)

// This example needs three servers. The example of package jetstreamtest runs on one.
func Example() {
	_ = func(ctx context.Context) error {
		st, err := jetstream.Open(ctx, "nats://app:secret@a:4222,nats://app:secret@b:4222")
		if err != nil {
			return err
		}
		defer st.Close()

		account := store.Stream{Type: "Account", ID: "acc-1"}
		_, err = st.Append(ctx, account, store.NoStream, []store.Event{{ID: store.NewID(), Type: "AccountOpened"}})
		return err
	}
	// Output:
}

// A connection with the credentials of a user, TLS, and a log with another name.
func ExampleWithConnection() {
	_ = func(ctx context.Context) (*jetstream.Store, error) {
		return jetstream.Open(ctx, "tls://a:4222", jetstream.WithLog("orders"),
			jetstream.WithConnection(nats.UserCredentials("app.creds"), nats.RootCAs("ca.pem")))
	}
	// Output:
}

// An Error says what went wrong, and whether the append may have been recorded.
func ExampleError() {
	err := error(&jetstream.Error{Kind: jetstream.ErrUnavailable, Err: context.DeadlineExceeded})
	fmt.Println(err)
	fmt.Println("nothing was recorded, for certain:", store.Definite(err))
	// Output:
	// jetstream: log is not available: context deadline exceeded
	// nothing was recorded, for certain: false
}
