package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	lib "modernc.org/sqlite/lib"

	"github.com/evolvego/evolve/store"
)

// The kinds of a *[FileError], which it matches with errors.Is.
var (
	// ErrOtherFile means that the file is not a database, or belongs to another
	// application.
	ErrOtherFile = errors.New("not a file of this store")
	// ErrNewerSchema means that a newer version of this package has written the file.
	ErrNewerSchema = errors.New("schema is newer than this program")
	// ErrOlderSchema means that an older version of this package has written the file, and
	// that [OpenReadOnly] does not upgrade it. [Open] does.
	ErrOlderSchema = errors.New("schema is older than this program")
	// ErrCorrupt means that the file is damaged, or a part of it is missing.
	ErrCorrupt = errors.New("file is damaged")
	// ErrMoved means that the file at the path, or one of the two files next to it, is no
	// longer the one that the store opened: it was renamed, deleted or replaced. Writes to
	// the open file would be lost, so you must open the store again.
	ErrMoved = errors.New("file was moved, deleted or replaced while it was open")
	// ErrReadOnly means that the file, or its directory, cannot be written. You may still
	// be able to read the file.
	ErrReadOnly = errors.New("file is read-only")
	// ErrNoAccess means that the file, or one next to it, cannot be opened or created,
	// usually because of the permissions of the file or its directory.
	ErrNoAccess = errors.New("file cannot be opened")
	// ErrFull means that the disk, or the file, is full. You can still read the file.
	ErrFull = errors.New("disk is full")
)

// FileError reports a problem with the file of a store. If it also matches
// [store.ErrRefused], nothing was written. Otherwise it comes from the commit, and the
// outcome is unknown.
type FileError struct {
	Path string
	Kind error // one of the Err variables of this package
	Err  error // the details
}

// Error returns a message with the file and the problem.
func (e *FileError) Error() string { return fmt.Sprintf("sqlite: %q: %s: %s", e.Path, e.Kind, e.Err) }

// Unwrap returns the kind and the details.
func (e *FileError) Unwrap() []error { return []error{e.Kind, e.Err} }

// fileError returns err with the path, as a *FileError if err has a kind.
func fileError(path string, err error) error {
	if _, ok := errors.AsType[*FileError](err); ok {
		return err
	}
	if kind := kindOf(err); kind != nil {
		return &FileError{Path: path, Kind: kind, Err: err}
	}
	return fmt.Errorf("sqlite: %q: %w", path, err)
}

// refused is the error of a write that wrote nothing.
type refused struct{ err error }

func (r refused) Error() string   { return r.err.Error() }
func (r refused) Unwrap() []error { return []error{store.ErrRefused, r.err} }

func kindOf(err error) error {
	switch code(err) & 0xff {
	case lib.SQLITE_NOTADB:
		return ErrOtherFile
	case lib.SQLITE_CORRUPT:
		return ErrCorrupt
	case lib.SQLITE_READONLY:
		return ErrReadOnly
	case lib.SQLITE_CANTOPEN, lib.SQLITE_PERM:
		return ErrNoAccess
	case lib.SQLITE_FULL:
		return ErrFull
	}
	if errors.Is(err, fs.ErrPermission) {
		return ErrNoAccess
	}
	return nil
}

// code returns the extended result code of SQLite, or 0 if err is not from SQLite.
func code(err error) int {
	if e, ok := errors.AsType[*SQLError](err); ok {
		return e.Code
	}
	return 0
}

func isBusy(err error) bool { return code(err)&0xff == lib.SQLITE_BUSY }

// taken returns the columns of the key that err reports as a duplicate, such as
// "event.tenant, event.id", or "".
func taken(err error) string {
	if e, ok := errors.AsType[*SQLError](err); ok && (e.Code == lib.SQLITE_CONSTRAINT_UNIQUE || e.Code == lib.SQLITE_CONSTRAINT_PRIMARYKEY) {
		_, columns, _ := strings.Cut(e.Text, "UNIQUE constraint failed: ")
		return columns
	}
	return ""
}

func invalid(field, reason string) error { return &store.InvalidError{Field: field, Reason: reason} }
