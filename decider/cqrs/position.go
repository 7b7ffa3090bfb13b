package cqrs

import (
	"context"
	"fmt"
)

// positionKey is where a context has a position.
type positionKey struct{}

// AtLeast returns a context in which queries must read the log at least up to position:
// that of the last command whose outcome its client has seen. If ctx asks for a later
// one already, that stays.
func AtLeast(ctx context.Context, position uint64) context.Context {
	if position <= Position(ctx) {
		return ctx
	}
	return context.WithValue(ctx, positionKey{}, position)
}

// Position returns the position that [AtLeast] has put into ctx, 0 if there is none.
func Position(ctx context.Context) uint64 {
	position, _ := ctx.Value(positionKey{}).(uint64)
	return position
}

// Waiter is a read model that can say when it has come to a position, such as a
// projection.Projection.
type Waiter interface {
	// WaitFor returns nil when the log up to position is in the read model. Keys are
	// what the caller will look at; without keys that is all of it.
	WaitFor(ctx context.Context, position uint64, keys ...string) error
}

// WaiterFunc is a [Waiter] that has no keys, such as the method WaitFor of a
// projection.Image.
type WaiterFunc func(ctx context.Context, position uint64) error

// WaitFor calls f.
func (f WaiterFunc) WaitFor(ctx context.Context, position uint64, _ ...string) error {
	return f(ctx, position)
}

// ReadYourWrites returns a middleware for queries on w: if their context asks for a
// position, see [AtLeast], it waits until w is there. It waits until ctx ends, so give
// queries a deadline.
func ReadYourWrites(w Waiter) Middleware {
	return func(ctx context.Context, c Call, next func(ctx context.Context) error) error {
		if position := Position(ctx); position > 0 {
			if err := w.WaitFor(ctx, position); err != nil {
				return fmt.Errorf("cqrs: %s at position %d: %w", c.Name, position, err)
			}
		}
		return next(ctx)
	}
}
