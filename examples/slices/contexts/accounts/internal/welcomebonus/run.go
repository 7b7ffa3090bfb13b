package welcomebonus

import (
	"context"
	"errors"
	"fmt"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"

	"github.com/evolvego/evolve/examples/slices/contexts/accounts/internal/account"
)

// Run runs the process on the events in log until ctx ends, and returns why it stopped.
// It begins with the first event each time. A command that it sent before changes
// nothing, because it has the same command id again.
func Run(ctx context.Context, log store.Log, accounts *runner.Runner[account.Command, account.State, account.Event]) error {
	codec, states := account.Codec(), map[string]State{}
	o := store.LogOptions{Filter: store.Filter{StreamTypes: []string{account.StreamType}}}
	for page, err := range log.Subscribe(ctx, o) {
		if err != nil {
			return err
		}
		for i := range page.Events {
			events, err := codec.Decode(nil, page.Events[i:i+1])
			if err != nil {
				return err
			}
			for n, event := range events {
				cause := page.Events[i]
				err := handle(ctx, states, Event{cause.Stream.ID, event}, accounts,
					runner.CommandID(fmt.Sprintf("welcome-bonus/%d/%d", cause.Position, n)),
					runner.Metadata(store.Metadata{CausationID: cause.ID, CorrelationID: cause.Meta.CorrelationID}))
				if err != nil {
					return fmt.Errorf("welcome-bonus: %s version %d: %w", cause.Stream, cause.Version, err)
				}
			}
		}
	}
	return nil
}

// handle gives an event to its instance and sends what the instance asks for. A command
// that is rejected stays pending.
func handle(
	ctx context.Context, states map[string]State, event Event,
	accounts *runner.Runner[account.Command, account.State, account.Event], opts ...runner.Option,
) error {
	process := Process()
	key, ok := process.Key(event)
	if !ok {
		return nil
	}
	states[key] = process.Evolve(states[key], event)
	for _, cmd := range process.React(states[key], event).Send {
		if _, err := accounts.Handle(ctx, cmd.Account, cmd.Command, opts...); err != nil && !errors.Is(err, runner.ErrRejected) {
			return err
		}
	}
	return nil
}
