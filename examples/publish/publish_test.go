package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/examples/tutorial/order"
	"github.com/evolvego/evolve/store/sqlite"
)

// startBroker starts a broker, and returns its URL.
func startBroker(t *testing.T) string {
	t.Helper()
	broker, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	go broker.Start()
	t.Cleanup(func() {
		broker.Shutdown()
		broker.WaitForShutdown()
	})
	if !broker.ReadyForConnections(time.Minute) {
		t.Fatal("the broker does not start")
	}
	return broker.ClientURL()
}

// subscriber returns the stream, and a function that returns its first n messages.
func subscriber(t *testing.T, url string) (jetstream.JetStream, func(n int) []string) {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js, func(n int) (got []string) {
		stream, err := js.Stream(t.Context(), "ORDERS")
		if err != nil {
			t.Fatal(err)
		}
		consumer, err := stream.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			msg, err := consumer.Next(jetstream.FetchMaxWait(time.Minute))
			if err != nil {
				t.Fatalf("after %q: %v", got, err)
			}
			got = append(got, msg.Subject()+" "+string(msg.Data()))
		}
		info, err := stream.Info(t.Context())
		if err != nil || info.State.Msgs != uint64(n) {
			t.Errorf("the stream has %d messages, %v; want %d", info.State.Msgs, err, n)
		}
		return got
	}
}

// deaf is a broker that loses its first answer to each message.
type deaf struct {
	broker
	calls atomic.Int64
}

func (d *deaf) PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	ack, err := d.broker.PublishMsg(ctx, msg, opts...)
	if err == nil && d.calls.Add(1)%2 == 1 {
		return nil, errors.New("the answer is lost")
	}
	return ack, err
}

func TestPublish(t *testing.T) {
	t.Parallel()
	url := startBroker(t)
	js, published := subscriber(t, url)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}}); err != nil {
		t.Fatal(err)
	}
	st, err := sqlite.Open(filepath.Join(t.TempDir(), "orders.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	orders := runner.New("Order", order.Decider(), st, order.Codec())
	say := func(id string, cmd order.Command) uint64 {
		t.Helper()
		out, err := orders.Handle(t.Context(), id, cmd)
		if err != nil {
			t.Fatal(err)
		}
		return out.Position
	}
	say("old", order.Place{Customer: "ann", Cents: 1}) // history is not published
	lossy := &deaf{broker: js}
	first := publisher(st, lossy).WithRetry(projection.Retry{Pause: time.Millisecond})
	stop := runUntilLive(t, first)
	say("o-1", order.Place{Customer: "bob", Cents: 500})
	say("o-1", order.Pay{Cents: 200})
	last := say("o-2", order.Place{Customer: "ann", Cents: 70})
	if err := first.WaitFor(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	stop()
	say("o-1", order.Cancel{Reason: "late"}) // while no publisher runs
	defer runUntilLive(t, publisher(st, js))()
	got := published(4)
	want := []string{
		`orders.placed {"order":"o-1","detail":{"customer":"bob","cents":500}}`,
		`orders.paid {"order":"o-1","detail":{"cents":200}}`,
		`orders.placed {"order":"o-2","detail":{"customer":"ann","cents":70}}`,
		`orders.cancelled {"order":"o-1","detail":{"reason":"late"}}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("published %q, want %q", got, want)
	}
	if n := lossy.calls.Load(); n != 6 {
		t.Errorf("3 events were sent %d times, want twice each", n)
	}
}

// runUntilLive runs p, and returns when it is live. stop ends it.
func runUntilLive(t *testing.T, p *projection.Projection[*sqlite.Tx, message]) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	for p.Progress().State != projection.Live {
		select {
		case err := <-done:
			t.Fatalf("Run = %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	return func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v", err)
		}
	}
}
