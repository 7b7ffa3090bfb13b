package account_test

import (
	"testing"

	"github.com/evolvego/evolve/props"

	"github.com/evolvego/evolve/examples/slices/contexts/accounts/internal/account"
)

func TestOpenAccount(t *testing.T) {
	t.Parallel()
	t.Run("it is opened", func(t *testing.T) {
		t.Parallel()
		props.Spec(t, account.Decider()).
			When(account.Open{Owner: "owner"}).
			Then(account.Opened{Owner: "owner"})
	})
	t.Run("an owner is needed", func(t *testing.T) {
		t.Parallel()
		props.Spec(t, account.Decider()).
			When(account.Open{}).
			ThenError(account.ErrNoOwner)
	})
	t.Run("only once", func(t *testing.T) {
		t.Parallel()
		props.Spec(t, account.Decider()).
			Given(account.Opened{Owner: "ann"}).
			When(account.Open{Owner: "ann"}).
			ThenError(account.ErrAlreadyOpen)
	})
}
