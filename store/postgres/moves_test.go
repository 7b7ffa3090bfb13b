package postgres_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// host is a server name: an address whose new connections lead to the current socket.
// It can also stop all bytes on the existing connections.
type host struct {
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	socket string        // guarded by mu
	stuck  chan struct{} // closed to stop the bytes of the connections made since it was set; guarded by mu
	conns  []net.Conn    // guarded by mu
}

func newHost(t *testing.T, socket string) *host {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &host{listener: listener, socket: socket, stuck: make(chan struct{})}
	h.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			h.mu.Lock()
			socket, stuck := h.socket, h.stuck
			h.conns = append(h.conns, conn)
			h.mu.Unlock()
			h.running.Go(func() { h.pass(conn, socket, stuck) })
		}
	})
	t.Cleanup(h.close)
	return h
}

func (h *host) close() {
	_ = h.listener.Close()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, conn := range h.conns {
		_ = conn.Close()
	}
	h.mu.Unlock()
	h.running.Wait()
	h.mu.Lock()
}

func (h *host) pass(conn net.Conn, socket string, stuck <-chan struct{}) {
	defer conn.Close()
	server, err := (&net.Dialer{}).DialContext(context.Background(), "unix", socket)
	if err != nil {
		return
	}
	defer server.Close()
	h.running.Go(func() { _, _ = io.Copy(server, held{conn, stuck}); _ = server.Close() })
	_, _ = io.Copy(conn, held{server, stuck})
}

// held is a connection whose bytes are dropped once stuck is closed.
type held struct {
	net.Conn
	stuck <-chan struct{}
}

func (h held) Read(p []byte) (int, error) {
	for {
		n, err := h.Conn.Read(p)
		select {
		case <-h.stuck:
			if err == nil {
				continue
			}
		default:
		}
		return n, err
	}
}

// leadTo makes new connections lead to another socket.
func (h *host) leadTo(socket string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.socket = socket
}

// stick stops all bytes on the existing connections forever.
func (h *host) stick() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.stuck)
	h.stuck = make(chan struct{})
}

// url returns the URL of the database at dbURL with the host's name.
func (h *host) url(t *testing.T, dbURL string) string {
	t.Helper()
	return "postgres://postgres@" + h.listener.Addr().String() + "/" + databaseOf(t, dbURL) + "?sslmode=disable"
}

func databaseOf(t *testing.T, url string) string {
	t.Helper()
	path, _, _ := strings.Cut(url, "?")
	return path[strings.LastIndex(path, "/")+1:]
}

// TestNameMoves moves a name from a server, which stays up but is read-only, to the
// promoted server. After that, at most two calls of all writers and readers may fail,
// and subscriptions must continue, including those that only listen.
func TestNameMoves(t *testing.T) {
	t.Parallel()
	old := postgrestest.Start(t)
	dbURL := old.URL(t)
	name := newHost(t, old.Socket())
	url := name.url(t, dbURL)
	st := open(t, url)
	appendTo(t, st, stream(0), 1)
	next := old.Standby(t, "b")
	listener, poller := open(t, url), open(t, url, postgres.WithPollOnly(20*time.Millisecond))
	postgres.NeverPoll(listener)
	for _, reader := range []*postgres.Store{listener, poller} {
		postgres.Hurry(reader, 50*time.Millisecond, 15*time.Second)
	}
	ctx := within(t)
	seen := make(chan []uint64, 2)
	for _, reader := range []*postgres.Store{listener, poller} {
		go func() { seen <- followed(ctx, reader, "End") }()
	}

	var moved, stop atomic.Bool
	var failed, succeeded atomic.Int64
	var writing sync.WaitGroup
	for w := range 6 {
		writing.Go(func() {
			for !stop.Load() {
				after := moved.Load()
				_, err1 := st.Append(ctx, stream(w), store.Any, batch(1))
				_, err2 := st.Read(ctx, stream(w), store.ReadOptions{})
				switch {
				case !after:
				case err1 != nil || err2 != nil:
					failed.Add(1)
					t.Logf("after the move: %v, %v", err1, err2)
				default:
					succeeded.Add(1)
				}
			}
		})
	}
	old.Set(t, "default_transaction_read_only", "on")
	for refused := false; !refused; { // and until all connections of the pool have seen it
		_, err := st.Append(ctx, stream(0), store.Any, batch(1))
		refused = errors.Is(err, postgres.ErrReadOnly) && store.Definite(err)
	}
	for old.Sent(t) > next.Received(t) {
		time.Sleep(time.Millisecond)
	}
	next.Promote(t)
	name.leadTo(next.Socket())
	moved.Store(true)
	for succeeded.Load() < 100 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	stop.Store(true)
	writing.Wait()
	if failed.Load() > 2 || succeeded.Load() < 100 {
		t.Errorf("after the name moved, %d calls failed and %d succeeded, want at most 2 to fail", failed.Load(), succeeded.Load())
	}
	end := appendTo(t, st, store.Stream{Type: "End", ID: "1"}, 1)
	for range 2 {
		if got := <-seen; !slices.Equal(got, upTo(int(end.Position))) {
			t.Errorf("a subscription yielded %d positions, want 1 to %d", len(got), end.Position)
		}
	}
}

// TestBytesStop checks that a subscription, and an append, continue when the bytes on
// their connections stop although nobody closes the connections.
func TestBytesStop(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	dbURL := server.URL(t)
	name := newHost(t, server.Socket())
	reader, writer := open(t, name.url(t, dbURL)), open(t, dbURL)
	postgres.Hurry(reader, 50*time.Millisecond, 200*time.Millisecond)
	got := pingPong(t, reader, writer, 6, func(i int) {
		if i%2 == 1 {
			name.stick()
		}
	})
	if !slices.Equal(got, upTo(6)) {
		t.Errorf("Subscribe, after the bytes on its connections stopped, yielded %v, want 1 to 6", got)
	}
	appendTo(t, reader, stream(2), 1)
	name.stick()
	_, err := reader.Append(context.Background(), stream(2), store.Any, batch(1))
	if err != nil && (!errors.Is(err, postgres.ErrUnavailable) || store.Definite(err)) {
		t.Errorf("Append without a deadline, after its bytes stopped =  %v, want ErrUnavailable, not definite", err)
	}
}

// TestBytesStopForGood checks that a subscription ends with an error if new connections
// are silent too.
func TestBytesStopForGood(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	dbURL := server.URL(t)
	name := newHost(t, server.Socket())
	st := open(t, name.url(t, dbURL), postgres.WithPollOnly(5*time.Millisecond))
	postgres.Hurry(st, time.Hour, 50*time.Millisecond)
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", t.TempDir()+"/silent")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for page, err := range st.Subscribe(context.Background(), store.LogOptions{}) {
		if err != nil {
			if !errors.Is(err, postgres.ErrUnavailable) {
				t.Errorf("Subscribe to a silent server ended with %v, want ErrUnavailable", err)
			}
			return
		}
		if len(page.Events) > 0 {
			t.Fatalf("Subscribe yielded %+v", page)
		}
		name.leadTo(silent.Addr().String())
		name.stick()
	}
}

// TestSubscribeIsRefused checks that a subscription continues after the server has
// refused its reads for a while, because they waited too long for a lock or were
// cancelled.
func TestSubscribeIsRefused(t *testing.T) {
	t.Parallel()
	ctx, dbURL := within(t), postgrestest.URL(t)
	open(t, dbURL)
	for code, set := range map[string]string{"55P03": "lock_timeout", "57014": "statement_timeout"} {
		url := dbURL + "&application_name=" + code + "&options=-c%20" + set + "%3D30ms"
		reader := open(t, url, postgres.WithPollOnly(5*time.Millisecond))
		s := store.Stream{Type: "A", ID: code}
		var got []uint64
		for page, err := range reader.Subscribe(ctx, store.LogOptions{Filter: store.Filter{IDPrefix: code}}) {
			if err != nil {
				t.Fatalf("Subscribe, refused with %s for a while, ended with %v", code, err)
			}
			for i := range page.Events {
				got = append(got, page.Events[i].Version)
			}
			if len(got) == 2 {
				break
			}
			locked := connect(t, dbURL)
			if _, err := locked.Exec(ctx, "BEGIN; LOCK TABLE evolve.event IN ACCESS EXCLUSIVE MODE"); err != nil {
				t.Fatal(err)
			}
			if _, err := reader.Head(ctx); err == nil {
				t.Fatal("Head of a locked table succeeded")
			} else if typed, ok := errors.AsType[*postgres.Error](err); !ok || typed.Code != code {
				t.Errorf("Head of a locked table = %v, want code %s", err, code)
			}
			time.AfterFunc(100*time.Millisecond, func() {
				_, _ = locked.Exec(context.Background(), "COMMIT")
				appendTo(t, open(t, dbURL), s, 1)
			})
		}
		if !slices.Equal(got, []uint64{1, 2}) {
			t.Errorf("Subscribe, refused with %s for a while, yielded %v, want 1 and 2", code, got)
		}
	}
}
