package account_test

import (
	"testing"

	"github.com/evolvego/evolve/props"

	"github.com/evolvego/evolve/examples/slices/contexts/accounts/internal/account"
)

func TestCreditAccount(t *testing.T) {
	t.Parallel()
	t.Run("it is credited", func(t *testing.T) {
		t.Parallel()
		props.Spec(t, account.Decider()).
			Given(account.Opened{Owner: "ann"}).
			When(account.Credit{Amount: 1}).
			Then(account.Credited{Amount: 1})
	})
	t.Run("it must be open", func(t *testing.T) {
		t.Parallel()
		props.Spec(t, account.Decider()).
			When(account.Credit{Amount: 1}).
			ThenError(account.ErrNotOpen)
	})
	t.Run("the amount must be positive", func(t *testing.T) {
		t.Parallel()
		props.Spec(t, account.Decider()).
			Given(account.Opened{Owner: "ann"}).
			When(account.Credit{}).
			ThenError(account.ErrAmount)
	})
}
