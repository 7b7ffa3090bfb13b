package runner_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store/memory"
)

// Commands, events and the state of a bank account.
type (
	//sumtype:decl
	Command interface{ isCommand() }
	Deposit struct{ Cents int }
	Pay     struct{ Cents int }

	//sumtype:decl
	Event     interface{ isEvent() }
	Deposited struct{ Cents int }
	Paid      struct{ Cents int }

	Account struct{ Cents int }
)

func (Deposit) isCommand() {}
func (Pay) isCommand()     {}
func (Deposited) isEvent() {}
func (Paid) isEvent()      {}

var ErrNoMoney = errors.New("bank: not enough money")

func Decide(c Command, a Account) ([]Event, error) {
	switch c := c.(type) {
	case Deposit:
		return []Event{Deposited(c)}, nil
	case Pay:
		if c.Cents > a.Cents {
			return nil, ErrNoMoney
		}
		return []Event{Paid(c)}, nil
	}
	return nil, decider.ErrUnhandled
}

func Evolve(a Account, e Event) Account {
	switch e := e.(type) {
	case Deposited:
		a.Cents += e.Cents
	case Paid:
		a.Cents -= e.Cents
	}
	return a
}

var Codec = codec.JSON(map[string]Event{"Deposited": Deposited{}, "Paid": Paid{}})

// A bank account consists of two functions, the names of its events, and a store.
func Example() {
	ctx := context.Background()
	accounts := runner.New("Account", decider.New(Decide, Evolve), memory.New(), Codec)

	out, err := accounts.Handle(ctx, "ann", Deposit{500})
	fmt.Println(out.State, out.Version, err)
	out, err = accounts.Handle(ctx, "ann", Pay{200}, runner.CommandID("invoice 7"))
	fmt.Println(out.State, out.Version, err)

	// The same command again: it is already recorded, and is not recorded twice.
	out, err = accounts.Handle(ctx, "ann", Pay{200}, runner.CommandID("invoice 7"))
	fmt.Println(out.State, out.Version, err, out.Replayed)

	_, err = accounts.Handle(ctx, "ann", Pay{400})
	fmt.Println(err, errors.Is(err, ErrNoMoney), errors.Is(err, runner.ErrRejected))
	// Output:
	// {500} 1 <nil>
	// {300} 2 <nil>
	// {300} 2 <nil> true
	// bank: not enough money true true
}
