package sqlite

import (
	_ "embed" // for the schema
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	lib "modernc.org/sqlite/lib"
)

const (
	// applicationID is "EvLg", in the header of each file of this store.
	applicationID = 0x45764c67
	// schemaVersion is the user_version of a file with the current schema.
	schemaVersion = 3
	// busyTimeout is how long to wait for another process. SQLite does not queue but
	// retries now and then, so it can take long next to a busy writer. See settings.
	busyTimeout = 30 * time.Second
)

var (
	//go:embed sql/schema.sql
	schema string
	//go:embed sql/upgrade2.sql
	upgrade2 string
	//go:embed sql/upgrade3.sql
	upgrade3 string
)

// config holds the settings of a backend.
type config struct {
	now         func() time.Time
	synchronous string
	readOnly    bool
	immutable   bool // the file is read without locks, and must not change
}

// Option is an option of [Open] and [OpenReadOnly].
type Option interface{ apply(c *config) }

type option func(*config)

func (o option) apply(c *config) { o(c) }

// WithClock sets the clock for recording times and for the expiry of leases. It must be
// safe for concurrent use and not nil. The default is time.Now.
func WithClock(now func() time.Time) Option { return option(func(c *config) { c.now = now }) }

// WithNormalSync skips the fsync of each commit. Acknowledged appends survive a crash
// of the process. But if the machine crashes or loses power, the last appends can be
// lost. The remaining appends are complete and in order. Consumers of the log may then
// have seen events that are gone, and whose positions go to other events.
func WithNormalSync() Option { return option(func(c *config) { c.synchronous = "NORMAL" }) }

// Open opens the store in the file at path, creates the file if it does not exist, and
// returns the store of [store.DefaultTenant]. The directory must exist. A new file gets
// the permissions 0644 minus the umask, and the files next to it get the permissions of
// the file.
//
// Open returns a *[FileError] if the file does not belong to this store or cannot be
// used, and an *[store.InvalidError] if path is empty, has a NUL byte, or is a URI such
// as "file:events.db" or ":memory:", which this package does not accept. You must close
// the store.
func Open(path string, options ...Option) (*Store, error) {
	return openStore(path, false, options)
}

// OpenReadOnly opens the store in the file at path for reading, and never creates or
// changes the file: if the file does not exist, the error matches [fs.ErrNotExist].
// Every write returns a *[FileError] that matches [ErrReadOnly]. Other programs may
// write to the file in the meantime, and the store sees their events.
//
// If the file has an older schema, OpenReadOnly returns a *[FileError] that matches
// [ErrOlderSchema]. In a directory that cannot be written, no other program may have
// the file open: if one begins to write to it, reads fail with [ErrMoved]. Everything
// else is as in [Open].
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

// validatePath returns an *store.InvalidError if path cannot name a file.
func validatePath(path string) error {
	switch {
	case path == "":
		return invalid("path", "is empty: for a store that ends with the program, use package memory")
	case strings.ContainsRune(path, 0):
		return invalid("path", fmt.Sprintf("%q has a NUL byte", path))
	case path == ":memory:":
		return invalid("path", `":memory:" is not a file: use package memory for a store that ends with the program, or "./:memory:" for a file of that name`)
	case strings.HasPrefix(path, "file:"):
		return invalid("path", fmt.Sprintf("%q is a URI: use the path without file: and parameters, or %q for a file of that name", path, "./"+path))
	}
	return nil
}

// findFile returns the place of the file at path. It returns an error if there cannot
// be such a file.
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
		err = fmt.Errorf("is not a regular file (%s)", info.Mode().Type())
	case info.Size() == 0 && !mustExist:
		err = p.noOrphan()
	}
	return p, err
}

// prepareFile checks that the file belongs to this store, and creates or upgrades its
// schema. It retries while another process does the same.
func prepareFile(p *place) error {
	deadline := time.Now().Add(busyTimeout) //nolint:forbidigo // of another process's work
	for {
		err := prepareOnce(p)
		if !isBusy(err) || time.Now().After(deadline) { //nolint:forbidigo // as above
			return err
		}
		time.Sleep(5 * time.Millisecond) //nolint:forbidigo // SQLite does not wait for a change of the journal mode
	}
}

func prepareOnce(p *place) (err error) {
	c, err := openConn(p.real, lib.SQLITE_OPEN_READWRITE|lib.SQLITE_OPEN_CREATE)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := p.checkLog(c); err != nil {
		return err
	}
	if err := c.script(settings); err != nil {
		return err
	}
	return migrate(c, p)
}

// settings are the settings of all connections: check foreign keys, and flush the cache
// of the disk where the system can.
const settings = "PRAGMA busy_timeout=30000; PRAGMA foreign_keys=1; PRAGMA fullfsync=1; PRAGMA checkpoint_fullfsync=1"

// inspectFile checks that the file belongs to this store and has the current schema,
// and finds out whether it can be read with locks.
func inspectFile(p *place, c *config) error {
	err := inspect(p, c)
	// To read next to a writer, SQLite needs the other two files, and creates them. If it
	// cannot create them and there is no log, nobody writes.
	if kind := kindOf(err); (kind == ErrNoAccess || kind == ErrReadOnly) && p.logSize() == 0 { //nolint:errorlint // as it is
		c.immutable, p.frozen = true, true
		err = inspect(p, c)
	}
	return err
}

func inspect(p *place, config *config) (err error) {
	c, err := openConn(p.real, lib.SQLITE_OPEN_READONLY)
	if err != nil {
		return err
	}
	if err := errors.Join(p.checkLog(c), c.close()); err != nil {
		return err
	}
	if c, err = openReader(p, config); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	version, err := identify(c, p.path)
	switch {
	case err != nil:
		return err
	case version == 0:
		return &FileError{p.path, ErrOtherFile, errors.New("the file is empty")}
	case version < schemaVersion:
		return &FileError{p.path, ErrOlderSchema, fmt.Errorf("version %d, below %d: open it for writing once", version, schemaVersion)}
	}
	return nil
}

// openReader opens a connection that reads. It never creates a file.
func openReader(p *place, config *config) (*conn, error) {
	path, flags := p.real, int32(lib.SQLITE_OPEN_READWRITE)
	if config.readOnly {
		flags = lib.SQLITE_OPEN_READONLY
	}
	if config.immutable {
		uri := url.URL{Path: filepath.ToSlash(path)}
		path, flags = "file:"+uri.EscapedPath()+"?immutable=1", flags|lib.SQLITE_OPEN_URI
	}
	return openWith(path, flags, settings+"; PRAGMA query_only=1")
}

// openWith opens a connection and runs script on it.
func openWith(path string, flags int32, script string) (*conn, error) {
	c, err := openConn(path, flags)
	if err != nil {
		return nil, err
	}
	if err := c.script(script); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// migrate upgrades the file to schemaVersion. It does not change a file of another
// application.
func migrate(c *conn, p *place) (err error) {
	if _, err := identify(c, p.path); err != nil {
		return err
	}
	if err := useLog(c); err != nil {
		return err
	}
	version, err := identify(c, p.path)
	if err != nil || version == schemaVersion {
		return err
	}
	// With foreign keys, SQLite drops a table row by row. The pragma has no effect inside
	// a transaction.
	if err := c.script("PRAGMA foreign_keys=0; BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil && !c.autocommit() {
			err = errors.Join(err, c.script("ROLLBACK"))
		}
	}()
	if version, err = identify(c, p.path); err != nil { // another process may have migrated the file meanwhile
		return err
	}
	if err := upgrade(c, version); err != nil {
		return err
	}
	return c.script("COMMIT")
}

// useLog sets the journal mode in which readers do not wait for the writer.
func useLog(c *conn) error {
	var mode string
	if _, err := c.one("PRAGMA journal_mode=WAL", func(s *stmt) { mode = s.text(0) }); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("the journal mode is %q and cannot be changed to WAL: is the file on a network file system?", mode)
	}
	return nil
}

// upgrade changes the schema from version to the newest.
func upgrade(c *conn, version int64) error {
	if version == schemaVersion {
		return nil
	}
	steps := []string{schema}
	if version > 0 {
		steps = []string{upgrade2, upgrade3}[version-1:] // from each version to the next
		if err := checkRoom(c); err != nil {
			return err
		}
	}
	for _, step := range steps {
		if err := c.script(step); err != nil {
			return err
		}
	}
	return c.script(fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d", applicationID, schemaVersion))
}

// checkRoom refuses a file of version 1 or 2 with numbers that are too large for
// version 3.
func checkRoom(c *conn) error {
	tenants, err := c.number("SELECT coalesce(max(id), 0) FROM tenant")
	if err != nil {
		return err
	}
	positions, err := c.number("SELECT coalesce(max(position), 0) FROM event")
	if err != nil {
		return err
	}
	if tenants > maxTenant || positions > maxPosition {
		return fmt.Errorf("tenant %d or position %d is too high for version %d of the schema", tenants, positions, schemaVersion)
	}
	return nil
}

// identify returns the version of the file's schema, or 0 for a new file. It reads in one
// transaction, because another process may make a schema for the new file meanwhile.
func identify(c *conn, path string) (version int64, err error) {
	if c.autocommit() {
		if err := c.script("BEGIN"); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, c.script("ROLLBACK")) }()
	}
	var answers [3]int64
	for i, query := range [...]string{"PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_schema"} {
		if answers[i], err = c.number(query); err != nil {
			return 0, err
		}
	}
	application, version, tables := answers[0], answers[1], answers[2]
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
