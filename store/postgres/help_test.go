package postgres_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
)

// limit is the time after which a test that hangs ends.
const limit = time.Minute

// within returns a context for a test, which ends after limit.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func batch(n int) []store.Event {
	events := make([]store.Event, n)
	for i := range events {
		events[i] = store.Event{
			ID: store.NewID(), Type: "Happened", ContentType: "application/json", Data: []byte(`{"n":1}`),
			Meta: store.Metadata{CorrelationID: "request", ActorID: "ann"},
		}
	}
	return events
}

func stream(n int) store.Stream { return store.Stream{Type: "A", ID: strconv.Itoa(n)} }

// connect returns a connection, and closes it when the test ends.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// newPool returns a pool that New accepts, after change has changed its config.
func newPool(t *testing.T, url string, change ...func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(config)
	}
	postgres.Configure(config)
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// plainPool returns a pool that New does not accept.
func plainPool(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// execute runs query on a connection of its own.
func execute(t *testing.T, url, query string) {
	t.Helper()
	if _, err := connect(t, url).Exec(context.Background(), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// appendTo appends n events. It fails if the append does not succeed.
func appendTo(t *testing.T, st store.Store, s store.Stream, n int) store.Appended {
	t.Helper()
	got, err := st.Append(context.Background(), s, store.Any, batch(n))
	if err != nil {
		t.Fatalf("Append to %s: %v", s, err)
	}
	return got
}

// positions returns the positions of the whole log.
func positions(t *testing.T, log store.Log) []uint64 {
	t.Helper()
	var all []uint64
	for o := (store.LogOptions{}); ; {
		page, err := log.ReadAll(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Events {
			all = append(all, page.Events[i].Position)
		}
		if page.End {
			return all
		}
		o.From = page.Next
	}
}

// upTo returns 1 to n.
func upTo(n int) []uint64 {
	all := make([]uint64, n)
	for i := range all {
		all[i] = uint64(i) + 1
	}
	return all
}
