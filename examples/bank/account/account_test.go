package account_test

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	. "github.com/evolvego/evolve/examples/bank/account" //nolint:revive // scenarios read like the domain
	"github.com/evolvego/evolve/props"
)

func suite() props.Suite[Command, State, Event] {
	return props.For(Decider()).
		Commands(draw).
		Codec(Codec()).
		Invariant("the balance is never negative", func(s State) error {
			if s.Balance < 0 {
				return fmt.Errorf("the balance is %d", s.Balance)
			}
			return nil
		}).
		Invariant("refunds always fit", func(s State) error {
			sum := s.Balance
			for _, cents := range s.Underway {
				sum += cents
			}
			if sum > MaxCents {
				return fmt.Errorf("%d cents are in the account or in transit", sum)
			}
			return nil
		}).
		Invariant("a closed account has no money, in the account or in transit", func(s State) error {
			if s.Status == Ended && (s.Balance != 0 || len(s.Underway) > 0) {
				return fmt.Errorf("%+v", s)
			}
			return nil
		}).
		Rule("money is kept", func(s props.Step[Command, State, Event]) error {
			if got := worth(s.After) - worth(s.Before); got != moved(s.Before, s.Events) {
				return fmt.Errorf("worth %d more, but %d came in", got, moved(s.Before, s.Events))
			}
			return nil
		}).
		Rule("every transfer to this account is received or declined", func(s props.Step[Command, State, Event]) error {
			if _, ok := s.Command.(Receive); ok && (s.Err != nil || len(s.Events) != 1) {
				return fmt.Errorf("decided %v, %w", s.Events, s.Err)
			}
			return nil
		}).
		Reaches("an overdraft is refused", func(s props.Step[Command, State, Event]) bool {
			return errors.Is(s.Err, ErrInsufficientFunds)
		})
}

// draw draws any command. Transfers are mostly those in transit.
func draw(t *rapid.T, s State) Command {
	cents := func() int64 {
		return rapid.OneOf(rapid.Int64Range(-1, 1000), rapid.Int64(), rapid.Just(s.Balance), rapid.Just(s.Balance+1)).Draw(t, "cents")
	}
	id := rapid.SampledFrom([]string{"t-1", "t-2", "t-3"}).Draw(t, "transfer")
	switch rapid.IntRange(0, 8).Draw(t, "command") {
	case 0:
		return Open{Owner: rapid.SampledFrom([]string{"ann", ""}).Draw(t, "owner")}
	case 1:
		return Withdraw{cents()}
	case 2:
		return Send{id, "a-1", rapid.SampledFrom([]string{"a-2", "a-1"}).Draw(t, "to"), cents()}
	case 3:
		return Receive{id, "a-2", cents()}
	case 4:
		return Deliver{id}
	case 5:
		return Refund{id, "account: not open"}
	case 6:
		return Close{}
	}
	return Deposit{cents()}
}

// worth returns the money of an account, including transfers in transit from it.
func worth(s State) int64 {
	sum := s.Balance
	for _, cents := range s.Underway {
		sum += cents
	}
	return sum
}

// moved returns the money that an account received with events, minus the money that left
// it.
func moved(before State, events []Event) int64 {
	var sum int64
	for _, event := range events {
		switch e := event.(type) {
		case Deposited:
			sum += e.Cents
		case Withdrawn:
			sum -= e.Cents
		case Received:
			sum += e.Cents
		case Delivered:
			sum -= before.Underway[e.Transfer]
		case Opened, Sent, Declined, Refunded, Closed:
		}
	}
	return sum
}

func TestAccount(t *testing.T) {
	t.Parallel()
	suite().Check(t)
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	opened := Opened{"ann"}
	t.Run("more than the balance", func(t *testing.T) {
		t.Parallel()
		props.Spec(t, Decider()).Given(opened, Deposited{500}).When(Withdraw{700}).ThenError(ErrInsufficientFunds)
	})
	t.Run("the whole balance", func(t *testing.T) {
		t.Parallel()
		props.Spec(t, Decider()).Given(opened, Deposited{500}).When(Withdraw{500}).Then(Withdrawn{500})
	})
	t.Run("money in transit cannot be spent again", func(t *testing.T) {
		t.Parallel()
		props.Spec(t, Decider()).Given(opened, Deposited{500}, Sent{"t-1", "a-2", 300}).When(Withdraw{300}).ThenError(ErrInsufficientFunds)
	})
	t.Run("a refund returns the money once", func(t *testing.T) {
		t.Parallel()
		given := []Event{opened, Deposited{500}, Sent{"t-1", "a-2", 300}}
		props.Spec(t, Decider()).Given(given...).When(Refund{"t-1", "no"}).Then(Refunded{"t-1", 300, "no"})
		props.Spec(t, Decider()).Given(append(given, Refunded{"t-1", 300, "no"})...).When(Refund{"t-1", "no"}).ThenError(ErrNoSuchTransfer)
	})
	t.Run("an account that is not open declines money", func(t *testing.T) {
		t.Parallel()
		props.Spec(t, Decider()).When(Receive{"t-1", "a-2", 5}).Then(Declined{"t-1", "a-2", 5, "account: not open"})
	})
	t.Run("no closing while money is in transit", func(t *testing.T) {
		t.Parallel()
		props.Spec(t, Decider()).Given(opened, Deposited{5}, Sent{"t-1", "a-2", 5}).When(Close{}).ThenError(ErrNotEmpty)
	})
	t.Run("the reason has the amounts", func(t *testing.T) {
		t.Parallel()
		_, err := Decide(Withdraw{700}, State{Status: Active, Balance: 525})
		var funds *InsufficientFundsError
		if !errors.As(err, &funds) || err.Error() != "account: insufficient funds: 5.25 available, 7.00 wanted" {
			t.Errorf("Decide = %v", err)
		}
	})
}

func TestMoney(t *testing.T) {
	t.Parallel()
	for cents, want := range map[int64]string{0: "0.00", 5: "0.05", 1234: "12.34", -5: "-0.05", -1234: "-12.34"} {
		if got := Money(cents); got != want {
			t.Errorf("Money(%d) = %s, want %s", cents, got, want)
		}
	}
}
