package getbalance_test

import (
	"fmt"
	"testing"

	"github.com/evolvego/evolve/props"

	"github.com/evolvego/evolve/examples/slices/contexts/accounts/internal/account"
	"github.com/evolvego/evolve/examples/slices/contexts/accounts/internal/getbalance"
)

func TestGetBalance(t *testing.T) {
	t.Parallel()
	accounts := props.For(account.Decider()).
		Any(
			account.Open{},
			account.Credit{},
		)
	props.Projects(accounts, getbalance.View()).
		Agrees("the balance is that of the state", func(s account.State, b getbalance.Balance) error {
			if s.Balance != b.Cents {
				return fmt.Errorf("the state has %d cents, the answer has %d", s.Balance, b.Cents)
			}
			return nil
		}).
		Check(t)
}
