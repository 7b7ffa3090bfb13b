package main

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "github.com/lib/pq"              // the driver "postgres"
	_ "github.com/mattn/go-sqlite3"    // the driver "sqlite3"

	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// store is where events are kept.
type store interface {
	// place makes an empty place for a driver to open, and returns a function that
	// removes it.
	place(ctx context.Context) (at string, remove func(), err error)
	// durable reports whether events survive the driver.
	durable() bool
}

type memoryStore struct{}

func (memoryStore) place(context.Context) (string, func(), error) { return "", func() {}, nil }
func (memoryStore) durable() bool                                 { return false }

// sqliteStore makes files in the directory for temporary files.
type sqliteStore struct{}

func (sqliteStore) place(context.Context) (string, func(), error) {
	dir, err := os.MkdirTemp("", "peers")
	if err != nil {
		return "", nil, err
	}
	return filepath.Join(dir, "events.db"), func() { _ = os.RemoveAll(dir) }, nil
}

func (sqliteStore) durable() bool { return true }

// postgresStore makes databases in a server that the process starts, or in the server
// that EVOLVE_POSTGRES_URL names.
type postgresStore struct{}

func (postgresStore) place(ctx context.Context) (string, func(), error) {
	return postgrestest.Database(ctx)
}
func (postgresStore) durable() bool { return true }

// connections is how many connections to a database every library gets.
const connections = 4

// pooled opens a database by a driver of database/sql.
func pooled(driver, source string) (*sql.DB, error) {
	db, err := sql.Open(driver, source)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// sqliteSource is the data source name of a file. Every library gets the same settings:
// a write-ahead log, and transactions that take the write lock when they begin.
func sqliteSource(driver, file, sync string) string {
	if driver == "sqlite3" {
		return "file:" + file + "?_journal_mode=WAL&_synchronous=" + sync + "&_busy_timeout=5000&_txlock=immediate"
	}
	return "file:" + file + "?_pragma=journal_mode(WAL)&_pragma=synchronous(" + sync + ")&_pragma=busy_timeout(5000)&_txlock=immediate"
}

// pgxSource adds the size of the pool to the URL of a database.
func pgxSource(at string) (string, error) {
	u, err := url.Parse(at)
	if err != nil {
		return "", err
	}
	q := u.Query()
	q.Set("pool_max_conns", strconv.Itoa(connections))
	u.RawQuery = q.Encode()
	return u.String(), nil
}
