package grpc_test

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
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// busy is a server of this package on which another writer is always first: an append,
// except for one of many, finds that the stream has just moved on.
type busy struct {
	*server.Server
	backend *memory.Store
	rivals  int64 // the number of other writers before it is the client's turn
	deaf    bool  // it knows only exact versions, as other servers do
	away    bool  // it is unavailable; does not change during a call
	appends atomic.Int64
}

func (s *busy) Register(r gogrpc.ServiceRegistrar) { eventstorev1.RegisterEventStoreServer(r, s) }

func (s *busy) Append(ctx context.Context, req *eventstorev1.AppendRequest) (*eventstorev1.AppendResponse, error) {
	if s.away {
		return nil, errLost
	}
	if n := s.appends.Add(1); n <= s.rivals {
		stream := store.Stream{Type: req.GetAggregateType(), ID: req.GetAggregateId()}
		if _, err := s.backend.Append(ctx, stream, store.Any, []store.Event{numbered(int(n))}); err != nil {
			return nil, err
		}
	}
	if s.deaf {
		md, _ := metadata.FromIncomingContext(ctx)
		md = md.Copy()
		md.Delete("evolve-expected")
		ctx = metadata.NewIncomingContext(ctx, md)
	}
	return s.Server.Append(ctx, req)
}

// TestAppendToBusyStream checks that an append that expects no exact version succeeds
// however busy its stream is: in one request if the server is told so, and with short
// waits if versions must be tried.
func TestAppendToBusyStream(t *testing.T) {
	t.Parallel()
	const rivals, longest = 150, 16 * time.Millisecond
	for name, deaf := range map[string]bool{"a server of this package": false, "a server that knows only exact versions": true} {
		for _, expected := range []store.Expected{store.Any, store.Exists} {
			t.Run(name+", "+expected.String(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					backend := memory.New()
					s := &busy{Server: server.New(backend), backend: backend, rivals: rivals, deaf: deaf}
					st := overMemory(t, s)
					stream := store.Stream{Type: "Numbers", ID: "n"}
					if _, err := backend.Append(t.Context(), stream, store.NoStream, []store.Event{numbered(0)}); err != nil {
						t.Fatal(err)
					}
					start := time.Now()
					got, err := st.Append(t.Context(), stream, expected, []store.Event{numbered(rivals + 1)})
					took, requests := time.Since(start), s.appends.Load()
					wantRequests := int64(1)
					if deaf {
						wantRequests = rivals + 1
					}
					head, err2 := backend.Head(t.Context())
					if want := (store.Appended{Version: head, Position: head}); err != nil || err2 != nil || got != want || requests != wantRequests {
						t.Fatalf("Append(%s) = %+v, %v after %d requests; want %+v after %d", expected, got, err, requests, want, wantRequests)
					}
					if took > rivals*longest {
						t.Errorf("Append(%s) after %d others took %s, want at most %s for each", expected, rivals, took, longest)
					}
				})
			})
		}
	}
}

// TestAppendToStreamThatJustWentOn checks that an append retries at once if one other
// writer was first: it waits only for writers that come often.
func TestAppendToStreamThatJustWentOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		backend := memory.New()
		st := overMemory(t, &busy{Server: server.New(backend), backend: backend, rivals: 1, deaf: true})
		start := time.Now()
		if _, err := st.Append(t.Context(), store.Stream{Type: "Numbers", ID: "n"}, store.Any, []store.Event{numbered(2)}); err != nil || time.Since(start) > 0 {
			t.Errorf("Append after one other = %v after %s, want success at once", err, time.Since(start))
		}
	})
}

// TestContextOfABusyAppend checks that an append whose context ends while other writers
// are first, or while the server is unavailable, returns the error of the context.
func TestContextOfABusyAppend(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]bool{"other writers are first": false, "the server is unavailable": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				backend := memory.New()
				s := &busy{Server: server.New(backend), backend: backend, rivals: 10_000, deaf: true}
				st := overMemory(t, s)
				s.away = away
				for n := range 10 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(10+n)*time.Millisecond)
					got, err := st.Append(ctx, store.Stream{Type: "Numbers", ID: "n"}, store.Any, []store.Event{numbered(20_000 + n)})
					cancel()
					if !errors.Is(err, context.DeadlineExceeded) || got != (store.Appended{}) {
						t.Errorf("Append = %+v, %v; want DeadlineExceeded", got, err)
					}
					if away && status.Code(err) != codes.Unavailable {
						t.Errorf("Append = %v, want it to include the error of the server", err)
					}
				}
			})
		})
	}
}

// overMemory returns a store on s over a connection in memory. Both end with the test.
func overMemory(t *testing.T, s interface{ Register(gogrpc.ServiceRegistrar) }) *grpc.Store {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	srv := gogrpc.NewServer()
	s.Register(srv)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(listener) }()
	t.Cleanup(func() {
		srv.Stop()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	dial := func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }
	return open(t, "passthrough:///memory", grpc.DialOptions(gogrpc.WithContextDialer(dial)))
}
