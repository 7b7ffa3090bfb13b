// Package postgrestest gives tests databases of a real PostgreSQL server. It starts a
// server from the binaries of this machine, as an unprivileged user if the tests run as
// root, or uses the server at EVOLVE_POSTGRES_URL. All tests of the process share a
// server that it starts, which ends with the process, however that ends. It starts
// servers on Unix systems, such as Linux and macOS; on Windows, tests that need a server
// of their own are skipped, and all others need EVOLVE_POSTGRES_URL.
package postgrestest

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Env is the variable with the URL of the server to use, whose role must be able to
// create databases. If it is not set, a server is started.
const Env = "EVOLVE_POSTGRES_URL"

// URL returns the URL of a new, empty database. If the server was not started for the
// process, the database is dropped at the end of the test. Without a server it skips
// the test, or fails it if the variable CI is set.
func URL(tb testing.TB) string {
	tb.Helper()
	url, drop, err := Database(context.Background())
	if err != nil {
		unavailable(tb, err)
	}
	tb.Cleanup(drop)
	return url
}

func unavailable(tb testing.TB, err error) {
	tb.Helper()
	if os.Getenv("CI") != "" {
		tb.Fatalf("NO POSTGRESQL: %v", err)
	}
	tb.Skipf("NOT TESTED, NO POSTGRESQL: %v", err)
}

// Database is [URL] for code that is not a test, such as an example: it returns the URL
// and a function that drops the database.
func Database(ctx context.Context) (url string, drop func(), err error) {
	server, err := shared()
	if err != nil {
		return "", nil, err
	}
	return create(ctx, server.url())
}

// shared returns the server of this process.
var shared = sync.OnceValues(func() (*Server, error) { //nolint:gochecknoglobals // one for the process, which it ends with
	if url := os.Getenv(Env); url != "" {
		return &Server{given: url}, nil
	}
	s, err := start()
	if err != nil {
		return nil, fmt.Errorf("%w; or set %s to the URL of a server", err, Env)
	}
	return s, nil
})

// create creates a database on the server at base.
func create(ctx context.Context, base string) (url string, drop func(), err error) {
	name := "evolve_test_" + strings.ToLower(rand.Text())
	if err := execute(ctx, base, "CREATE DATABASE "+name); err != nil {
		return "", nil, err
	}
	url, err = inDatabase(base, name)
	if err != nil {
		return "", nil, err
	}
	return url, func() { //nolint:contextcheck // it is called later
		_ = execute(context.Background(), base, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	}, nil
}

// execute runs one statement on a connection of its own.
func execute(ctx context.Context, url, query string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, query)
	return err
}
