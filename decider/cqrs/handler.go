package cqrs

import "context"

// Handler handles messages of type M, commands or queries, and returns their results. R
// is struct{} if there is no result. It must be safe for concurrent use.
type Handler[M, R any] func(ctx context.Context, message M) (R, error)

// Call tells a middleware which message is handled.
type Call struct {
	Name    string // name of its kind, such as "deposit"
	Message any
}

// Middleware wraps a handler: it calls next once, with ctx or a context derived from it,
// and returns its error, or returns an error instead of calling it. It must be safe for
// concurrent use.
type Middleware func(ctx context.Context, c Call, next func(ctx context.Context) error) error

// With returns h wrapped in middleware, the first outermost. The middleware sees name as
// the name of the messages.
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

// through calls the first of around, which continues with the others and then with do.
func through(ctx context.Context, around []Middleware, c Call, do func(context.Context) error) error {
	if len(around) == 0 {
		return do(ctx)
	}
	return around[0](ctx, c, func(ctx context.Context) error { return through(ctx, around[1:], c, do) })
}
