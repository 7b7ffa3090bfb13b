package welcomebonus

import (
	"context"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"

	"github.com/evolvego/evolve/examples/slices/contexts/accounts/internal/account"
)

// Run runs the process on the events in log until ctx ends, and returns why it stopped.
// It keeps its instances in target, so it continues where it stopped after a restart.
func Run[T projection.Tx](ctx context.Context, log process.Store, target projection.Target[T], accounts *runner.Runner[account.Command, account.State, account.Event]) error {
	events := codec.Events(codec.From(account.StreamType, account.Codec(), func(r *store.Recorded, e account.Event) Event {
		return Event{r.Stream.ID, e}
	}))
	return process.New(log, target, "accounts/welcome-bonus", Process(), events).
		Run(ctx, process.To(accounts, func(c Command) (string, account.Command) { return c.Account, c.Command }))
}
