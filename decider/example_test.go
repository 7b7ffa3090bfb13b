package decider_test

import (
	"errors"
	"fmt"

	"github.com/evolvego/evolve/decider"
)

// Command is a request to an account.
//
//sumtype:decl
type Command interface{ isCommand() }

type (
	Deposit struct{ Cents int }
	Payout  struct{ Cents int }
)

// Event is something that happened to an account.
//
//sumtype:decl
type Event interface{ isEvent() }

type (
	Deposited struct{ Cents int }
	PaidOut   struct{ Cents int }
)

func (Deposit) isCommand() {}
func (Payout) isCommand()  {}
func (Deposited) isEvent() {}
func (PaidOut) isEvent()   {}

var errFunds = errors.New("account: insufficient funds")

func decide(cmd Command, balance int) ([]Event, error) {
	switch cmd := cmd.(type) {
	case Deposit:
		return []Event{Deposited(cmd)}, nil
	case Payout:
		if cmd.Cents > balance {
			return nil, errFunds
		}
		return []Event{PaidOut(cmd)}, nil
	}
	return nil, decider.ErrUnhandled
}

func evolve(balance int, event Event) int {
	switch event := event.(type) {
	case Deposited:
		return balance + event.Cents
	case PaidOut:
		return balance - event.Cents
	}
	return balance
}

// The state of this account is its balance.
func Example() {
	account := decider.New(decide, evolve)

	balance, events, err := account.Step(Deposit{100}, account.Start())
	fmt.Println(balance, events, err)
	balance, events, err = account.Step(Payout{500}, balance)
	fmt.Println(balance, events, err)
	fmt.Println(account.Fold(0, Deposited{100}, PaidOut{30}))
	// Output:
	// 100 [{100}] <nil>
	// 100 [] account: insufficient funds
	// 70
}

// Account has the functions as methods.
type Account struct{}

func (Account) Decide(cmd Command, balance int) ([]Event, error) { return decide(cmd, balance) }
func (Account) Evolve(balance int, event Event) int              { return evolve(balance, event) }

func ExampleOf() {
	account := decider.Of(Account{})
	fmt.Println(account.Step(Deposit{5}, account.Start()))
	// Output: 5 [{5}] <nil>
}

// The commands and events of a household are those of its account and of its mailbox. In
// a real program they are sealed interfaces too, which the interfaces of the parts embed.
type (
	HouseholdCommand any
	HouseholdEvent   any
	Household        struct{ Balance, Letters int }
	Post             struct{ Letters int }
	Posted           struct{ Letters int }
)

func ExampleUnion() {
	account := decider.New(decide, evolve)
	mailbox := decider.New(
		func(cmd Post, _ int) ([]Posted, error) { return []Posted{Posted(cmd)}, nil },
		func(letters int, e Posted) int { return letters + e.Letters },
	)
	household := decider.Union(
		func() Household { return Household{Balance: account.Start(), Letters: mailbox.Start()} },
		decider.Focus(decider.Adapt[HouseholdCommand](account, func(e Event) HouseholdEvent { return e }),
			func(h Household) int { return h.Balance },
			func(h Household, balance int) Household { h.Balance = balance; return h }),
		decider.Focus(decider.Adapt[HouseholdCommand](mailbox, func(e Posted) HouseholdEvent { return e }),
			func(h Household) int { return h.Letters },
			func(h Household, letters int) Household { h.Letters = letters; return h }),
	)

	state, _, _ := household.Step(Deposit{100}, household.Start())
	state, _, _ = household.Step(Post{2}, state)
	fmt.Printf("%+v\n", state)
	_, err := household.Decide("water the plants", state)
	fmt.Println(err)
	// Output:
	// {Balance:100 Letters:2}
	// decider: unhandled command
}

func ExampleMany() {
	accounts := decider.Many[string](decider.New(decide, evolve))
	type cmd = decider.Keyed[string, Command]

	state, _, _ := accounts.Step(cmd{"ann", Deposit{100}}, accounts.Start())
	state, _, _ = accounts.Step(cmd{"bob", Deposit{7}}, state)
	_, _, err := accounts.Step(cmd{"bob", Payout{100}}, state)
	fmt.Println(state, err)
	// Output: map[ann:100 bob:7] account: insufficient funds
}

func ExampleBatch() {
	account := decider.Batch(decider.New(decide, evolve))

	fmt.Println(account.Step([]Command{Deposit{100}, Payout{60}}, 0))
	fmt.Println(account.Step([]Command{Deposit{100}, Payout{60}, Payout{60}}, 0))
	// Output:
	// 40 [{100} {60}] <nil>
	// 0 [] command 2 of the batch: account: insufficient funds
}

// A sweep pays out whatever exceeds 50.
func ExampleWithProcess() {
	sweep := decider.Process[Event, int, Command]{
		Evolve: evolve,
		React: func(balance int, _ Event) decider.Reaction[Command, Event] {
			if balance <= 50 {
				return decider.Reaction[Command, Event]{}
			}
			return decider.Reaction[Command, Event]{Send: []Command{Payout{balance - 50}}}
		},
	}
	account := decider.WithProcess(decider.New(decide, evolve), sweep, 10)

	state, events, err := account.Step(Deposit{80}, account.Start())
	fmt.Printf("%d %T %v\n", state.Left, events[1], err)
	// Output: 50 decider_test.PaidOut <nil>
}

func ExampleMerge() {
	type account struct{ Balance, Movements int }
	balance := decider.New(decide, evolve).View()
	movements := decider.View[int, Event]{Evolve: func(n int, _ Event) int { return n + 1 }}
	statement := decider.Merge(nil,
		decider.FocusView(balance,
			func(a account) int { return a.Balance },
			func(a account, balance int) account { a.Balance = balance; return a }),
		decider.FocusView(movements,
			func(a account) int { return a.Movements },
			func(a account, n int) account { a.Movements = n; return a }),
	)
	fmt.Printf("%+v\n", statement.Fold(statement.Start(), Deposited{100}, PaidOut{30}))
	// Output: {Balance:70 Movements:2}
}

// Totals is a state of 48 bytes, which Go returns through memory.
type Totals struct{ Deposits, Payouts, In, Out, Largest, Balance int }

// add is a method and not a variable, because otherwise each call of Evolve would
// allocate.
func (t *Totals) add(event Event) {
	switch event := event.(type) {
	case Deposited:
		t.Deposits, t.In, t.Balance = t.Deposits+1, t.In+event.Cents, t.Balance+event.Cents
		t.Largest = max(t.Largest, event.Cents)
	case PaidOut:
		t.Payouts, t.Out, t.Balance = t.Payouts+1, t.Out+event.Cents, t.Balance-event.Cents
	}
}

// EvolveInPlace makes long streams of a large state fold several times as fast.
func ExampleDecider_evolveInPlace() {
	account := decider.Decider[Command, Totals, Event]{
		Decide:        func(cmd Command, t Totals) ([]Event, error) { return decide(cmd, t.Balance) },
		Evolve:        func(t Totals, event Event) Totals { t.add(event); return t },
		EvolveInPlace: (*Totals).add,
	}
	fmt.Printf("%+v\n", account.Fold(account.Start(), Deposited{100}, PaidOut{30}))
	// Output: {Deposits:1 Payouts:1 In:100 Out:30 Largest:100 Balance:70}
}
