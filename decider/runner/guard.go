package runner

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// PanicError is a panic of a user function at a point where it must not end the work of
// the runner: the events are recorded, or may be, or the panic is only about a snapshot
// or an observer. At all other points a panic reaches the caller unchanged, and nothing
// is recorded.
type PanicError struct {
	In    string // the function, such as "Observer.Observe"
	Value any    // of the panic
	Stack []byte // of its goroutine at that time
}

// Error names the function and the value of the panic.
func (e *PanicError) Error() string { return fmt.Sprintf("runner: panic in %s: %v", e.In, e.Value) }

// Unwrap returns the value of the panic if it is an error, and nil otherwise.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// guarded calls do, and returns its panic, if any, as a panic of the function in.
func guarded(in string, do func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{In: in, Value: v, Stack: debug.Stack()}
		}
	}()
	do()
	return nil
}

// begin notifies the observer, if it is a Beginner, that work of the given kind begins,
// and returns the context to continue with.
func (r *Runner[C, S, E]) begin(ctx context.Context, f *flight[S], kind Kind) context.Context {
	if r.beginner == nil {
		return ctx
	}
	n, began := f.notice(kind, 0, 0, nil), ctx
	err := guarded("Beginner.Begin", func() {
		began = r.beginner.Begin(ctx, n) //nolint:fatcontext // one for each call
	})
	if err != nil {
		r.failed(ctx, n, err)
		return ctx
	}
	return began
}

// notify passes n to the observer, if there is one, with the time since began. If the
// observer panics, it receives a notice about that. If it panics again, slog's default
// logger does.
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

// failed notifies the observer that it panicked, with err, while it received n.
func (r *Runner[C, S, E]) failed(ctx context.Context, n Notice, err error) {
	failed := Notice{
		Kind: ObserverFailed, Stream: n.Stream, Command: n.Command, CommandID: n.CommandID, Attempt: n.Attempt,
		Err: fmt.Errorf("%s: %w", n.Kind, err),
	}
	if guarded("Observer.Observe", func() { r.observer.Observe(ctx, failed) }) != nil {
		Log(slog.Default()).Observe(ctx, failed)
	}
}
