package jetstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/evolvego/evolve/store"
)

// The kinds of an *[Error], which it matches with errors.Is.
var (
	// ErrUnavailable means that no server can be reached, or the log has no leader.
	ErrUnavailable = errors.New("log is not available")
	// ErrDenied means that the user lacks a permission, or may not connect.
	ErrDenied = errors.New("user lacks a permission")
	// ErrFull means that the servers have no space left, or that the log or the account
	// has reached a limit.
	ErrFull = errors.New("servers are full")
	// ErrSettings means that the servers, or the streams of the log in NATS, have settings
	// that a store cannot work with. The details say which one, and what to change.
	ErrSettings = errors.New("settings are unsuitable")
	// ErrNoStream means that the streams of the log do not exist in NATS, and
	// [WithoutCreate] forbids creating them.
	ErrNoStream = errors.New("log does not exist")
	// ErrOtherFormat means that a newer version of this package has created the log.
	ErrOtherFormat = errors.New("log has another format")
	// ErrDamaged means that a message of the log does not come from this package:
	// something else has written to the subjects of the log.
	ErrDamaged = errors.New("log has a foreign message")
)

// Error is an error from the servers, or the reason why there is no answer.
type Error struct {
	Kind error // one of the kinds above, or nil
	Code int   // the err_code from a server, or 0
	// Refused says that the servers have refused an append, have recorded nothing of it,
	// and never will. Such an error matches [store.ErrRefused] and is definite. After any
	// other error, the outcome of a write is unknown.
	Refused bool
	Err     error // the details
}

// Error returns a message with the kind and the details.
func (e *Error) Error() string {
	if e.Kind == nil {
		return "jetstream: " + e.Err.Error()
	}
	return fmt.Sprintf("jetstream: %s: %s", e.Kind, e.Err)
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

// The error codes of servers that this package handles.
const (
	codeAccountFull       = 10002
	codeNoPeers           = 10005
	codeUnavailable       = 10008
	codeFull              = 10023
	codeNone              = 10037
	codeNotEnabled        = 10039
	codeStorageFull       = 10047
	codeStreamTooLarge    = 10054
	codeNameInUse         = 10058
	codeNoStream          = 10059
	codeWrongLast         = 10071
	codeReplicas          = 10074
	codeStoreFailed       = 10077
	codeHeaderTooLarge    = 10097
	codeMaxBytes          = 10122
	codeWrongLastUnknown  = 10164
	codeNoTTL             = 10166
	codeNoBatches         = 10174
	codeIncomplete        = 10176
	codeBatchTooLarge     = 10199
	codeTwice             = 10201
	codeTooManyInFlight   = 10210
	codeMaxBytesOfAccount = 10028
)

// apiError is the error in an answer of a server.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string {
	return fmt.Sprintf("%s (%d)", e.Description, e.ErrCode)
}

// codeOf returns the code of a server's error, or 0 if err is not one.
func codeOf(err error) int {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e.ErrCode
	}
	return 0
}

// errNoAnswer means that no server has answered in time, or that there is none to ask.
var errNoAnswer = errors.New("no server answers")

// errAllSilent is errNoAnswer, with what to do unless another reason is known.
var errAllSilent = fmt.Errorf("%w; more than half of the servers of a log must run", errNoAnswer)

// errBehind means that a replica does not have yet what is known to be there.
var errBehind = errors.New("replicas are behind")

// isAmbiguous reports whether the batch that was answered with err may have been
// refused because of another one, or may even have been recorded, so that the store has
// to look.
func isAmbiguous(err error) bool {
	if isPassing(err) {
		return true
	}
	e, ok := errors.AsType[*apiError](err)
	if !ok {
		return false
	}
	switch e.ErrCode {
	case codeWrongLast, codeWrongLastUnknown, codeIncomplete, codeTwice, codeTooManyInFlight:
		return true
	}
	return false
}

// isFull reports whether a server has returned err because it has no space left, or
// because the log or the account has reached a limit. The server checks that before it
// replicates the messages, so they are not recorded.
func isFull(err error) bool {
	code := codeOf(err)
	return code != 0 && kindOf(nil, code) == ErrFull //nolint:errorlint // as it is
}

// mayLand reports whether a batch that failed with err may still be recorded: whether
// no server has said that it is not, and the client may have sent all of it.
func mayLand(err error) bool {
	if e, ok := errors.AsType[*apiError](err); ok {
		return !isFull(e) && (isPassing(e) || !isAmbiguous(e))
	}
	return !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, nats.ErrReconnectBufExceeded)
}

// isPassing reports whether err comes from a temporary state, for example that the log
// has no leader, so that a retry may succeed.
func isPassing(err error) bool {
	if errors.Is(err, errNoAnswer) || errors.Is(err, errBehind) ||
		errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, nats.ErrDisconnected) || errors.Is(err, nats.ErrReconnectBufExceeded) {
		return true
	}
	e, ok := errors.AsType[*apiError](err)
	return ok && (e.ErrCode == codeUnavailable || e.ErrCode == codeNotEnabled || e.ErrCode == codeNoPeers ||
		e.ErrCode == 0 && e.Code >= 500)
}

// typed returns err as an *Error, unless it already is one, comes from package store,
// or is the error of a context.
func typed(err error) error {
	if err == nil || store.Definite(err) || errors.Is(err, store.ErrLeaseHeld) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	code := codeOf(err)
	return &Error{Kind: kindOf(err, code), Code: code, Err: err}
}

func kindOf(err error, code int) error {
	switch code {
	case codeFull, codeAccountFull, codeStorageFull, codeStoreFailed, codeMaxBytes, codeMaxBytesOfAccount:
		return ErrFull
	case codeNoStream:
		return ErrNoStream
	case codeNoBatches, codeNoTTL, codeReplicas, codeNameInUse:
		return ErrSettings
	}
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrPermissionViolation), errors.Is(err, nats.ErrAuthExpired):
		return ErrDenied
	case isPassing(err), errors.Is(err, nats.ErrNoServers), errors.Is(err, nats.ErrConnectionClosed):
		return ErrUnavailable
	}
	return nil
}

func damaged(what string) error { return &Error{Kind: ErrDamaged, Err: errors.New(what)} }

func invalid(field, reason string) error { return &store.InvalidError{Field: field, Reason: reason} }

// isUnavailable reports whether err comes from a temporary state.
func isUnavailable(err error) bool { return errors.Is(err, ErrUnavailable) || isPassing(err) }
