// Command publish publishes each event of the tutorial's orders to NATS JetStream, once,
// in the order of the log.
//
//	nats-server -js &
//	go run ./examples/publish -file orders.db
//
//	go run ./examples/tutorial # at the same time: its orders are published
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/evolvego/evolve/store/sqlite"
)

func main() {
	file := flag.String("file", "orders.db", "the `FILE` of the events")
	url := flag.String("nats", nats.DefaultURL, "the `URL` of the broker")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := publish(ctx, *file, *url)
	if asked := ctx.Err() != nil; err != nil && !asked {
		fmt.Fprintln(os.Stderr, "publish:", err)
		defer os.Exit(1)
	}
	stop()
}

// publish publishes the events that are appended to file, until ctx ends.
func publish(ctx context.Context, file, url string) error {
	st, err := sqlite.Open(file) //nolint:contextcheck // opening a file does not wait
	if err != nil {
		return err
	}
	defer st.Close()
	conn, err := nats.Connect(url)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", url, err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	_, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}})
	if err != nil {
		return fmt.Errorf("make the stream ORDERS: %w", err)
	}
	return publisher(st, js).Run(ctx)
}
