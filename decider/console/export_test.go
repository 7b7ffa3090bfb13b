package console

import (
	"context"

	"github.com/evolvego/evolve/decider"
)

// WhyNot returns the changes that would make cmd accepted, and how often it ran the
// decision.
func WhyNot[C, S, E any](d decider.Decider[C, S, E], cmd C, state S) (flips []string, asked int) {
	_, rejection, err := decide(d, cmd, state)
	if err != nil || rejection == nil {
		return []string{"it is not a rejection"}, 0
	}
	why := whyNot(context.Background(), d, cmd, state, rejection)
	for _, f := range why.Flips {
		flips = append(flips, f.Of+" "+f.Path+" "+f.Needs)
	}
	return flips, why.Asked
}

// Clean is clean.
func Clean(text string) string { return clean(text) }

// BackTo is backTo.
func BackTo(to string) string { return backTo(to) }

// Tails returns how many tails and replays are running.
func (c *Console) Tails() int64 { return c.active.Load() }

// Within is within, with a slot of its own.
func Within(ctx context.Context, do func(context.Context) error) error {
	place := make(chan struct{}, 1)
	place <- struct{}{}
	return within(ctx, place, do)
}
