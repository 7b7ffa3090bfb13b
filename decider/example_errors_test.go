package decider_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/evolvego/evolve/decider"
)

// saver is a decider in method form.
type saver struct{}

func (saver) Decide(cmd Command, balance int) ([]Event, error) { return decide(cmd, balance) }
func (saver) Evolve(balance int, event Event) int              { return evolve(balance, event) }

func ExampleAggregate() {
	var a decider.Aggregate[Command, int, Event] = saver{}
	balance, events, err := decider.Of(a).Step(Deposit{80}, 20)
	fmt.Println(balance, events, err)
	// Output: 100 [{80}] <nil>
}

// A batch is rejected because of one of its commands.
func ExampleBatchError() {
	_, _, err := decider.Batch(decider.New(decide, evolve)).Step([]Command{Deposit{10}, Payout{20}}, 0)
	batch, _ := errors.AsType[*decider.BatchError](err)
	fmt.Println(batch.Index, batch.Err)
	// Output: 1 account: insufficient funds
}

// A process that always sends another command never ends.
func ExampleLimitError() {
	more := decider.Process[Event, int, Command]{
		Evolve: evolve,
		React: func(int, Event) decider.Reaction[Command, Event] {
			return decider.Reaction[Command, Event]{Send: []Command{Deposit{1}}}
		},
	}
	endless := decider.WithProcess(decider.New(decide, evolve), more, 5)
	_, _, err := endless.Step(Deposit{1}, endless.Start())
	limit, _ := errors.AsType[*decider.LimitError](err)
	fmt.Println(limit.Limit)
	// Output: 5
}

// A decider has no clock, so it cannot run the timer of a process.
func ExampleTimerError() {
	reminding := decider.Process[Event, int, Command]{
		Evolve: evolve,
		React: func(int, Event) decider.Reaction[Command, Event] {
			return decider.Reaction[Command, Event]{
				Later: []decider.Timer[Event]{{Name: "reminder", After: time.Hour, Event: PaidOut{}}},
			}
		},
	}
	account := decider.WithProcess(decider.New(decide, evolve), reminding, 5)
	_, _, err := account.Step(Deposit{1}, account.Start())
	timer, _ := errors.AsType[*decider.TimerError](err)
	fmt.Println(timer.Name, timer.After)
	// Output: reminder 1h0m0s
}

// A pointer is not a command of the account, which handles the struct.
func ExampleUnhandledError() {
	cmd := &Deposit{80}
	_, err := decide(cmd, 0)
	unhandled, _ := errors.AsType[*decider.UnhandledError](decider.Unhandled(err, cmd))
	fmt.Println(errors.Is(unhandled, decider.ErrUnhandled), unhandled.Command)
	// Output: true *decider_test.Deposit
}
