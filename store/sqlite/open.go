package sqlite

import (
	"context"
	"database/sql"
	_ "embed" // for the schema
	"errors"
	"fmt"
	"io/fs"
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
	schemaVersion = 3
	// busyTimeout is how long to wait for another process. SQLite does not wait in
	// line but looks now and then, so beside a busy writer it may take long.
	busyTimeout = 30 * time.Second
)

var (
	//go:embed schema.sql
	schema1 string
	//go:embed schema2.sql
	schema2 string
	//go:embed schema3.sql
	schema3 string
)

// config is the settings of a backend.
type config struct {
	now         func() time.Time
	synchronous string
	readOnly    bool
	mode        string // of the connections, as in a URI of SQLite
}

// Option is a setting of [Open] and [OpenReadOnly].
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

// Open opens the store in the file at path, which it creates if there is none, and
// returns that of [store.DefaultTenant]. The directory must exist. The file gets the
// permissions 0644 less the umask, and the files beside it get those of the file.
//
// It returns a *[FileError] if the file is not of this store or cannot be used, and an
// *[store.InvalidError] if path is empty, has a NUL byte, or is a URI such as
// "file:events.db" or ":memory:", which name no file here. The store must be closed.
func Open(path string, options ...Option) (*Store, error) {
	return openStore(path, false, options)
}

// OpenReadOnly opens the store in the file at path for reading, and never creates or
// changes it: a file that does not exist is an error that matches [fs.ErrNotExist].
// Every write is a *[FileError] that matches [ErrReadOnly]. Other programs may write to
// the file meanwhile, and the store sees what they append.
//
// A file of an older schema is a *[FileError] that matches [ErrOlderSchema]. In a
// directory that cannot be written, nobody else may have the file open: when somebody
// begins to write to it, reads fail with [ErrMoved]. Otherwise it is as [Open].
func OpenReadOnly(path string, options ...Option) (*Store, error) {
	return openStore(path, true, options)
}

func openStore(path string, readOnly bool, options []Option) (*Store, error) {
	c := config{now: time.Now, synchronous: "FULL", readOnly: readOnly} //nolint:forbidigo // the default of WithClock
	for _, o := range options {
		o.apply(&c)
	}
	if err := validatePath(path); err != nil {
		return nil, err
	}
	p, err := findFile(path, readOnly)
	if err != nil {
		return nil, fileError(path, err)
	}
	if readOnly {
		err = inspectFile(p, &c)
	} else {
		err = prepareFile(p)
	}
	if err != nil {
		return nil, fileError(path, err)
	}
	return newBackend(p, &c)
}

// validatePath returns an *store.InvalidError if path names no file.
func validatePath(path string) error {
	switch {
	case path == "":
		return invalid("path", "is empty: for a store that is gone when the program ends, use package memory")
	case strings.ContainsRune(path, 0):
		return invalid("path", fmt.Sprintf("%q has a NUL byte", path))
	case path == ":memory:":
		return invalid("path", `":memory:" is no file: for a store that is gone when the program ends, use package memory, or "./:memory:" for a file of that name`)
	case strings.HasPrefix(path, "file:"):
		return invalid("path", fmt.Sprintf("%q is a URI: give the path of the file without file: and parameters, or %q for a file of that name", path, "./"+path))
	}
	return nil
}

// findFile returns where the file at path is, if one can be there.
func findFile(path string, mustExist bool) (*place, error) {
	p, err := newPlace(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(p.real)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !mustExist:
		err = p.noOrphan()
	case err != nil:
	case info.IsDir():
		err = errors.New("is a directory, not a file")
	case !info.Mode().IsRegular():
		err = fmt.Errorf("is no regular file (%s)", info.Mode().Type())
	case info.Size() == 0 && !mustExist:
		err = p.noOrphan()
	}
	return p, err
}

// prepareFile checks that the file is one of this store and creates its schema,
// trying again as long as another process is at it.
func prepareFile(p *place) error {
	db, err := openDB(p, "rwc")
	if err != nil {
		return err
	}
	defer db.Close()
	deadline := time.Now().Add(busyTimeout) //nolint:forbidigo // of another process's work
	for {
		err := migrate(db, p)
		if !isBusy(err) || time.Now().After(deadline) { //nolint:forbidigo // as above
			return err
		}
		time.Sleep(5 * time.Millisecond) //nolint:forbidigo // SQLite does not wait for a change of the journal mode
	}
}

// inspectFile checks that the file is one of this store with the schema of today, and
// finds out how it can be read.
func inspectFile(p *place, c *config) error {
	c.mode = "ro"
	err := inspect(p, c.mode)
	// To read beside a writer, SQLite needs the two other files, and creates them.
	// Where it cannot, and there are none, nobody writes.
	if kind := kindOf(err); (kind == ErrNoAccess || kind == ErrReadOnly) && p.logSize() == 0 { //nolint:errorlint // as it is
		c.mode = "ro&immutable=1"
		err = inspect(p, c.mode)
	}
	return err
}

func inspect(p *place, mode string) error {
	db, err := openDB(p, mode)
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(context.Background())
	if err != nil {
		return err
	}
	defer conn.Close()
	version, err := identify(context.Background(), conn, p.path)
	switch {
	case err != nil:
		return err
	case version == 0:
		return &FileError{p.path, ErrOtherFile, errors.New("it is empty")}
	case version < schemaVersion:
		return &FileError{p.path, ErrOlderSchema, fmt.Errorf("version %d, below %d: open it for writing once", version, schemaVersion)}
	}
	return nil
}

// openDB returns a pool for the file in which nothing is opened yet. Each connection
// is opened in mode, which is that of a URI of SQLite, and gets the pragmas.
func openDB(p *place, mode string, pragmas ...string) (*sql.DB, error) {
	q := url.Values{
		"_pragma": append([]string{
			fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "foreign_keys(1)", "fullfsync(1)", "checkpoint_fullfsync(1)",
		}, pragmas...),
		"_dqs":      {"0"},
		"_error_rc": {"1"},
	}
	name := url.URL{Path: filepath.ToSlash(p.real)}
	return sql.Open("sqlite", "file:"+name.EscapedPath()+"?mode="+mode+"&"+q.Encode())
}

// migrate brings the file to schemaVersion. What is not of this store is left as
// it is.
func migrate(db *sql.DB, p *place) (err error) {
	ctx := context.Background()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := identify(ctx, conn, p.path); err != nil {
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
	version, err := identify(ctx, conn, p.path) // another process may have been faster
	if err != nil {
		return err
	}
	if version < schemaVersion {
		steps := [schemaVersion]string{schema1, schema2, schema3} // from each version to the next
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
