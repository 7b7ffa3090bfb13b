// Command http is a service with an ordinary mux and its own middleware. Its handlers run
// commands on accounts, and answer a query from a read model that follows the log. A
// client that sends the Position of its last command reads its own writes.
//
//	go run ./examples/http
//
//	curl -i -X PUT  localhost:8080/accounts/acc-1 -d '{"owner":"Ann"}'
//	curl -i -X POST localhost:8080/accounts/acc-1/deposits -H 'Idempotency-Key: k-1' -d '{"cents":500}'
//	curl -i -X POST localhost:8080/accounts/acc-1/withdrawals -H 'If-Match: "2"' -d '{"cents":700}'
//	curl -i localhost:8080/accounts/acc-1
//	curl -i localhost:8080/total -H 'At-Least: 2'
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/evolvego/evolve/store/memory"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "the `ADDRESS` to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := serve(ctx, *listen)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "http:", err)
		os.Exit(1)
	}
}

// serve serves accounts in memory on address until ctx ends, and then waits for the
// requests in flight.
func serve(ctx context.Context, address string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stdout, nil))
	st := memory.New()
	totals := newTotals(st)
	following, stopFollowing := context.WithCancel(context.WithoutCancel(ctx))
	var follower sync.WaitGroup
	follower.Go(func() {
		if err := totals.Run(following); following.Err() == nil {
			log.Error("the total is no longer updated", "error", err)
		}
	})
	defer follower.Wait()
	defer stopFollowing() // after the requests have ended, because they may wait for it
	server := &http.Server{Handler: newMux(newAccounts(st), totals, log), ReadHeaderTimeout: 5 * time.Second}
	log.Info("listening", "url", "http://"+listener.Addr().String())
	drained := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		drained <- server.Shutdown(drain)
	})
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-drained
}
