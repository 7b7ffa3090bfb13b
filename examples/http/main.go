// Command http is a service as it may stand already, an ordinary mux with a middleware
// of its own, whose handlers run commands on accounts.
//
//	go run ./examples/http
//
//	curl -i -X PUT  localhost:8080/accounts/acc-1 -d '{"owner":"Ann"}'
//	curl -i -X POST localhost:8080/accounts/acc-1/deposits -H 'Idempotency-Key: k-1' -d '{"cents":500}'
//	curl -i -X POST localhost:8080/accounts/acc-1/withdrawals -H 'If-Match: "2"' -d '{"cents":700}'
//	curl -i localhost:8080/accounts/acc-1
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

// serve serves accounts in memory on address until ctx ends, and then lets the
// requests that are underway end.
func serve(ctx context.Context, address string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stdout, nil))
	server := &http.Server{Handler: newMux(newAccounts(memory.New()), log), ReadHeaderTimeout: 5 * time.Second}
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
