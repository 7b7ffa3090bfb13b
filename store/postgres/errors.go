package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/evolvego/evolve/store"
)

// The kinds of an *[Error], which it matches with errors.Is.
var (
	// ErrUnavailable means that the server cannot be reached, is starting or stopping, or
	// has no connection left, or that the connection was lost.
	ErrUnavailable = errors.New("server is not available")
	// ErrUnconfirmed means that the write is committed on the server, but the wait for a
	// synchronous standby was cancelled, so the write may be lost if the server is.
	ErrUnconfirmed = errors.New("commit is not confirmed by a standby")
	// ErrBusy means that another transaction held a lock for longer than the ten seconds
	// that an append waits for the log.
	ErrBusy = errors.New("log is locked by another transaction")
	// ErrReadOnly means that the server is a replica, or that the server, the role or the
	// transaction is set to read-only.
	ErrReadOnly = errors.New("server is read-only")
	// ErrDenied means that the role lacks a privilege, or may not connect.
	ErrDenied = errors.New("role lacks a privilege")
	// ErrFull means that the server has no space or no memory left.
	ErrFull = errors.New("server is full")
	// ErrSettings means that the database or the connections have settings that a store
	// cannot work with, such as an encoding other than UTF8. The details say what to
	// change.
	ErrSettings = errors.New("settings are unsuitable")
	// ErrPooler means that a pooler assigns a connection for each transaction, and the
	// store was opened without [WithPollOnly].
	ErrPooler = errors.New("a pooler assigns connections for single transactions")
	// ErrNoSchema means that the schema does not exist or is old, and [WithoutMigrate]
	// forbids changing that.
	ErrNoSchema = errors.New("schema is missing or old")
	// ErrNewerSchema means that a newer version of this package has created the schema.
	ErrNewerSchema = errors.New("schema is newer than this program")
	// ErrOtherLayout means that the schema was created with [WithLogPerTenant] and opened
	// without it, or the other way round.
	ErrOtherLayout = errors.New("schema has another layout")
)

// Error is an error from the server, or the reason why there is no answer.
type Error struct {
	Kind error  // one of the kinds above, or nil
	Code string // the SQLSTATE from the server, if there is one
	// Refused says that the server has refused the statement and nothing was written. Such
	// an error matches [store.ErrRefused] and is definite. After any other error, the
	// outcome of a write is unknown.
	Refused bool
	Err     error // the details
}

// Error returns a message with the kind and the details.
func (e *Error) Error() string {
	if e.Kind == nil {
		return "postgres: " + e.Err.Error()
	}
	return fmt.Sprintf("postgres: %s: %s", e.Kind, e.Err)
}

// Unwrap returns the kind, if there is one, and the details.
func (e *Error) Unwrap() []error {
	if e.Kind == nil {
		return []error{e.Err}
	}
	return []error{e.Kind, e.Err}
}

// Is reports whether target is [store.ErrRefused] and e is a refusal.
func (e *Error) Is(target error) bool { return target == store.ErrRefused && e.Refused }

// typed returns err as an *Error, unless it already is one or comes from package store.
func typed(err error) error {
	var e *Error
	if err == nil || errors.As(err, &e) || store.Definite(err) || errors.Is(err, store.ErrLeaseHeld) {
		return err
	}
	code := sqlState(err)
	return &Error{Kind: kindOf(err, code), Code: code, Refused: isRefusal(err), Err: err}
}

// sqlState returns the code from the server, or "" if err is not from the server.
func sqlState(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

func kindOf(err error, code string) error {
	switch code {
	case "":
		if lost(err) {
			return ErrUnavailable
		}
		return nil
	case "40001", "40P01", "55P03": // serialization, deadlock, lock_timeout
		return ErrBusy
	case "53300", "57P01", "57P02", "57P03", "57P05", "25P03": // too many connections, shutdown, starting, idle
		return ErrUnavailable
	case "25006": // read-only transaction
		return ErrReadOnly
	case "42501", "28000", "28P01": // insufficient privilege, authorization, password
		return ErrDenied
	case "53100", "53200", "53400", "54000": // disk, memory, limits
		return ErrFull
	case "3F000", "42P01", "42883": // no such schema, table or function
		return ErrNoSchema
	}
	if class(code) == "08" { // connection
		return ErrUnavailable
	}
	return nil
}

// class returns the first two characters of an SQLSTATE, or "" if there is none.
func class(code string) string {
	if len(code) != 5 {
		return ""
	}
	return code[:2]
}

// isRefusal reports whether the server has refused a statement, which is a transaction
// of its own. With an ERROR, the server rolls back the transaction. With a FATAL, it
// ends the connection, and it may have committed just before without sending the
// answer. Poolers also send an ERROR of some classes when they have lost the server.
func isRefusal(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return errors.Is(err, pgx.ErrTxCommitRollback)
	}
	severity := pg.SeverityUnlocalized
	if severity == "" {
		severity = pg.Severity
	}
	switch class(pg.Code) {
	case "", "08", "58", "XX":
		return false
	}
	return severity == "ERROR" && pg.Code[:3] != "57P"
}

// isUnfit reports whether the server of a connection cannot serve now or anymore, while
// another server may.
func isUnfit(err error) bool {
	code := sqlState(err)
	switch class(code) {
	case "08", "53":
		return true
	}
	return code == "25006" || len(code) == 5 && code[:3] == "57P"
}

// lost reports whether err means that a connection could not be made or was lost.
func lost(err error) bool {
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.As(err, &connect) || errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || pgconn.SafeToRetry(err)
}

// isAborted reports whether err means that the transaction was rolled back because of
// another one, and can be retried.
func isAborted(err error) bool {
	code := sqlState(err)
	return code == "40001" || code == "40P01"
}

// isBadValue reports whether the server considers a value of the transaction wrong, too
// large, or a duplicate, so that the rest could succeed without it.
func isBadValue(err error) bool {
	switch class(sqlState(err)) {
	case "22", "23", "54":
		return true
	}
	return false
}

func invalid(field, reason string) error { return &store.InvalidError{Field: field, Reason: reason} }

// isFinal reports whether retrying cannot help: the arguments are wrong, the store is
// closed, or the schema or the privileges are not what they must be.
func isFinal(err error) bool {
	return !errors.Is(err, store.ErrRefused) && store.Definite(err) ||
		errors.Is(err, ErrNoSchema) || errors.Is(err, ErrDenied)
}
