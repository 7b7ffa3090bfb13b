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

// What an *[Error] matches by errors.Is.
var (
	// ErrUnavailable: the server cannot be reached, is starting or stopping, has no
	// connection left, or the connection was lost.
	ErrUnavailable = errors.New("server is not available")
	// ErrUnconfirmed: the write is committed on the server, but the wait for a
	// synchronous standby was cancelled, so it may be lost when the server is.
	ErrUnconfirmed = errors.New("commit is not confirmed by a standby")
	// ErrBusy: another transaction was in the way, for longer than the ten seconds
	// that an append waits for the log.
	ErrBusy = errors.New("log is locked by another transaction")
	// ErrReadOnly: the server is a replica, or it, the role or the transaction is set
	// to be read-only.
	ErrReadOnly = errors.New("server is read-only")
	// ErrDenied: the role may not do this, or may not connect.
	ErrDenied = errors.New("role lacks a right")
	// ErrFull: the server has no space or no memory left.
	ErrFull = errors.New("server is full")
	// ErrSettings: the database or the connections have settings that a store cannot
	// work with, such as an encoding other than UTF8. The details say what to change.
	ErrSettings = errors.New("settings do not fit")
	// ErrPooler: a pooler lends connections for single transactions, and the store was
	// opened without [WithPollOnly].
	ErrPooler = errors.New("connections are lent for single transactions")
	// ErrNoSchema: the schema does not exist or is old, and [WithoutMigrate] forbids
	// to change that.
	ErrNoSchema = errors.New("schema is missing or old")
	// ErrNewerSchema: a newer version of this package has made the schema.
	ErrNewerSchema = errors.New("schema is newer than this program")
	// ErrOtherLayout: the schema was made with [WithLogPerTenant] and opened without
	// it, or the other way round.
	ErrOtherLayout = errors.New("schema has another layout")
)

// Error is what the server answered, or why it did not.
type Error struct {
	Kind error  // one of those above, nil for others
	Code string // the SQLSTATE that the server answered, if it did
	// Refused says that the server has refused the statement and nothing was written.
	// Such an error matches [store.ErrRefused] and is definite. After any other one
	// the outcome of a write is unknown.
	Refused bool
	Err     error // the details
}

// Error says what kind of error it is, and the details.
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

// typed returns err as an *Error, unless it is one already or of package store.
func typed(err error) error {
	var e *Error
	if err == nil || errors.As(err, &e) || store.Definite(err) || errors.Is(err, store.ErrLeaseHeld) {
		return err
	}
	code := sqlState(err)
	return &Error{Kind: kindOf(err, code), Code: code, Refused: isRefusal(err), Err: err}
}

// sqlState returns the code that the server answered with, empty if err is not from
// the server.
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

// class returns the first two characters of an SQLSTATE, empty if there is none.
func class(code string) string {
	if len(code) != 5 {
		return ""
	}
	return code[:2]
}

// isRefusal reports whether the server has refused a statement, which is a transaction of
// its own: with an ERROR it undoes the transaction. With a FATAL it ends the connection,
// and what was committed just before may be what it did not answer any more. Poolers
// answer an ERROR of some classes when they have lost the server.
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

// isUnfit reports whether the server of a connection cannot serve any more, or not now:
// another server may.
func isUnfit(err error) bool {
	code := sqlState(err)
	switch class(code) {
	case "08", "53":
		return true
	}
	return code == "25006" || len(code) == 5 && code[:3] == "57P"
}

// lost reports whether err says that a connection could not be made or was lost.
func lost(err error) bool {
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.As(err, &connect) || errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || pgconn.SafeToRetry(err)
}

// isAborted reports whether err says that the transaction was undone because of another
// one, and can be tried again.
func isAborted(err error) bool {
	code := sqlState(err)
	return code == "40001" || code == "40P01"
}

// isBadValue reports whether the server takes a value of the transaction for wrong, too
// large, or there already, so that the rest could succeed without it.
func isBadValue(err error) bool {
	switch class(sqlState(err)) {
	case "22", "23", "54":
		return true
	}
	return false
}

func invalid(field, reason string) error { return &store.InvalidError{Field: field, Reason: reason} }

// isFinal reports whether trying again cannot help: the arguments are wrong, the store is
// closed, or the schema or the rights are not what they have to be.
func isFinal(err error) bool {
	return !errors.Is(err, store.ErrRefused) && store.Definite(err) ||
		errors.Is(err, ErrNoSchema) || errors.Is(err, ErrDenied)
}
