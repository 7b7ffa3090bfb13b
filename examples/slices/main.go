// Command slices serves the contexts over HTTP. It keeps events in memory.
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

	"github.com/evolvego/evolve/examples/slices/contexts"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "the `ADDRESS` to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := serve(ctx, *listen)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bank:", err)
		os.Exit(1)
	}
}

// serve serves the contexts on address until ctx ends or one of them fails.
func serve(ctx context.Context, address string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stdout, nil))
	log.InfoContext(ctx, "listening", "url", "http://"+listener.Addr().String())

	ctx, cancel := context.WithCancelCause(ctx)
	var group sync.WaitGroup
	mux := http.NewServeMux()
	for _, c := range contexts.All(memory.New(), log) {
		c.Routes(mux)
		group.Go(func() {
			if err := c.Run(ctx); err != nil {
				cancel(err)
			}
		})
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	group.Go(func() {
		<-ctx.Done()
		drain, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer stop()
		cancel(server.Shutdown(drain))
	})
	err = server.Serve(listener)
	cancel(nil)
	group.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
