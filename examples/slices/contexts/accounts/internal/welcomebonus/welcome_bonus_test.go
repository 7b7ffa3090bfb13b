package welcomebonus_test

import (
	"testing"

	"github.com/evolvego/evolve/props"

	"github.com/evolvego/evolve/examples/slices/contexts/accounts/internal/account"
	"github.com/evolvego/evolve/examples/slices/contexts/accounts/internal/welcomebonus"
)

func TestWelcomeBonus(t *testing.T) {
	t.Parallel()
	props.Process(welcomebonus.Process()).
		Any(
			welcomebonus.Event{Event: account.Opened{}},
			welcomebonus.Event{Event: account.Credited{}},
		).
		Check(t)
}
