package grpc_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// lines are connections in memory that can all be made dead: no bytes arrive anymore,
// and neither side is told.
type lines struct {
	*bufconn.Listener
	mu   sync.Mutex
	dead chan struct{} // closed when the existing ones are dead
}

type line struct {
	net.Conn
	dead   chan struct{}
	closed chan struct{}
	close  func() error
}

func (l *lines) dial(ctx context.Context, _ string) (net.Conn, error) {
	conn, err := l.DialContext(ctx)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	closed := make(chan struct{})
	return &line{Conn: conn, dead: l.dead, closed: closed, close: sync.OnceValue(func() error {
		close(closed)
		return conn.Close()
	})}, nil
}

// die makes the existing lines dead.
func (l *lines) die() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.dead)
	l.dead = make(chan struct{})
}

func (l *line) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	select {
	case <-l.dead:
		<-l.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (l *line) Write(b []byte) (int, error) {
	select {
	case <-l.dead:
		return len(b), nil
	default:
		return l.Conn.Write(b)
	}
}

func (l *line) Close() error { return l.close() }

// bubble is a test in a bubble, with a store on a server of this package over lines.
type bubble struct {
	*testing.T
	backend *memory.Store
	server  *mutable
	st      *grpc.Store
	lines   *lines
}

// mutable is a server of this package whose subscriptions can be silenced, as if it
// were lost behind a proxy that is still alive.
type mutable struct {
	*server.Server
	mu    sync.Mutex
	muted chan struct{} // closed when the existing ones are silenced
}

func (m *mutable) Register(r gogrpc.ServiceRegistrar) { eventstorev1.RegisterEventStoreServer(r, m) }

func (m *mutable) Subscribe(
	req *eventstorev1.SubscribeRequest, stream gogrpc.ServerStreamingServer[eventstorev1.SubscribeResponse],
) error {
	m.mu.Lock()
	muted := m.muted
	m.mu.Unlock()
	return m.Server.Subscribe(req, &mutedStream{stream, muted})
}

// mute silences the existing subscriptions.
func (m *mutable) mute() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.muted)
	m.muted = make(chan struct{})
}

type mutedStream struct {
	gogrpc.ServerStreamingServer[eventstorev1.SubscribeResponse]
	muted chan struct{}
}

func (s *mutedStream) Send(m *eventstorev1.SubscribeResponse) error {
	select {
	case <-s.muted:
		return nil
	default:
		return s.ServerStreamingServer.Send(m)
	}
}

// SendMsg is Send for messages that are already encoded.
func (s *mutedStream) SendMsg(m any) error {
	select {
	case <-s.muted:
		return nil
	default:
		return s.ServerStreamingServer.SendMsg(m)
	}
}

// overLines calls do in a bubble, with a store on a server of this package.
func overLines(t *testing.T, do func(t *bubble), options ...grpc.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		backend := memory.New()
		defer backend.Close()
		service := &mutable{Server: server.New(backend), muted: make(chan struct{})}
		st, l := openLines(t, service, options...)
		do(&bubble{t, backend, service, st, l})
	})
}

// openLines opens a store on service over lines. The test must be in a bubble.
func openLines(t *testing.T, service registrar, options ...grpc.Option) (*grpc.Store, *lines) {
	t.Helper()
	l := &lines{Listener: bufconn.Listen(1 << 20), dead: make(chan struct{})}
	srv := gogrpc.NewServer()
	service.Register(srv)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Stop()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return open(t, "passthrough:///lines", append(options, grpc.DialOptions(gogrpc.WithContextDialer(l.dial)))...), l
}

// TestDeadConnection checks that no call hangs on a connection on which nothing
// arrives, and (because every goroutine of a bubble must end) that nothing is left of
// it.
func TestDeadConnection(t *testing.T) {
	t.Parallel()
	s := store.Stream{Type: "Numbers", ID: "n"}
	calls := map[string]func(ctx context.Context, st *grpc.Store) error{
		"Append": func(ctx context.Context, st *grpc.Store) error {
			_, err := st.Append(ctx, s, store.NoStream, []store.Event{numbered(1)})
			return err
		},
		"Append to any version": func(ctx context.Context, st *grpc.Store) error {
			_, err := st.Append(ctx, s, store.Any, []store.Event{numbered(1)})
			return err
		},
		"Read": func(ctx context.Context, st *grpc.Store) error {
			_, err := st.Read(ctx, s, store.ReadOptions{})
			return err
		},
		"ReadAll": func(ctx context.Context, st *grpc.Store) error {
			_, err := st.ReadAll(ctx, store.LogOptions{})
			return err
		},
		"Subscribe": func(ctx context.Context, st *grpc.Store) error {
			for _, err := range st.Subscribe(ctx, store.LogOptions{}) {
				return err
			}
			return nil
		},
	}
	const timeout = 7 * time.Second
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			overLines(t, func(t *bubble) {
				t.lines.die()
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				if err := call(ctx, t.st); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 3*time.Second || store.Definite(err) {
					t.Fatalf("with a deadline in 3s: %v after %s, want DeadlineExceeded then", err, time.Since(start))
				}
				start = time.Now()
				if err := call(t.Context(), t.st); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != timeout || store.Definite(err) {
					t.Fatalf("without a deadline: %v after %s, want DeadlineExceeded after the timeout of %s", err, time.Since(start), timeout)
				}
			}, grpc.Timeout(timeout))
		})
	}
}

// TestCloseWaitsForCallsOnADeadConnection checks that Close returns when the timeout of
// a call in progress has passed.
func TestCloseWaitsForCallsOnADeadConnection(t *testing.T) {
	t.Parallel()
	overLines(t, func(t *bubble) {
		t.lines.die()
		start := time.Now()
		failed := make(chan error, 1)
		go func() {
			_, err := t.st.Head(t.Context())
			failed <- err
		}()
		synctest.Wait()
		if err := t.st.Close(); err != nil || time.Since(start) != 30*time.Second {
			t.Fatalf("Close = %v after %s, want it after 30s, the default timeout", err, time.Since(start))
		}
		if err := <-failed; !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("the call in progress ended with %v, want DeadlineExceeded", err)
		}
	})
}

// TestSubscriptionLeavesADeadConnection checks that a subscription notices that nothing
// arrives anymore, not even keep-alives, and continues over another connection.
func TestSubscriptionLeavesADeadConnection(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		die    func(t *bubble)
		latest time.Duration
	}{
		"the server is lost":     {func(t *bubble) { t.server.mute() }, 21 * time.Second},
		"the connection is lost": {func(t *bubble) { t.lines.die() }, 2 * time.Minute}, // a ping finds out
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			overLines(t, func(t *bubble) {
				s := store.Stream{Type: "Numbers", ID: "n"}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				var start time.Time
				for page, err := range t.st.Subscribe(ctx, store.LogOptions{}) {
					if err != nil {
						t.Fatal(err)
					}
					if page.End && page.Head == 0 {
						time.AfterFunc(time.Minute, func() { // until then it gets keep-alives
							start = time.Now()
							tt.die(t)
							if _, err := t.backend.Append(ctx, s, store.NoStream, []store.Event{numbered(1)}); err != nil {
								t.Error(err)
							}
						})
					}
					if len(page.Events) > 0 {
						break
					}
				}
				if took := time.Since(start); took < 15*time.Second || took > tt.latest {
					t.Fatalf("the event came after %s, want it after some silence, and after at most %s", took, tt.latest)
				}
			}, grpc.Timeout(20*time.Second))
		})
	}
}
