package accounts

import (
	"context"
	"sync"

	"github.com/evolvego/evolve/examples/slices/contexts/accounts/internal/welcomebonus"
)

// Run runs the projections and processes of the context until ctx ends. If there are
// none, it returns at once.
func (a *Accounts) Run(ctx context.Context) error {
	return together(ctx,
		func(ctx context.Context) error { return welcomebonus.Run(ctx, a.store, a.store, a.accounts) },
	)
}

// together runs the functions until ctx ends or one of them fails.
func together(ctx context.Context, runs ...func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	for _, run := range runs {
		group.Go(func() {
			if err := run(ctx); err != nil {
				cancel(err)
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}
