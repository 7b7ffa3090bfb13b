package account_test

import (
	"fmt"

	"github.com/evolvego/evolve/examples/bank/account"
)

// An account can decide without a store.
func Example() {
	d := account.Decider()
	state := d.Fold(d.Start(), account.Opened{Owner: "Ann"}, account.Deposited{Cents: 500})

	state, events, err := d.Step(account.Withdraw{Cents: 300}, state)
	fmt.Println(events, err, account.Money(state.Balance))

	_, events, err = d.Step(account.Withdraw{Cents: 300}, state)
	fmt.Println(events, err)
	// Output:
	// [{300}] <nil> 2.00
	// [] account: insufficient funds: 2.00 available, 3.00 wanted
}
