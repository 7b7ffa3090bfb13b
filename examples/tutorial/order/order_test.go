package order_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/evolvego/evolve/examples/tutorial/order"
	"github.com/evolvego/evolve/props"
)

func TestOrder(t *testing.T) {
	t.Parallel()
	props.For(order.Decider()).
		Any(order.Place{}, order.Pay{}, order.Cancel{}).
		Codec(order.Codec()).
		Invariant("nobody owes less than nothing", func(s order.State) error {
			if s.Due < 0 {
				return fmt.Errorf("%d cents are due", s.Due)
			}
			return nil
		}).
		Rule("a cancelled order stays as it is", func(s props.Step[order.Command, order.State, order.Event]) error {
			if s.Before.Cancelled && len(s.Events) > 0 {
				return errors.New("it decided something")
			}
			return nil
		}).
		Check(t)
}

func TestStored(t *testing.T) {
	t.Parallel()
	orders := props.For(order.Decider()).Any(order.Place{}, order.Pay{}, order.Cancel{}).Codec(order.Codec())
	props.Golden(t, orders, "testdata/golden")
}

func TestPay(t *testing.T) {
	t.Parallel()
	t.Run("not too much", func(t *testing.T) {
		t.Parallel()
		props.Spec(t, order.Decider()).
			Given(order.Placed{Customer: "ann", Cents: 500}).
			When(order.Pay{Cents: 501}).
			ThenError(order.ErrAmount)
	})
	t.Run("a part, then the rest", func(t *testing.T) {
		t.Parallel()
		props.Spec(t, order.Decider()).
			Given(order.Placed{Customer: "ann", Cents: 500}, order.Paid{Cents: 200}).
			When(order.Pay{Cents: 300}).
			Then(order.Paid{Cents: 300})
	})
}
