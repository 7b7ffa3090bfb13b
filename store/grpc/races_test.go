package grpc_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc"
	pb "github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// TestSubscriptionEndsAtWhatItCannotTake sends an event that is too large for the
// caller's connection: retrying cannot help.
func TestSubscriptionEndsAtWhatItCannotTake(t *testing.T) {
	t.Parallel()
	addr := listen(t, server.New(memory.New(), server.WithLargeEvents()), server.GRPCOptions()...)
	conn, err := gogrpc.NewClient(addr, gogrpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	small, err := grpc.Open(ctx, "", grpc.Conn(conn))
	if err != nil {
		t.Fatal(err)
	}
	defer small.Close()
	large := open(t, addr)
	sent := false
	for page, err := range small.Subscribe(ctx, store.LogOptions{}) {
		if err == nil && page.End && !sent {
			sent = true
			event := store.Event{ID: store.NewID(), Type: "Large", Data: []byte(`"` + strings.Repeat("x", 5<<20) + `"`)}
			if _, err := large.Append(ctx, store.Stream{Type: "A", ID: "1"}, store.NoStream, []store.Event{event}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if status.Code(err) != codes.ResourceExhausted {
			t.Fatalf("Subscribe yielded %d events, %v; want the code ResourceExhausted", len(page.Events), err)
		}
	}
}

// growing appends an event after each read of the log.
type growing struct {
	*memory.Store

	t *testing.T
}

func (g growing) Tenant(string) (store.Store, error) { return g, nil }

func (g growing) ReadAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	page, err := g.Store.ReadAll(ctx, o)
	appendOne(g.t, g.Store)
	return page, err
}

// TestHeadOfBackwardPage reads a page that the server assembles from several, while the
// log grows. A client that continues after its head must not miss an event.
func TestHeadOfBackwardPage(t *testing.T) {
	t.Parallel()
	st := memory.New()
	for range 200 {
		appendOne(t, st)
	}
	client := open(t, listen(t, server.New(growing{st, t})))
	page, err := client.ReadAll(t.Context(), store.LogOptions{Backward: true, Limit: 150})
	if err != nil || len(page.Events) != 150 || page.Head != page.Events[0].Position {
		t.Fatalf("%d events from position %d, head %d, %v; want the head to be that of the first", len(page.Events), page.Events[0].Position, page.Head, err)
	}
}

// TestSubscriptionAcrossServers subscribes with a filter at a server that does not
// support filters, and continues at one that does. The last event that the first server
// has sent does not match the filter. The next one that does is there when the client
// reaches the second server, or comes later.
func TestSubscriptionAcrossServers(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]bool{"the next event is there": false, "the next event comes later": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			subscribeAcrossServers(t, late)
		})
	}
}

func subscribeAcrossServers(t *testing.T, late bool) {
	t.Helper()
	var ours atomic.Bool
	backend := memory.New()
	add := func(name string, n int) {
		_, err := backend.Append(t.Context(), store.Stream{Type: name, ID: name}, store.Any, []store.Event{numbered(n)})
		if err != nil {
			t.Error(err)
		}
	}
	var reached atomic.Bool // the other server was reached
	addr := listen(t, server.New(backend),
		gogrpc.UnaryInterceptor(func(ctx context.Context, req any, _ *gogrpc.UnaryServerInfo, h gogrpc.UnaryHandler) (any, error) {
			if !ours.Load() {
				md, _ := metadata.FromIncomingContext(ctx)
				md = md.Copy()
				delete(md, "evolve-client")
				ctx = metadata.NewIncomingContext(ctx, md)
			} else if r, ok := req.(*pb.ReadAllRequest); ok && r.GetForward() && !reached.Load() {
				return nil, status.Error(codes.Internal, "it has gone")
			} else {
				reached.Store(true)
			}
			return h(ctx, req)
		}),
		gogrpc.StreamInterceptor(func(srv any, ss gogrpc.ServerStream, _ *gogrpc.StreamServerInfo, h gogrpc.StreamHandler) error {
			if ours.Load() {
				return h(srv, ss)
			}
			ours.Store(true)
			if !late {
				add("A", 3)
			}
			return status.Error(codes.Unavailable, "another one is there from now on")
		}))
	add("A", 1)
	add("B", 2)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got := 0
	for page, err := range open(t, addr).Subscribe(ctx, store.LogOptions{Filter: store.Filter{StreamTypes: []string{"A"}}}) {
		if err != nil {
			t.Fatalf("after %d events: %v", got, err)
		}
		if got += len(page.Events); got == 2 {
			return
		}
		if late && page.End && ours.Load() {
			add("A", 3)
			late = false
		}
	}
}

// TestDivergedTellsTheHead makes the server fail between the read that shows that the
// log has diverged and the read of its head.
func TestDivergedTellsTheHead(t *testing.T) {
	t.Parallel()
	var other, asked, failed atomic.Bool
	cut := make(chan struct{})
	addr := listen(t, server.New(memory.New()),
		gogrpc.UnaryInterceptor(func(ctx context.Context, req any, _ *gogrpc.UnaryServerInfo, h gogrpc.UnaryHandler) (any, error) {
			r, ok := req.(*pb.ReadAllRequest)
			if !ok || !other.Load() {
				return h(ctx, req)
			}
			if r.GetForward() {
				asked.Store(true)
				return &pb.ReadAllResponse{IsEnd: true}, nil
			}
			if asked.Load() && !failed.Swap(true) {
				return nil, status.Error(codes.Internal, "it is going away")
			}
			return h(ctx, req)
		}),
		gogrpc.StreamInterceptor(func(srv any, ss gogrpc.ServerStream, _ *gogrpc.StreamServerInfo, h gogrpc.StreamHandler) error {
			select {
			case <-cut:
			case <-ss.Context().Done():
			}
			return status.Error(codes.Unavailable, "cut")
		}))
	st := open(t, addr)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := st.Append(ctx, store.Stream{Type: "A", ID: "A"}, store.NoStream, []store.Event{numbered(1)}); err != nil {
		t.Fatal(err)
	}
	for page, err := range st.Subscribe(ctx, store.LogOptions{}) {
		var diverged *store.DivergedError
		if errors.As(err, &diverged) && diverged.Head == 1 && status.Code(err) != codes.Internal {
			return
		}
		if err != nil {
			t.Fatalf("Subscribe ended with %v, want only that the log, with head 1, has diverged", err)
		}
		if page.End && !other.Swap(true) {
			close(cut)
		}
	}
}
