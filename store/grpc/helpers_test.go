package grpc_test

import (
	"errors"
	"net"
	"testing"

	gogrpc "google.golang.org/grpc"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// registrar is a server that can be registered: ours or a fake one.
type registrar interface {
	Register(r gogrpc.ServiceRegistrar)
}

// listen serves service on a local port until the test ends, and returns its address.
func listen(tb testing.TB, service registrar, options ...gogrpc.ServerOption) string {
	tb.Helper()
	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	srv := gogrpc.NewServer(options...)
	service.Register(srv)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(listener) }()
	tb.Cleanup(func() {
		srv.Stop()
		if err := <-served; err != nil && !errors.Is(err, gogrpc.ErrServerStopped) {
			tb.Errorf("Serve: %v", err)
		}
	})
	return listener.Addr().String()
}

// open opens a store on the server at addr, and closes it when the test ends.
func open(tb testing.TB, addr string, options ...grpc.Option) *grpc.Store {
	tb.Helper()
	st, err := grpc.Open(tb.Context(), addr, append([]grpc.Option{grpc.Plaintext()}, options...)...)
	if err != nil {
		tb.Fatalf("Open(%q): %v", addr, err)
	}
	tb.Cleanup(func() {
		if err := st.Close(); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	return st
}

// openMemory opens a store on a new server of ours with a memory backend.
func openMemory(t *testing.T) store.Store {
	t.Helper()
	return open(t, listen(t, server.New(memory.New())))
}

// appendOne appends an event to a new stream.
func appendOne(tb testing.TB, st store.Store) {
	tb.Helper()
	event := store.Event{ID: store.NewID(), Type: "Happened"}
	if _, err := st.Append(tb.Context(), store.Stream{Type: "A", ID: event.ID}, store.NoStream, []store.Event{event}); err != nil {
		tb.Fatal(err)
	}
}
