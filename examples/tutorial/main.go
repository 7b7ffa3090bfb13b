// Command tutorial is the service that docs/tutorial.md builds: orders in a file, a
// table of those that are open, and handlers for both.
//
//	go run ./examples/tutorial
//
//	curl -i -X PUT  localhost:8080/orders/o-1 -d '{"customer":"ann","cents":500}'
//	curl -i -X POST localhost:8080/orders/o-1/payments -d '{"cents":200}'
//	curl -i localhost:8080/orders -H 'At-Least: 2'
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/examples/tutorial/order"
	"github.com/evolvego/evolve/store/sqlite"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "the `ADDRESS` to listen on")
	file := flag.String("file", "orders.db", "the `FILE` of the events")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	handler, wait, err := start(ctx, *file)
	if err != nil {
		log.Fatal(err) //nolint:gocritic // the process ends, and its signals with it
	}
	server := &http.Server{Addr: *listen, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	log.Print("listening on http://", *listen)
	log.Print(server.ListenAndServe())
	stop()
	if err := wait(); err != nil {
		log.Print(err)
	}
}

// start opens the file and runs the projection until ctx ends. Then wait returns when
// everything is closed.
func start(ctx context.Context, file string) (handler http.Handler, wait func() error, err error) {
	st, err := sqlite.Open(file) //nolint:contextcheck // opening a file does not wait
	if err != nil {
		return nil, nil, err
	}
	db, err := sql.Open("sqlite", "file:"+file+"?mode=ro")
	if err != nil {
		return nil, nil, err
	}
	s := &service{orders: runner.New("Order", order.Decider(), st, order.Codec()), open: openOrders(st), db: db}
	done := make(chan error, 1)
	go func() { done <- s.open.Run(ctx) }()
	wait = func() error {
		return errors.Join(ignoreEnd(<-done), db.Close(), st.Close())
	}
	return s.routes(), wait, nil
}

// ignoreEnd returns err, unless it says that the program is asked to end.
func ignoreEnd(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
