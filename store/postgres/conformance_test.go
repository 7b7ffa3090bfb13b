package postgres_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
	"github.com/evolvego/evolve/store/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	var schemas atomic.Int64
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		return open(t, url, postgres.WithSchema(fmt.Sprintf("s%d", schemas.Add(1))))
	})
}

func TestDurable(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	var schemas atomic.Int64
	storetest.RunDurable(t, func(t *testing.T) func() store.Store {
		t.Helper()
		schema := postgres.WithSchema(fmt.Sprintf("s%d", schemas.Add(1)))
		return func() store.Store { return open(t, url, schema) }
	})
}

// TestRefusedWrites checks that writes that the server refuses have not happened.
func TestRefusedWrites(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	var schemas atomic.Int64
	storetest.RunRefused(t, func(t *testing.T) (store.Store, func(bool)) {
		t.Helper()
		schema := fmt.Sprintf("s%d", schemas.Add(1))
		st := open(t, url, postgres.WithSchema(schema))
		execute(t, url, fmt.Sprintf("CREATE FUNCTION %[1]s.no_space() RETURNS trigger LANGUAGE plpgsql AS "+
			"$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$; "+
			"CREATE TRIGGER no_space BEFORE INSERT ON %[1]s.event EXECUTE FUNCTION %[1]s.no_space(); "+
			"ALTER TABLE %[1]s.event DISABLE TRIGGER no_space", schema))
		return st, func(refused bool) {
			t.Helper()
			how := map[bool]string{true: "ENABLE", false: "DISABLE"}[refused]
			execute(t, url, fmt.Sprintf("ALTER TABLE %s.event %s TRIGGER no_space", schema, how))
		}
	})
}

// TestConformanceOfPool checks a store with the caller's own pool, where the database
// function makes each append.
func TestConformanceOfPool(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("NOT TESTED with -short: conformance with the caller's own pool")
	}
	url := postgrestest.URL(t)
	var schemas atomic.Int64
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		st, err := postgres.New(context.Background(), newPool(t, url), postgres.WithSchema(fmt.Sprintf("s%d", schemas.Add(1))))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		return st
	})
}

// open opens the store at url, and closes it when the test ends.
func open(tb testing.TB, url string, options ...postgres.Option) *postgres.Store {
	tb.Helper()
	st, err := postgres.Open(context.Background(), url, options...)
	if err != nil {
		tb.Fatalf("Open(%q): %v", url, err)
	}
	tb.Cleanup(func() {
		if err := st.Close(); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	return st
}
