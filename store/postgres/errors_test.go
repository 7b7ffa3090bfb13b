package postgres_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// cable is a connection that can be cut after the next write, so that the answer is
// lost.
type cable struct {
	net.Conn
	cut *atomic.Bool
}

func (c cable) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.cut.Load() {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// wired returns a store, and a function that cuts its connections.
func wired(t *testing.T, url string, options ...postgres.Option) (*postgres.Store, *atomic.Bool) {
	t.Helper()
	var cut atomic.Bool
	pool := newPool(t, url, func(config *pgxpool.Config) {
		dial := config.ConnConfig.DialFunc
		config.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return cable{conn, &cut}, err
		}
	})
	st, err := postgres.New(context.Background(), pool, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st, &cut
}

// TestLostAnswer checks that an append whose answer is lost has an unknown outcome, and
// that repeating it shows that it was made.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	st, cut := wired(t, url)
	appendTo(t, st, stream(1), 1)
	cut.Store(true)
	events := batch(2)
	_, err := st.Append(ctx, stream(1), store.Exactly(1), events)
	if !errors.Is(err, postgres.ErrUnavailable) || store.Definite(err) {
		t.Fatalf("Append whose answer is lost = %v, want ErrUnavailable, not definite", err)
	}
	cut.Store(false)
	var got store.Appended
	for range 10 { // until the pool has no more connections that were cut
		if got, err = st.Append(ctx, stream(1), store.Exactly(1), events); err == nil {
			break
		}
	}
	if want := (store.Appended{Version: 3, Position: 3, Replayed: true}); err != nil || got != want {
		t.Errorf("Append again = %+v, %v; want %+v", got, err, want)
	}
}

// TestKilledWhileWaiting checks that an append fails in time, and is not made, if the
// server ends its connection while it waits for the log.
func TestKilledWhileWaiting(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	st, pool := open(t, url), newPool(t, url)
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if _, err := st.WithTx(ctx, tx).Append(stream(1), store.Any, batch(1)); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	events := batch(1)
	go func() {
		_, err := st.Append(ctx, stream(2), store.Any, events)
		failed <- err
	}()
	admin := connect(t, url)
	for killed := 0; killed == 0; {
		err := admin.QueryRow(ctx, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "+
			"WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&killed)
		if err != nil {
			t.Fatal(err)
		}
	}
	var typed *postgres.Error
	if err := <-failed; !errors.Is(err, postgres.ErrUnavailable) || !errors.As(err, &typed) || typed.Code != "57P01" || store.Definite(err) {
		t.Errorf("Append whose connection was ended = %v, want ErrUnavailable with code 57P01", err)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if got, err := st.Append(ctx, stream(2), store.Any, events); err != nil || got.Replayed || got.Position != 2 {
		t.Errorf("Append again = %+v, %v; want position 2, not replayed", got, err)
	}
}

// TestTooManyConnections checks that a server without a free connection is unavailable
// at once.
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	role := "evolve_lone_" + store.NewID()[:8]
	execute(t, url, "CREATE ROLE "+role+" LOGIN CONNECTION LIMIT 0")
	t.Cleanup(func() { execute(t, url, "DROP ROLE "+role) })
	pool := newPool(t, url, func(config *pgxpool.Config) { config.ConnConfig.User = role })
	var typed *postgres.Error
	_, err := postgres.New(within(t), pool)
	if !errors.Is(err, postgres.ErrUnavailable) || !errors.As(err, &typed) || typed.Code != "53300" || store.Definite(err) {
		t.Errorf("New without a connection left = %v, want ErrUnavailable with code 53300", err)
	}
}

// TestPoolInUse checks that calls end with their contexts when all connections are in
// use.
func TestPoolInUse(t *testing.T) {
	t.Parallel()
	ctx, pool := within(t), newPool(t, postgrestest.URL(t))
	st, err := postgres.New(ctx, pool)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for range pool.Config().MaxConns {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err1 := st.Append(short, stream(1), store.Any, batch(1))
	_, err2 := st.Read(short, stream(1), store.ReadOptions{})
	_, err3 := st.Head(short)
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call without a connection = %v, want DeadlineExceeded", err)
		}
	}
}

// grouped makes st run appends in as few groups as possible: it begins them while a
// transaction holds the log and both lanes wait for it.
func grouped(t *testing.T, st *postgres.Store, url string, appends ...func()) {
	t.Helper()
	groupedThen(t, st, url, func() {}, appends...)
}

// groupedThen is grouped, and calls do when all the appends are waiting.
func groupedThen(t *testing.T, st *postgres.Store, url string, do func(), appends ...func()) {
	t.Helper()
	ctx, pool := within(t), newPool(t, url)
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	for _, query := range []string{
		"INSERT INTO evolve.log (name) VALUES (''), ('default') ON CONFLICT DO NOTHING", "SELECT FROM evolve.log FOR UPDATE",
	} {
		if _, err := tx.Exec(ctx, query); err != nil {
			t.Fatal(err)
		}
	}
	var appending sync.WaitGroup
	for n := 0; waitingForLocks(ctx, t, pool) < 2; n++ {
		appending.Go(func() { appendTo(t, st, store.Stream{Type: "Filler", ID: strconv.Itoa(n)}, 1) })
	}
	before := postgres.Queued(st)
	for _, do := range appends {
		appending.Go(do)
	}
	for postgres.Queued(st) < before+len(appends) {
		if ctx.Err() != nil {
			t.Fatalf("%d appends are waiting, want %d", postgres.Queued(st)-before, len(appends))
		}
		runtime.Gosched()
	}
	do()
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	appending.Wait()
}

// waitingForLocks returns the number of connections to the database that wait for a
// lock.
func waitingForLocks(ctx context.Context, t *testing.T, pool *pgxpool.Pool) (n int) {
	t.Helper()
	const query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
	if err := pool.QueryRow(ctx, query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestNeighbours checks that an append that the database refuses does not make other
// appends of its group fail.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	st := open(t, url)
	execute(t, url, "ALTER TABLE evolve.event ADD CONSTRAINT refused CHECK (type <> 'Refused')")
	const n = 40
	appends := make([]func(), n)
	for i := range appends {
		events, refused := batch(2), i%5 == 0
		if refused {
			events[1].Type = "Refused"
		}
		appends[i] = func() {
			_, err := st.Append(context.Background(), stream(i), store.NoStream, events)
			if !refused && err != nil || refused && (err == nil || !strings.Contains(err.Error(), "refused")) {
				t.Errorf("Append in a group, refused: %t, = %v", refused, err)
			}
		}
	}
	grouped(t, st, url, appends...)
	for i := range n {
		page, err := st.Read(context.Background(), stream(i), store.ReadOptions{})
		if want := 2; err != nil || len(page.Events) != want && i%5 != 0 || len(page.Events) != 0 && i%5 == 0 {
			t.Errorf("stream %d has %d events, %v", i, len(page.Events), err)
		}
	}
}

// TestSameInAGroup checks a group with several appends of one batch to one stream: one
// is recorded and the others are its replays. Of several appends that take one key, one
// succeeds.
func TestSameInAGroup(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	st := open(t, url)
	events := batch(2)
	const n = 6
	var recorded, replayed, claimed, refused atomic.Int64
	var appends []func()
	for i := range n {
		appends = append(appends, func() {
			got, err := st.Append(context.Background(), stream(1), store.NoStream, events)
			switch {
			case err != nil || got.Version != 2:
				t.Errorf("Append of one batch in a group = %+v, %v; want version 2", got, err)
			case got.Replayed:
				replayed.Add(1)
			default:
				recorded.Add(1)
			}
		}, func() {
			_, err := st.AppendClaiming(context.Background(), stream(2+i), store.NoStream, batch(1), []store.Claim{{Key: "seat"}})
			switch {
			case err == nil:
				claimed.Add(1)
			case errors.Is(err, store.ErrClaimed):
				refused.Add(1)
			default:
				t.Errorf("AppendClaiming in a group = %v", err)
			}
		})
	}
	grouped(t, st, url, appends...)
	if got := [4]int64{recorded.Load(), replayed.Load(), claimed.Load(), refused.Load()}; got != [4]int64{1, n - 1, 1, n - 1} {
		t.Errorf("recorded, replayed, claimed, refused = %v, want 1, %d, 1, %[2]d", got, n-1)
	}
}
