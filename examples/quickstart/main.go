// Command quickstart is the program in the README: an account as two pure functions, and
// a runner that runs it on a store.
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store/memory"
)

type (
	Command  interface{ isCommand() } // a request
	Deposit  struct{ Cents int }
	Withdraw struct{ Cents int }

	Event     interface{ isEvent() } // what happened
	Deposited struct{ Cents int }
	Withdrawn struct{ Cents int }
)

func (Deposit) isCommand()  {}
func (Withdraw) isCommand() {}
func (Deposited) isEvent()  {}
func (Withdrawn) isEvent()  {}

var ErrInsufficientFunds = errors.New("account: insufficient funds")

func Decide(cmd Command, balance int) ([]Event, error) {
	switch c := cmd.(type) {
	case Deposit:
		return []Event{Deposited(c)}, nil
	case Withdraw:
		if c.Cents > balance {
			return nil, ErrInsufficientFunds
		}
		return []Event{Withdrawn(c)}, nil
	}
	return nil, decider.ErrUnhandled
}

func Evolve(balance int, event Event) int {
	switch e := event.(type) {
	case Deposited:
		balance += e.Cents
	case Withdrawn:
		balance -= e.Cents
	}
	return balance
}

func main() {
	events := codec.JSON(map[string]Event{"Deposited": Deposited{}, "Withdrawn": Withdrawn{}})
	accounts := runner.New("Account", decider.New(Decide, Evolve), memory.New(), events)

	ctx := context.Background()
	out, err := accounts.Handle(ctx, "acc-1", Deposit{Cents: 500})
	fmt.Println(out.State, out.Version, out.Events, err)

	_, err = accounts.Handle(ctx, "acc-1", Withdraw{Cents: 700})
	fmt.Println(err)
}
