package cqrs

import "context"

// Handler handles messages of type M, commands or queries, and returns what they come
// to; R is struct{} if that is nothing. It is safe for concurrent use.
type Handler[M, R any] func(ctx context.Context, message M) (R, error)

// Call is what a middleware is told of a message that is handled.
type Call struct {
	Name    string // of its kind, such as "deposit"
	Message any
}

// Middleware is around a handler: it calls next, once, with ctx or a context that comes
// from it, and returns its error, or returns an error in place of calling it. It is
// safe for concurrent use.
type Middleware func(ctx context.Context, c Call, next func(ctx context.Context) error) error

// With returns h with middleware around it, the first outermost, which is told that its
// messages are called name.
func (h Handler[M, R]) With(name string, around ...Middleware) Handler[M, R] {
	if len(around) == 0 {
		return h
	}
	return func(ctx context.Context, message M) (result R, err error) {
		err = through(ctx, around, Call{Name: name, Message: message}, func(ctx context.Context) (err error) {
			result, err = h(ctx, message)
			return err
		})
		if err != nil {
			var zero R
			return zero, err
		}
		return result, nil
	}
}

// through calls the first of around, which goes on with the others and then with do.
func through(ctx context.Context, around []Middleware, c Call, do func(context.Context) error) error {
	if len(around) == 0 {
		return do(ctx)
	}
	return around[0](ctx, c, func(ctx context.Context) error { return through(ctx, around[1:], c, do) })
}
