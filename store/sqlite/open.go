package sqlite

import (
	"context"
	"database/sql"
	_ "embed" // for the schema
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver
)

const (
	// applicationID is "EvLg", in the header of each file of this store.
	applicationID = 0x45764c67
	// schemaVersion is the user_version of a file that is up to date.
	schemaVersion = 2
	// busyTimeout is how long to wait for another process. SQLite does not wait in
	// line but looks now and then, so beside a busy writer it may take long.
	busyTimeout = 30 * time.Second
)

var (
	//go:embed schema.sql
	schema1 string
	//go:embed schema2.sql
	schema2 string
)

// config is the settings of a backend.
type config struct {
	now         func() time.Time
	synchronous string
}

// Option is a setting of [Open].
type Option interface{ apply(c *config) }

type option func(*config)

func (o option) apply(c *config) { o(c) }

// WithClock sets the clock that says when events are recorded and leases run
// out. It must be safe for concurrent use and not nil. The default is time.Now.
func WithClock(now func() time.Time) Option { return option(func(c *config) { c.now = now }) }

// WithNormalSync leaves out the fsync of each commit. What was acknowledged
// outlives the process, but if the machine crashes or loses power, the last
// appends can be lost; what is left is wal. Consumers of the log may then have
// seen events that are gone, and whose positions others take.
func WithNormalSync() Option { return option(func(c *config) { c.synchronous = "NORMAL" }) }

// Open opens the store in the file at path, which it creates if there is none,
// and returns that of [store.DefaultTenant]. The directory must be there. It is
// a *[FileError] if the file is not of this store or cannot be used, and an
// *[store.InvalidError] if path is empty or has a NUL byte. The store must be
// closed.
func Open(path string, options ...Option) (*Store, error) {
	c := config{now: time.Now, synchronous: "FULL"} //nolint:forbidigo // the default of WithClock
	for _, o := range options {
		o.apply(&c)
	}
	if path == "" || strings.ContainsRune(path, 0) {
		return nil, invalid("path", "is empty or has a NUL byte")
	}
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %s: %w", path, err)
	}
	if _, err := os.Stat(filepath.Dir(full)); err != nil {
		return nil, fmt.Errorf("sqlite: directory of %s: %w", path, err)
	}
	if info, err := os.Stat(full); err == nil && info.IsDir() {
		return nil, fmt.Errorf("sqlite: %s: is a directory", path)
	}
	if err := prepareFile(full); err != nil {
		return nil, fileError(path, err)
	}
	return newBackend(path, full, &c)
}

// prepareFile checks that the file is one of this store and makes its schema,
// trying again as long as another process is at it.
func prepareFile(path string) error {
	db, err := openDB(path)
	if err != nil {
		return err
	}
	defer db.Close()
	deadline := time.Now().Add(busyTimeout) //nolint:forbidigo // of another process's work
	for {
		err := migrate(db, path)
		if !isBusy(err) || time.Now().After(deadline) { //nolint:forbidigo // as above
			return err
		}
		time.Sleep(5 * time.Millisecond) //nolint:forbidigo // SQLite does not wait for a change of the journal mode
	}
}

// openDB returns a pool for the file in which nothing is opened yet. Each
// connection gets the pragmas.
func openDB(path string, pragmas ...string) (*sql.DB, error) {
	q := url.Values{
		"_pragma": append([]string{
			fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "foreign_keys(1)", "fullfsync(1)", "checkpoint_fullfsync(1)",
		}, pragmas...),
		"_dqs":      {"0"},
		"_error_rc": {"1"},
	}
	name := url.URL{Path: filepath.ToSlash(path)}
	return sql.Open("sqlite", "file:"+name.EscapedPath()+"?"+q.Encode())
}

// migrate brings the file to schemaVersion. What is not of this store is left as
// it is.
func migrate(db *sql.DB, path string) (err error) {
	ctx := context.Background()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := identify(ctx, conn, path); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "PRAGMA journal_mode=WAL"); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, e := conn.ExecContext(ctx, "ROLLBACK")
			err = errors.Join(err, e)
		}
	}()
	version, err := identify(ctx, conn, path) // another process may have been faster
	if err != nil {
		return err
	}
	if version < schemaVersion {
		steps := [schemaVersion]string{schema1, schema2} // from each version to the next
		script := fmt.Sprintf("%s; PRAGMA application_id=%d; PRAGMA user_version=%d",
			strings.Join(steps[version:], ";"), applicationID, schemaVersion)
		if _, err := conn.ExecContext(ctx, script); err != nil {
			return err
		}
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}

// identify returns the version of the file's schema, 0 for a new file.
func identify(ctx context.Context, conn *sql.Conn, path string) (version int, err error) {
	var application, tables int
	for _, get := range []struct {
		to    *int
		query string
	}{
		{&application, "PRAGMA application_id"},
		{&version, "PRAGMA user_version"},
		{&tables, "SELECT count(*) FROM sqlite_schema"},
	} {
		if err := conn.QueryRowContext(ctx, get.query).Scan(get.to); err != nil {
			return 0, err
		}
	}
	switch {
	case application == 0 && version == 0 && tables == 0:
		return 0, nil
	case application != applicationID || version < 1:
		return 0, &FileError{path, ErrOtherFile, fmt.Errorf("application_id is %#x, not %#x, user_version %d", application, applicationID, version)}
	case version > schemaVersion:
		return 0, &FileError{path, ErrNewerSchema, fmt.Errorf("version %d, above %d", version, schemaVersion)}
	}
	return version, nil
}
