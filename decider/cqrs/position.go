package cqrs

import (
	"context"
	"fmt"
)

// positionKey is the key of a position in a context.
type positionKey struct{}

// AtLeast returns a context in which queries must read the log at least up to position,
// which is that of the last command whose outcome the client has seen. If ctx already
// requires a later position, that one stays.
func AtLeast(ctx context.Context, position uint64) context.Context {
	if position <= Position(ctx) {
		return ctx
	}
	return context.WithValue(ctx, positionKey{}, position)
}

// Position returns the position that [AtLeast] has put into ctx, or 0 if there is none.
func Position(ctx context.Context) uint64 {
	position, _ := ctx.Value(positionKey{}).(uint64)
	return position
}

// Waiter is a read model that can wait until it has reached a position, such as a
// projection.Projection.
type Waiter interface {
	// WaitFor returns nil when the read model contains the log up to position. Keys are
	// the keys that the caller is about to read. Without keys, the caller reads
	// everything.
	WaitFor(ctx context.Context, position uint64, keys ...string) error
}

// WaiterFunc is a [Waiter] without keys, such as the method WaitFor of a
// projection.Image.
type WaiterFunc func(ctx context.Context, position uint64) error

// WaitFor calls f.
func (f WaiterFunc) WaitFor(ctx context.Context, position uint64, _ ...string) error {
	return f(ctx, position)
}

// ReadYourWrites returns a middleware for queries on w: if their context requires a
// position, see [AtLeast], it waits until w has reached it. It waits until ctx ends, so
// give queries a deadline.
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
