package server_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/evolvego/evolve/store"
	pb "github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// brokenListener is a listener that accepts nobody.
type brokenListener struct{ net.Listener }

var errListener = errors.New("too many open files")

func (brokenListener) Accept() (net.Conn, error) { return nil, errListener }

// TestServeOnABrokenListener checks that Serve returns why it cannot serve, unless it
// was to end anyway.
func TestServeOnABrokenListener(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, want := range []error{errListener, nil} {
		err := server.New(newMemory(t)).Serve(ctx, brokenListener{bufconn.Listen(1)})
		if !errors.Is(err, want) {
			t.Errorf("Serve = %v, want %v", err, want)
		}
		cancel()
	}
}

// TestServeEnds stops a server that has a subscription and another call in progress.
// The subscription ends at once, and the call gets ten seconds, if it needs them.
func TestServeEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ needs, takes time.Duration }{
		"a call that ends in time":  {7 * time.Second, 7 * time.Second},
		"a call that does not end":  {time.Hour, 10 * time.Second},
		"no call in progress":       {0, 0},
		"a call that ends too late": {11 * time.Second, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { stopServing(t, tt.needs, tt.takes) })
		})
	}
}

func stopServing(t *testing.T, needs, takes time.Duration) {
	t.Helper()
	srv := server.New(sleepy{memory.New(), needs})
	lis := bufconn.Listen(1 << 20)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, lis) }()
	conn, err := gogrpc.NewClient("passthrough:///sleepy", gogrpc.WithTransportCredentials(insecure.NewCredentials()),
		gogrpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := pb.NewEventStoreClient(conn)
	stream, err := client.Subscribe(t.Context(), &pb.SubscribeRequest{TenantId: "t"})
	if err != nil {
		t.Fatal(err)
	}
	called := make(chan error, 1)
	go func() {
		_, err := client.ReadAll(t.Context(), &pb.ReadAllRequest{TenantId: "t", Forward: true})
		called <- err
	}()
	synctest.Wait()
	start := time.Now()
	cancel()
	if err := <-served; err != nil || time.Since(start) != takes {
		t.Errorf("Serve = %v after %s, want it to end after %s", err, time.Since(start), takes)
	}
	if _, err := recv(stream); status.Code(err) != codes.Unavailable {
		t.Errorf("the subscription ended with %v, want UNAVAILABLE", err)
	}
	if err := <-called; (err == nil) != (needs == takes) {
		t.Errorf("the call that needed %s ended with %v", needs, err)
	}
}

// sleepy is a store that needs time to read its log.
type sleepy struct {
	*memory.Store

	needs time.Duration
}

func (s sleepy) Tenant(string) (store.Store, error) { return s, nil }

func (s sleepy) ReadAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	select {
	case <-time.After(s.needs):
		return s.Store.ReadAll(ctx, o)
	case <-ctx.Done():
		return store.Page{}, ctx.Err()
	}
}

// busyStore is a store that takes a moment to stop when it is asked for its head.
type busyStore struct {
	*memory.Store

	calls *atomic.Int64 // in progress
}

func (s busyStore) Head(ctx context.Context) (uint64, error) {
	s.calls.Add(1)
	defer s.calls.Add(-1)
	<-ctx.Done()
	time.Sleep(time.Second)
	return 0, ctx.Err()
}

// TestServeLeavesTheStore checks that nothing uses the store when Serve has returned, so
// it can be closed.
func TestServeLeavesTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := busyStore{memory.New(), new(atomic.Int64)}
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond) // while Monitor asks for the head
		defer cancel()
		if err := server.New(st).Serve(ctx, bufconn.Listen(1)); err != nil {
			t.Errorf("Serve = %v", err)
		}
		if n := st.calls.Load(); n != 0 {
			t.Errorf("after Serve, %d calls of the store are in progress", n)
		}
	})
}
