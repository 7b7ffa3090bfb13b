package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/evolvego/evolve/store"
)

// What an *[Error] matches by errors.Is.
var (
	// ErrUnavailable: the server cannot be reached, is starting or stopping, has no
	// connection left, or the connection was lost.
	ErrUnavailable = errors.New("server is not available")
	// ErrBusy: another transaction was in the way, for longer than the ten seconds
	// that an append waits for the log.
	ErrBusy = errors.New("log is locked by another transaction")
	// ErrReadOnly: the server is a replica, or the role or transaction must not write.
	ErrReadOnly = errors.New("server is read-only")
	// ErrFull: the server has no space or no memory left.
	ErrFull = errors.New("server is full")
	// ErrNoSchema: the schema is not there, or an old one, and is not to be made.
	ErrNoSchema = errors.New("schema is missing or old")
	// ErrNewerSchema: a newer version of this package has made the schema.
	ErrNewerSchema = errors.New("schema is newer than this program")
	// ErrOtherLayout: the schema was made with [WithLogPerTenant] and opened without,
	// or the other way round.
	ErrOtherLayout = errors.New("schema is laid out otherwise")
)

// Error is what the server answered, or why it did not. It is not definite: after it
// the outcome of an append is unknown.
type Error struct {
	Kind error  // one of those above, nil for others
	Code string // the SQLSTATE that the server answered, if it did
	Err  error  // the details
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

// typed returns err as an *Error, unless it is one already or of package store.
func typed(err error) error {
	var e *Error
	if err == nil || errors.As(err, &e) || store.Definite(err) || errors.Is(err, store.ErrLeaseHeld) {
		return err
	}
	code := sqlState(err)
	return &Error{Kind: kindOf(err, code), Code: code, Err: err}
}

// sqlState returns the code that the server answered with, empty if err is not from
// the server.
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
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
	case "25006", "42501": // read-only transaction, insufficient privilege
		return ErrReadOnly
	case "53100", "53200", "53400", "54000": // disk, memory, limits
		return ErrFull
	case "3F000", "42P01", "42883": // no such schema, table or function
		return ErrNoSchema
	}
	if code[:2] == "08" { // connection
		return ErrUnavailable
	}
	return nil
}

// lost reports whether err is that a connection could not be made or was lost.
func lost(err error) bool {
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.As(err, &connect) || errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || pgconn.SafeToRetry(err)
}

// isAborted reports whether err is that the transaction was undone because of another
// one, and can be tried again.
func isAborted(err error) bool {
	code := sqlState(err)
	return code == "40001" || code == "40P01"
}

// isRefused reports whether err is that the server takes a value of the transaction
// for wrong, too large, or there already, so that the rest could succeed without it.
func isRefused(err error) bool {
	code := sqlState(err)
	return len(code) == 5 && (code[:2] == "22" || code[:2] == "23" || code[:2] == "54")
}

func invalid(field, reason string) error { return &store.InvalidError{Field: field, Reason: reason} }

// isPassing reports whether err can go by itself when the server is there again.
func isPassing(err error) bool { return errors.Is(err, ErrUnavailable) }
