package runner

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// PanicError is a panic of a function that the user gave, where it must not end what
// the runner is doing: the events are recorded, or may be, or it is only about a
// snapshot or an observer. Everywhere else a panic reaches the caller as it is, and
// nothing is recorded.
type PanicError struct {
	In    string // the function, such as "Observer.Observe"
	Value any    // what it panicked with
	Stack []byte // of its goroutine at the time
}

// Error says which function, and what it panicked with.
func (e *PanicError) Error() string { return fmt.Sprintf("runner: panic in %s: %v", e.In, e.Value) }

// Unwrap returns the value of the panic if that is an error, and nil otherwise.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// guarded calls do, and returns its panic, if it panics, as that of the function in.
func guarded(in string, do func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{In: in, Value: v, Stack: debug.Stack()}
		}
	}()
	do()
	return nil
}

// begin tells the observer that what kind says begins, if it is to be told, and returns
// the context to go on with.
func (r *Runner[C, S, E]) begin(ctx context.Context, f *flight[S], kind Kind) context.Context {
	if r.beginner == nil {
		return ctx
	}
	n, began := f.notice(kind, 0, 0, nil), ctx
	err := guarded("Beginner.Begin", func() {
		began = r.beginner.Begin(ctx, n) //nolint:fatcontext // there is one for each call
	})
	if err != nil {
		r.failed(ctx, n, err)
		return ctx
	}
	return began
}

// notify tells the observer n, if there is one, and how long it took if it began at
// began. An observer that panics is told of that; one that panics again, slog's default.
func (r *Runner[C, S, E]) notify(ctx context.Context, n *Notice, began time.Time) {
	if r.observer == nil {
		return
	}
	err := guarded("Observer.Observe", func() {
		if !began.IsZero() {
			n.Took = r.since(began)
		}
		r.observer.Observe(ctx, *n)
	})
	if err != nil {
		r.failed(ctx, *n, err)
	}
}

// failed tells the observer that it panicked, with err, when it was told n.
func (r *Runner[C, S, E]) failed(ctx context.Context, n Notice, err error) {
	failed := Notice{
		Kind: ObserverFailed, Stream: n.Stream, Command: n.Command, CommandID: n.CommandID, Attempt: n.Attempt,
		Err: fmt.Errorf("%s: %w", n.Kind, err),
	}
	if guarded("Observer.Observe", func() { r.observer.Observe(ctx, failed) }) != nil {
		Log(slog.Default()).Observe(ctx, failed)
	}
}
