package cqrs

import (
	"errors"
	"fmt"
	"net/http"
)

// What an error of a bus matches by errors.Is. Errors of handlers are returned as they
// are.
var (
	// ErrUnknown: the bus has no handler for it. It is an *UnknownError.
	ErrUnknown = errors.New("cqrs: no handler")
	// ErrMessage: the data is no such message. It is a *MessageError.
	ErrMessage = errors.New("cqrs: bad message")
)

// UnknownError is a message that a bus has no handler for.
type UnknownError struct {
	Name string // that it came under, or its Go type
}

// Error says what there is no handler for.
func (e *UnknownError) Error() string { return fmt.Sprintf("cqrs: no handler for %.100q", e.Name) }

// Is reports whether target is ErrUnknown.
func (e *UnknownError) Is(target error) bool { return target == ErrUnknown }

// HTTPStatus is 404.
func (e *UnknownError) HTTPStatus() int { return http.StatusNotFound }

// MessageError is data that is no message of its name.
type MessageError struct {
	Name string
	Err  error // why it is none
}

// Error says which message it was to be, and why it is none.
func (e *MessageError) Error() string { return fmt.Sprintf("cqrs: bad message %q: %v", e.Name, e.Err) }

// Is reports whether target is ErrMessage.
func (e *MessageError) Is(target error) bool { return target == ErrMessage }

// Unwrap returns why it is none.
func (e *MessageError) Unwrap() error { return e.Err }

// HTTPStatus is 400.
func (e *MessageError) HTTPStatus() int { return http.StatusBadRequest }
