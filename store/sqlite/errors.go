package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	lib "modernc.org/sqlite/lib"

	"github.com/evolvego/evolve/store"
)

// What a *[FileError] matches by errors.Is.
var (
	// ErrOtherFile: the file is not a database, or belongs to another application.
	ErrOtherFile = errors.New("not a file of this store")
	// ErrNewerSchema: a newer version of this package has written the file.
	ErrNewerSchema = errors.New("schema is newer than this program")
	// ErrOlderSchema: an older version of this package has written the file, and
	// [OpenReadOnly] does not bring it up to date. [Open] does.
	ErrOlderSchema = errors.New("schema is older than this program")
	// ErrCorrupt: the file is damaged, or a part of it is missing.
	ErrCorrupt = errors.New("file is damaged")
	// ErrMoved: the file at the path, or one of the two beside it, is not the one
	// that is open: it was renamed, deleted or replaced. Nothing that is written to
	// the open file would be found again, so the store must be opened anew.
	ErrMoved = errors.New("file was moved, deleted or replaced while it was open")
	// ErrReadOnly: the file, or its directory, cannot be written. What is in the
	// file may still be read.
	ErrReadOnly = errors.New("file is read-only")
	// ErrNoAccess: the file, or one beside it, cannot be opened or created, mostly
	// because of the permissions of the file or its directory.
	ErrNoAccess = errors.New("file cannot be opened")
	// ErrFull: the disk, or the file, is full. What is in the file can still be
	// read.
	ErrFull = errors.New("disk is full")
)

// FileError is what is wrong with the file of a store. If it also matches
// [store.ErrRefused], nothing was written. Otherwise it comes from the commit, and
// nobody knows whether what was to be written is.
type FileError struct {
	Path string
	Kind error // one of those that this package names
	Err  error // the details
}

// Error says which file, and what is wrong with it.
func (e *FileError) Error() string { return fmt.Sprintf("sqlite: %q: %s: %s", e.Path, e.Kind, e.Err) }

// Unwrap returns the kind and the details.
func (e *FileError) Unwrap() []error { return []error{e.Kind, e.Err} }

// fileError returns err with the path, as a *FileError if it has a kind.
func fileError(path string, err error) error {
	if _, ok := errors.AsType[*FileError](err); ok {
		return err
	}
	if kind := kindOf(err); kind != nil {
		return &FileError{Path: path, Kind: kind, Err: err}
	}
	return fmt.Errorf("sqlite: %q: %w", path, err)
}

// refused is the error of a write of which nothing was made.
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

// code returns the extended result code of SQLite, 0 if err is not of it.
func code(err error) int {
	if e, ok := errors.AsType[*SQLError](err); ok {
		return e.Code
	}
	return 0
}

func isBusy(err error) bool { return code(err)&0xff == lib.SQLITE_BUSY }

// taken returns the columns of the key that err says is taken, such as "event.tenant,
// event.id", or nothing.
func taken(err error) string {
	if e, ok := errors.AsType[*SQLError](err); ok && (e.Code == lib.SQLITE_CONSTRAINT_UNIQUE || e.Code == lib.SQLITE_CONSTRAINT_PRIMARYKEY) {
		_, columns, _ := strings.Cut(e.Text, "UNIQUE constraint failed: ")
		return columns
	}
	return ""
}

func invalid(field, reason string) error { return &store.InvalidError{Field: field, Reason: reason} }
