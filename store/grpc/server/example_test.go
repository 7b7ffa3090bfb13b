package server_test

import (
	"context"
	"errors"
	"fmt"
	"net"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// A server of a store in memory, and a client as it would be in any language.
func ExampleServer() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	lis, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	ended := make(chan error, 1)
	go func() { ended <- server.New(memory.New()).Serve(ctx, lis) }()

	conn, err := gogrpc.NewClient(lis.Addr().String(), gogrpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := eventstorev1.NewEventStoreClient(conn)
	open := &eventstorev1.AppendRequest{
		TenantId: "bank", AggregateId: "acc-1", AggregateType: "Account",
		Events: []*eventstorev1.EventData{{
			Meta:    &eventstorev1.EventMetadata{EventId: store.NewID(), EventType: "AccountOpened", AggregateNonce: 1},
			Payload: []byte(`{"owner":"Ada"}`),
		}},
	}
	appended, err := client.Append(ctx, open)
	fmt.Println("nonce", appended.GetLastAggregateNonce(), err)

	open.Events[0].Meta.EventId = store.NewID() // another event, not a repetition
	_, err = client.Append(ctx, open)
	fmt.Println(status.Code(err), status.Convert(err).Message())

	page, err := client.ReadStream(ctx, &eventstorev1.ReadStreamRequest{TenantId: "bank", AggregateId: "acc-1", Forward: true})
	for _, e := range page.GetEvents() {
		fmt.Println(e.GetMeta().GetEventType(), string(e.GetPayload()), err)
	}
	_ = conn.Close()
	stop()
	fmt.Println(<-ended)
	// Output:
	// nonce 1 <nil>
	// Aborted append precondition failed
	// AccountOpened {"owner":"Ada"} <nil>
	// <nil>
}

// counter is an observer that prints the calls.
type counter struct{}

func (counter) Begin(context.Context, server.Call) {}

func (counter) End(_ context.Context, c server.Call) {
	fmt.Println(c.Method, c.Tenant, c.Identity, c.Code)
}

// options returns options for a server that prints its calls.
func options(a server.Authenticator, d server.ConflictDetails) []server.Option {
	return []server.Option{server.WithAuthenticator(a), server.WithObserver(counter{}), server.WithConflictDetails(d)}
}

// Clients present tokens, each valid for its tenants.
func ExampleAuthenticator() {
	tokens := server.BearerTokens(func(_ context.Context, token string) (server.Identity, error) {
		if token != "secret" {
			return server.Identity{}, errors.New("unknown token")
		}
		return server.Identity{Name: "ann", Tenants: []string{"bank"}}, nil
	})
	fmt.Println(server.New(memory.New(), options(tokens, server.StandardDetails)...) != nil)

	var o server.Observer = counter{}
	o.End(context.Background(), server.Call{Method: "Append", Tenant: "bank", Identity: "ann"})
	// Output:
	// true
	// Append bank ann OK
}
