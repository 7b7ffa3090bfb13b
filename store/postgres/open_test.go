package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// TestMigrateAtOnce checks that if several instances start at once, one creates the
// schema, and all work.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	var starting sync.WaitGroup
	for i := range 10 {
		starting.Go(func() {
			st, err := postgres.Open(context.Background(), url)
			if err != nil {
				t.Errorf("Open, concurrently with 9 others: %v", err)
				return
			}
			defer st.Close()
			if _, err := st.Append(context.Background(), stream(i), store.NoStream, batch(1)); err != nil {
				t.Error(err)
			}
		})
	}
	starting.Wait()
	if got := positions(t, open(t, url, postgres.WithoutMigrate())); !slices.Equal(got, upTo(10)) {
		t.Errorf("the log has the positions %v, want 1 to 10", got)
	}
}

// TestMigrations checks that the migration files alone create the schema.
func TestMigrations(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	files, err := fs.Glob(postgres.Migrations, "migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("Migrations = %v, %v", files, err)
	}
	execute(t, url, "CREATE SCHEMA evolve")
	for _, file := range files {
		script, err := fs.ReadFile(postgres.Migrations, file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := connect(t, url).PgConn().Exec(context.Background(), string(script)).ReadAll(); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	appendTo(t, open(t, url, postgres.WithoutMigrate()), stream(1), 1)
	appendTo(t, open(t, url), stream(1), 1)
}

func TestSchemasAreApart(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	a, b := open(t, url, postgres.WithSchema("a")), open(t, url, postgres.WithSchema("b_2"))
	appendTo(t, a, stream(1), 2)
	appendTo(t, b, stream(1), 1)
	if got := positions(t, a); !slices.Equal(got, upTo(2)) {
		t.Errorf("schema a has the positions %v, want 1 and 2", got)
	}
	var there bool
	if err := connect(t, url).QueryRow(context.Background(), "SELECT to_regnamespace('evolve') IS NOT NULL").Scan(&there); err != nil || there {
		t.Errorf("there is a schema evolve: %t, %v", there, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		before  []postgres.Option // opens the schema before, if not nil
		sql     string            // runs after that
		options []postgres.Option
		want    error
	}{
		"no schema": {options: []postgres.Option{postgres.WithoutMigrate()}, want: postgres.ErrNoSchema},
		"a newer schema": {
			before: []postgres.Option{}, sql: "INSERT INTO evolve.migration VALUES (99)", want: postgres.ErrNewerSchema,
		},
		"a newer schema, not migrated": {
			before: []postgres.Option{}, sql: "INSERT INTO evolve.migration VALUES (99)",
			options: []postgres.Option{postgres.WithoutMigrate()}, want: postgres.ErrNewerSchema,
		},
		"an old schema": {
			before: []postgres.Option{}, sql: "DELETE FROM evolve.migration",
			options: []postgres.Option{postgres.WithoutMigrate()}, want: postgres.ErrNoSchema,
		},
		"a shared log opened as one log per tenant": {
			before: []postgres.Option{}, options: []postgres.Option{postgres.WithLogPerTenant()}, want: postgres.ErrOtherLayout,
		},
		"one log per tenant opened as a shared log": {
			before: []postgres.Option{postgres.WithLogPerTenant()}, want: postgres.ErrOtherLayout,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := postgrestest.URL(t)
			if tt.before != nil {
				open(t, url, tt.before...)
			}
			if tt.sql != "" {
				execute(t, url, tt.sql)
			}
			var typed *postgres.Error
			_, err := postgres.Open(context.Background(), url, tt.options...)
			if !errors.Is(err, tt.want) || !errors.As(err, &typed) {
				t.Errorf("Open = %v, want %v", err, tt.want)
			}
		})
	}
}

// TestOpenWithoutRight checks the error for a role that may not create a schema.
func TestOpenWithoutRight(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	role := "evolve_poor_" + store.NewID()[:8]
	execute(t, url, "CREATE ROLE "+role+" LOGIN")
	t.Cleanup(func() { execute(t, url, "DROP ROLE "+role) })
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	poor := strings.Replace(url, "user="+config.User, "user="+role, 1)
	if poor == url {
		t.Skip("NOT TESTED: the server's URL does not have user=")
	}
	if _, err := postgres.Open(context.Background(), poor); !errors.Is(err, postgres.ErrDenied) {
		t.Errorf("Open as a role without privileges = %v, want ErrDenied", err)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	t.Run("no server", func(t *testing.T) {
		t.Parallel()
		var typed *postgres.Error
		_, err := postgres.Open(context.Background(), "postgres:///db?user=nobody&host="+filepath.ToSlash(t.TempDir()))
		if !errors.Is(err, postgres.ErrUnavailable) || !errors.As(err, &typed) {
			t.Errorf("Open = %v, want ErrUnavailable", err)
		}
	})
	t.Run("nobody answers", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		silent, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		if _, err := postgres.Open(ctx, "postgres://nobody@"+silent.Addr().String()+"/db"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Open = %v, want DeadlineExceeded", err)
		}
	})
	t.Run("not a URL", func(t *testing.T) {
		t.Parallel()
		_, err := postgres.Open(ctx, "postgres://user:secret@host:port/db")
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("Open = %v, want an error without the password", err)
		}
	})
}

// TestOptionsRefuse checks that invalid option values, which a user may have typed,
// lead to an error and not to a panic.
func TestOptionsRefuse(t *testing.T) {
	t.Parallel()
	options := map[string]postgres.Option{"no interval": postgres.WithPollOnly(0), "a negative interval": postgres.WithPollOnly(-1)}
	for _, name := range []string{
		"", "a.b", `a"b`, "a'b", "a b", "a\nb", "1a", "a$$b", "pg_a", "é", "--", strings.Repeat("a", 41),
	} {
		options[fmt.Sprintf("schema %q", name)] = postgres.WithSchema(name)
	}
	for name, option := range options {
		_, err1 := postgres.Open(context.Background(), "postgres://nobody@127.0.0.1:1/db", option)
		_, err2 := postgres.New(context.Background(), nil, option)
		for _, err := range []error{err1, err2} {
			var invalid *store.InvalidError
			if !errors.As(err, &invalid) || invalid.Field != "schema" && invalid.Field != "poll" {
				t.Errorf("%s: %v, want an *InvalidError about it", name, err)
			}
		}
	}
}

// TestSchemaNames checks that keywords of SQL work as schema names.
func TestSchemaNames(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	for _, name := range []string{"order", "user", "Orders", "orders", "_", "my_evolve", "evolve", strings.Repeat("a", 40)} {
		schema := postgres.WithSchema(name)
		reader := open(t, url, schema)
		postgres.NeverPoll(reader)
		writer := open(t, url, schema)
		if got := pingPong(t, reader, writer, 5, func(int) {}); !slices.Equal(got, upTo(5)) {
			t.Errorf("schema %q: Subscribe yielded %v, want 1 to 5", name, got)
		}
		var there bool
		query := "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)"
		if err := connect(t, url).QueryRow(context.Background(), query, name).Scan(&there); err != nil || !there {
			t.Errorf("there is no schema %q, %v", name, err)
		}
		claims := []store.Claim{{Key: "seat"}}
		if _, err := writer.AppendClaiming(context.Background(), stream(2), store.Any, batch(2), claims); err != nil {
			t.Errorf("schema %q: AppendClaiming: %v", name, err)
		}
	}
}

// TestAlone checks that an append that runs alone is one statement, and so is its
// conflict, if the connections are set up as those of Open.
func TestAlone(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	appendTo(t, open(t, url), stream(1), 1) // the first append creates the log
	execute(t, url, "ALTER FUNCTION evolve.append RENAME TO other")
	pool := newPool(t, url, func(config *pgxpool.Config) {
		maps.Copy(config.ConnConfig.RuntimeParams, map[string]string{
			"enable_seqscan": "off", "enable_sort": "off", "plan_cache_mode": "force_generic_plan", "lock_timeout": "10s",
		})
	})
	for i, pool := range []*pgxpool.Pool{nil, pool, newPool(t, url)} {
		st := open(t, url)
		if pool != nil {
			var err error
			if st, err = postgres.New(ctx, pool); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { st.Close() })
		}
		for n := 1; n <= 2; n++ {
			s := store.Stream{Type: "B", ID: fmt.Sprint(i, n)}
			_, err1 := st.Append(ctx, s, store.NoStream, batch(n))
			_, err2 := st.Append(ctx, s, store.NoStream, batch(n))
			if plain := i == 2; plain && !errors.Is(err1, postgres.ErrNoSchema) || !plain && (err1 != nil || !isConflict(err2, uint64(n))) {
				t.Errorf("Append of %d events without the function, in pool %d = %v, and again %v", n, i, err1, err2)
			}
		}
	}
}
