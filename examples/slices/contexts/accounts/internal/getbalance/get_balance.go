// Package getbalance is the slice that answers queries for the balance of an account.
package getbalance

import (
	"context"
	"fmt"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/store"

	"github.com/evolvego/evolve/examples/slices/contexts/accounts/internal/account"
)

// Balance is the answer to the query.
type Balance struct {
	Owner string `json:"owner"`
	Cents int64  `json:"cents"`
}

// View returns the view that computes the answer from the events of an account.
func View() decider.View[Balance, account.Event] {
	return decider.View[Balance, account.Event]{Evolve: evolve}
}

func evolve(b Balance, event account.Event) Balance {
	switch e := event.(type) {
	case account.Opened:
		b.Owner = e.Owner
	case account.Credited:
		b.Cents += e.Amount
	}
	return b
}

// Load reads the events of the account with this id from st. It returns the answer and
// the version of the account, which is 0 if there is no such account.
func Load(ctx context.Context, st store.Store, id string) (Balance, uint64, error) {
	view, codec := View(), account.Codec()
	answer, version := view.Start(), uint64(0)
	stream := store.Stream{Type: account.StreamType, ID: id}
	for recorded, err := range store.Events(ctx, st, stream, 0) {
		if err != nil {
			return Balance{}, 0, fmt.Errorf("read %s: %w", stream, err)
		}
		events, err := codec.Decode(nil, []store.Recorded{recorded})
		if err != nil {
			return Balance{}, 0, err
		}
		answer, version = view.Fold(answer, events...), recorded.Version
	}
	return answer, version, nil
}
