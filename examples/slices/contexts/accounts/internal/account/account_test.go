package account_test

import (
	"fmt"
	"testing"

	"github.com/evolvego/evolve/props"

	"github.com/evolvego/evolve/examples/slices/contexts/accounts/internal/account"
)

func TestAccount(t *testing.T) {
	t.Parallel()
	props.For(account.Decider()).
		Any(
			account.Open{},
			account.Credit{},
		).
		Codec(account.Codec()).
		Invariant("the balance is never negative", func(s account.State) error {
			if s.Balance < 0 {
				return fmt.Errorf("the balance is %d", s.Balance)
			}
			return nil
		}).
		Check(t)
}
