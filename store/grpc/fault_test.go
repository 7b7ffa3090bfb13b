package grpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	gogrpc "google.golang.org/grpc"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// patience is how long a test waits for something that must happen.
const patience = time.Minute

// added is the only event of a counter, and also its command.
type added struct {
	N int `json:"n"`
}

func counter() decider.Decider[int, int, added] {
	return decider.New(
		func(n, _ int) ([]added, error) { return []added{{n}}, nil },
		func(sum int, e added) int { return sum + e.N },
	)
}

// backends returns servers that keep their events while nobody can reach them: ours,
// and one that knows nothing about this package.
func backends() map[string]func() registrar {
	return map[string]func() registrar{
		"ours":    func() registrar { return server.New(memory.New()) },
		"foreign": func() registrar { return newForeign().with(quirks{Details: "bare", Ends: "short"}) },
	}
}

// with gives the default tenant these quirks.
func (f *foreign) with(q quirks) *foreign {
	if q.Page == 0 {
		q.Page = 1000
	}
	f.tenant(store.DefaultTenant).quirks = q
	return f
}

// TestCommandsLandOnce sends commands over connections that break at any moment, and
// repeats each until there is an answer.
func TestCommandsLandOnce(t *testing.T) {
	t.Parallel()
	for name, srv := range backends() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := listen(t, srv())
			way := startProxy(t, addr, 4000)
			st := openAnyway(t, way.Addr().String())
			counters := runner.New("Counter", counter(), st, codec.JSON(map[string]added{"Added": {}}))
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			const clients, each = 4, 20
			var all sync.WaitGroup
			for i := range clients {
				all.Go(func() {
					for n := range each {
						id := fmt.Sprintf("command %d of client %d", n, i)
						_, err := counters.Handle(ctx, "c", 1+i*each+n, runner.CommandID(id))
						for err != nil && ctx.Err() == nil {
							_, err = counters.Handle(ctx, "c", 1+i*each+n, runner.CommandID(id))
						}
						if err != nil {
							t.Errorf("%s: %v", id, err)
							return
						}
					}
				})
			}
			all.Wait()
			way.wantCuts(t, 5)
			loaded, err := runner.New("Counter", counter(), open(t, addr), codec.JSON(map[string]added{"Added": {}})).Load(ctx, "c")
			const total = clients * each
			if want := total * (total + 1) / 2; err != nil || loaded.Version != total || loaded.State != want {
				t.Fatalf("after %d commands that were all answered: version %d, sum %d, %v; want version %d, sum %d",
					total, loaded.Version, loaded.State, err, total, want)
			}
		})
	}
}

// openAnyway opens a store over connections that may break.
func openAnyway(t *testing.T, addr string, options ...grpc.Option) *grpc.Store {
	t.Helper()
	options = append([]grpc.Option{grpc.Plaintext()}, options...)
	st, err := grpc.Open(t.Context(), addr, options...)
	for n := 0; err != nil && n < 20; n++ {
		st, err = grpc.Open(t.Context(), addr, options...)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return st
}

// numbered returns an event with the number n, the same each time.
func numbered(n int) store.Event {
	return store.Event{ID: "number " + strconv.Itoa(n), Type: "Numbered", Schema: 1, Data: []byte(strconv.Itoa(n)), Time: time.Unix(1, 0)}
}

// takeNumbers subscribes until it has the numbers up to n, which must come in order.
func takeNumbers(ctx context.Context, log store.Log, n int) error {
	next := 1
	for page, err := range log.Subscribe(ctx, store.LogOptions{Limit: 7}) {
		if err != nil {
			return fmt.Errorf("after number %d: %w", next-1, err)
		}
		for i := range page.Events {
			if got := string(page.Events[i].Data); got != strconv.Itoa(next) {
				return fmt.Errorf("number %s came after number %d", got, next-1)
			}
			next++
		}
		if next > n {
			return nil
		}
	}
	return errors.New("Subscribe ended without an error")
}

// TestSubscriptionOutlivesItsConnections subscribes over connections that break at any
// moment, while others append.
func TestSubscriptionOutlivesItsConnections(t *testing.T) {
	t.Parallel()
	for name, srv := range backends() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := listen(t, srv())
			way := startProxy(t, addr, 4000)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			const n = 600
			direct, st := open(t, addr), openAnyway(t, way.Addr().String())
			taken := make(chan error, 1)
			go func() { taken <- takeNumbers(ctx, st, n) }()
			s := store.Stream{Type: "Numbers", ID: "n"}
			for i := range n {
				if _, err := direct.Append(ctx, s, store.Exactly(uint64(i)), []store.Event{numbered(i + 1)}); err != nil {
					t.Fatal(err)
				}
			}
			if err := <-taken; err != nil {
				t.Fatal(err)
			}
			way.wantCuts(t, 2)
		})
	}
}

// TestSubscriptionOverPoorConnections subscribes over connections that break before
// they have carried a page of the usual size.
func TestSubscriptionOverPoorConnections(t *testing.T) {
	t.Parallel()
	for name, srv := range backends() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := listen(t, srv())
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			const n = 600
			events := make([]store.Event, n)
			for i := range events {
				events[i] = numbered(i + 1)
			}
			if _, err := open(t, addr).Append(ctx, store.Stream{Type: "Numbers", ID: "n"}, store.NoStream, events); err != nil {
				t.Fatal(err)
			}
			way := startProxy(t, addr, 4000)
			if err := takeNumbers(ctx, openAnyway(t, way.Addr().String()), n); err != nil {
				t.Fatal(err)
			}
			way.wantCuts(t, 2)
		})
	}
}

// house is an address at which servers come and go.
type house struct {
	tb     testing.TB
	addr   string
	server *gogrpc.Server
	served chan error
}

func (h *house) start(service registrar) {
	h.tb.Helper()
	addr := h.addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	listener, err := new(net.ListenConfig).Listen(h.tb.Context(), "tcp", addr)
	if err != nil {
		h.tb.Fatal(err)
	}
	h.addr = listener.Addr().String()
	h.server, h.served = gogrpc.NewServer(), make(chan error, 1)
	service.Register(h.server)
	srv, served := h.server, h.served
	go func() { served <- srv.Serve(listener) }()
}

// stop kills the server.
func (h *house) stop() {
	h.server.Stop()
	if err := <-h.served; err != nil && !errors.Is(err, gogrpc.ErrServerStopped) {
		h.tb.Errorf("Serve: %v", err)
	}
}

// TestServerRestartsUnderLoad kills and restarts the server while one client appends
// and another subscribes.
func TestServerRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	for name, srv := range backends() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := srv()
			h := &house{tb: t}
			h.start(service)
			defer func() { h.stop() }()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			const n, restarts = 200, 4
			writer, reader := open(t, h.addr), open(t, h.addr)
			taken := make(chan error, 1)
			go func() { taken <- takeNumbers(ctx, reader, n) }()
			half := make(chan struct{}, n)
			written := make(chan error, 1)
			go func() { written <- writeNumbers(ctx, writer, n, half) }()
			for range restarts {
				for range n / (restarts + 1) {
					<-half
				}
				h.stop()
				h.start(service)
			}
			if err := errors.Join(<-written, <-taken); err != nil {
				t.Fatal(err)
			}
			page, err := reader.Read(ctx, store.Stream{Type: "Numbers", ID: "n"}, store.ReadOptions{Backward: true, Limit: 1})
			if err != nil || page.Head != n {
				t.Fatalf("the stream is at version %d, %v; want %d", page.Head, err, n)
			}
		})
	}
}

// writeNumbers appends the numbers up to n. It repeats each until there is an answer.
func writeNumbers(ctx context.Context, st store.Store, n int, done chan<- struct{}) error {
	for i := range n {
		for {
			_, err := st.Append(ctx, store.Stream{Type: "Numbers", ID: "n"}, store.Exactly(uint64(i)), []store.Event{numbered(i + 1)})
			if err == nil {
				break
			}
			if store.Definite(err) || ctx.Err() != nil {
				return fmt.Errorf("number %d: %w", i+1, err)
			}
		}
		done <- struct{}{}
	}
	return nil
}

// TestSubscriptionNoticesAnotherLog replaces the server with one that has a different
// log: without the events, with fewer of them, or with others in their place.
func TestSubscriptionNoticesAnotherLog(t *testing.T) {
	t.Parallel()
	for name, srv := range backends() {
		for log, first := range map[string][]int{"empty": nil, "shorter": {1, 2}, "other": {7, 8, 9, 10, 11}, "longer": {1, 2, 9, 10, 11}} {
			t.Run(name+", "+log, func(t *testing.T) {
				t.Parallel()
				h := &house{tb: t}
				h.start(filled(t, srv(), 1, 2, 3))
				defer func() { h.stop() }()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				st := open(t, h.addr)
				seen := 0
				for page, err := range st.Subscribe(ctx, store.LogOptions{}) {
					if seen += len(page.Events); page.End && seen == 3 {
						h.stop()
						h.start(filled(t, srv(), first...))
						seen++
						continue
					}
					var diverged *store.DivergedError
					if seen > 4 || errors.As(err, &diverged) != errors.Is(err, store.ErrLogDiverged) {
						t.Fatalf("after the third event Subscribe yielded %+v, %v", page, err)
					}
					if err != nil {
						want, found := store.Checkpoint{Position: 3, EventID: "number 3"}, ""
						if len(first) > 2 {
							found = "number 9"
						}
						if diverged == nil || diverged.Checkpoint != want || diverged.Found != found {
							t.Fatalf("Subscribe ended with %v, want a *DivergedError about %+v that found %q", err, want, found)
						}
						return
					}
				}
				t.Fatal("Subscribe ended without an error")
			})
		}
	}
}

// filled returns service with the numbers in its log.
func filled(t *testing.T, service registrar, numbers ...int) registrar {
	t.Helper()
	st := open(t, listen(t, service))
	for _, n := range numbers {
		if _, err := st.Append(t.Context(), store.Stream{Type: "Numbers", ID: "n"}, store.Any, []store.Event{numbered(n)}); err != nil {
			t.Fatal(err)
		}
	}
	return service
}
