package cqrs

import (
	"errors"
	"fmt"
	"net/http"
)

// Errors that the errors of a bus match by errors.Is. Errors of handlers are returned
// unchanged.
var (
	// ErrUnknown means that the bus has no handler for the message. The error is an
	// *UnknownError.
	ErrUnknown = errors.New("cqrs: no handler")
	// ErrMessage means that the data is not such a message. The error is a *MessageError.
	ErrMessage = errors.New("cqrs: bad message")
)

// UnknownError is the error of a message that a bus has no handler for.
type UnknownError struct {
	Name string // the name of the message, or its Go type
}

// Error names the message.
func (e *UnknownError) Error() string { return fmt.Sprintf("cqrs: no handler for %.100q", e.Name) }

// Is reports whether target is ErrUnknown.
func (e *UnknownError) Is(target error) bool { return target == ErrUnknown }

// HTTPStatus returns 404.
func (e *UnknownError) HTTPStatus() int { return http.StatusNotFound }

// MessageError is the error of data that is not a message of its name.
type MessageError struct {
	Name string
	Err  error // why it is not
}

// Error names the message, and says why the data is not such a message.
func (e *MessageError) Error() string { return fmt.Sprintf("cqrs: bad message %q: %v", e.Name, e.Err) }

// Is reports whether target is ErrMessage.
func (e *MessageError) Is(target error) bool { return target == ErrMessage }

// Unwrap returns the cause.
func (e *MessageError) Unwrap() error { return e.Err }

// HTTPStatus returns 400.
func (e *MessageError) HTTPStatus() int { return http.StatusBadRequest }
