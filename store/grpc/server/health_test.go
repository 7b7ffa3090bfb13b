package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/evolvego/evolve/store"
	pb "github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// failing is a store whose calls fail with the result of err, if that is not nil.
type failing struct {
	*memory.Store

	err func() error
}

func (f failing) Tenant(string) (store.Store, error) { return f, nil }

func (f failing) Append(ctx context.Context, s store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	if err := f.err(); err != nil {
		return store.Appended{}, fmt.Errorf("append: %w", err)
	}
	return f.Store.Append(ctx, s, expected, events)
}

func (f failing) Head(ctx context.Context) (uint64, error) {
	if err := f.err(); err != nil {
		return 0, fmt.Errorf("head: %w", err)
	}
	return f.Store.Head(ctx)
}

func (f failing) ReadAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	if err := f.err(); err != nil {
		return store.Page{}, fmt.Errorf("read: %w", err)
	}
	return f.Store.ReadAll(ctx, o)
}

// sqlError is an error with an SQLSTATE, as drivers of SQL servers return.
type sqlError string

func (e sqlError) Error() string    { return "ERROR: (SQLSTATE " + string(e) + ")" }
func (e sqlError) SQLState() string { return string(e) }

// TestStoreThatIsAway checks which failures of a store appear as temporary to a client,
// and that it learns nothing more about them.
func TestStoreThatIsAway(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		code codes.Code
	}{
		"refused connection":           {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, codes.Unavailable},
		"timeout of a dial":            {context.DeadlineExceeded, codes.Unavailable},
		"end of a connection":          {io.ErrUnexpectedEOF, codes.Unavailable},
		"closed connection":            {net.ErrClosed, codes.Unavailable},
		"shutting down":                {sqlError("57P01"), codes.Unavailable},
		"starting up":                  {sqlError("57P03"), codes.Unavailable},
		"too many connections":         {sqlError("53300"), codes.Unavailable},
		"connection failure":           {sqlError("08006"), codes.Unavailable},
		"a server behind":              {status.Error(codes.Unavailable, "upstream 10.0.0.7 is gone"), codes.Unavailable},
		"closed store":                 {store.ErrClosed, codes.Unavailable},
		"syntax error":                 {sqlError("42601"), codes.Internal},
		"corrupt data":                 {errors.New("row 7 is torn"), codes.Internal},
		"a status from another server": {status.Error(codes.NotFound, "upstream 10.0.0.7 has no such thing"), codes.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var logged lockedBuffer
			srv := server.New(failing{newMemory(t), func() error { return tt.err }}, server.WithLogger(slog.New(slog.NewTextHandler(&logged, nil))))
			known := metadata.NewIncomingContext(t.Context(), metadata.Pairs("evolve-client", "1"))
			_, err := srv.Append(known, ofDefault(rawAppend("acc-1", 0, 1)))
			_, readErr := srv.ReadAll(t.Context(), &pb.ReadAllRequest{TenantId: "t", Forward: true})
			text := map[codes.Code]string{codes.Unavailable: "the store does not answer", codes.Internal: "internal error"}[tt.code]
			if errors.Is(tt.err, store.ErrClosed) {
				text = "the store is closed"
			}
			wantStatus(t, err, tt.code, text)
			wantStatus(t, readErr, tt.code, text)
			if closed := errors.Is(tt.err, store.ErrClosed); closed == strings.Contains(logged.String(), tt.err.Error()) {
				t.Errorf("the log is %q, want the failure there, unless the store is closed", logged.String())
			}
		})
	}
}

// TestRefusedByTheStore checks that a client learns for certain that nothing was
// written.
func TestRefusedByTheStore(t *testing.T) {
	t.Parallel()
	var logged lockedBuffer
	srv := server.New(failing{newMemory(t), func() error { return fmt.Errorf("%w: the disk of 10.0.0.7 is full", store.ErrRefused) }},
		server.WithLogger(slog.New(slog.NewTextHandler(&logged, nil))))
	known := metadata.NewIncomingContext(t.Context(), metadata.Pairs("evolve-client", "1"))
	_, err := srv.Append(known, ofDefault(rawAppend("acc-1", 0, 1)))
	wantStatus(t, err, codes.FailedPrecondition, "the store refuses to write now")
	if !strings.Contains(logged.String(), "10.0.0.7 is full") {
		t.Errorf("the log is %q, want the reason", logged.String())
	}
}

// TestMonitor makes the store of a server unavailable for a while.
func TestMonitor(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func() error{
		"fails":  func() error { return errors.New("nobody is there") },
		"panics": func() error { panic("nobody is there") },
		"hangs":  nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				there := func() error { return nil }
				var current atomic.Pointer[func() error] // nil if it hangs
				set := func(call func() error) {
					if current.Store(nil); call != nil {
						current.Store(&call)
					}
				}
				set(there)
				srv := server.New(hanging{failing{memory.New(), func() error { return (*current.Load())() }}, func() bool { return current.Load() == nil }})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go srv.Monitor(ctx)
				steps := []struct {
					call func() error
					want healthv1.HealthCheckResponse_ServingStatus
				}{{there, 1}, {away, 2}, {there, 1}, {away, 2}, {there, 1}}
				for i, step := range steps {
					set(step.call)
					time.Sleep(5 * time.Second)
					for _, service := range []string{"", "eventstore.v1.EventStore"} {
						got, err := srv.Health().Check(ctx, &healthv1.HealthCheckRequest{Service: service})
						if err != nil || got.GetStatus() != step.want {
							t.Fatalf("step %d: health of %q = %v, %v; want %v", i, service, got.GetStatus(), err, step.want)
						}
					}
				}
				set(away)
				time.Sleep(5 * time.Second)
				if away != nil && name == "fails" {
					_, err := srv.ReadAll(ctx, &pb.ReadAllRequest{TenantId: "t", Forward: true})
					wantStatus(t, err, codes.Unavailable, "the store does not answer")
				}
				set(there)
				time.Sleep(5 * time.Second)
				srv.Drain()
				time.Sleep(5 * time.Second)
				got, err := srv.Health().Check(ctx, &healthv1.HealthCheckRequest{})
				if err != nil || got.GetStatus() != healthv1.HealthCheckResponse_NOT_SERVING {
					t.Errorf("health of a server that drains = %v, %v", got.GetStatus(), err)
				}
			})
		})
	}
}

// hanging is a store whose head does not arrive while it hangs.
type hanging struct {
	failing

	hangs func() bool
}

func (h hanging) Head(ctx context.Context) (uint64, error) {
	if h.hangs() {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return h.failing.Head(ctx)
}

// TestMonitorForgivesOnce makes single checks of the store fail: the server keeps
// serving.
func TestMonitorForgivesOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int64
		srv := server.New(failing{memory.New(), func() error {
			if looks.Add(1)%2 == 1 {
				return errors.New("not now")
			}
			return nil
		}})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go srv.Monitor(ctx)
		for range 20 {
			time.Sleep(500 * time.Millisecond)
			got, err := srv.Health().Check(ctx, &healthv1.HealthCheckRequest{})
			if err != nil || got.GetStatus() != healthv1.HealthCheckResponse_SERVING {
				t.Fatalf("health = %v, %v, after %d checks, every other of which failed", got.GetStatus(), err, looks.Load())
			}
		}
		if n := looks.Load(); n < 5 {
			t.Errorf("%d checks in 10 s, want one per second", n)
		}
	})
}

// TestServeMonitors checks that Serve monitors its store by itself.
func TestServeMonitors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var logged lockedBuffer
		srv := server.New(failing{memory.New(), func() error { return errors.New("nobody is there") }},
			server.WithLogger(slog.New(slog.NewTextHandler(&logged, nil))))
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- srv.Serve(ctx, bufconn.Listen(1<<10)) }()
		time.Sleep(5 * time.Second)
		got, err := srv.Health().Check(ctx, &healthv1.HealthCheckRequest{})
		if err != nil || got.GetStatus() != healthv1.HealthCheckResponse_NOT_SERVING {
			t.Errorf("health = %v, %v; want NOT_SERVING", got.GetStatus(), err)
		}
		if strings.Count(logged.String(), "answers=false") != 1 {
			t.Errorf("the log is %q, want the change of the health once", logged.String())
		}
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
}
