package props_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/props"
)

// The account is the decider that the laws are tried on: a correct one here, and broken
// ones derived from it in planted_test.go.
type (
	Command interface{ command() }
	Open    struct{ Owner string }
	Deposit struct {
		Amount int
		Tags   []string
	}
	Withdraw struct{ Amount int }
	Close    struct{}
)

func (Open) command()     {}
func (Deposit) command()  {}
func (Withdraw) command() {}
func (Close) command()    {}

type (
	Event     interface{ event() }
	Opened    struct{ Owner string }
	Deposited struct {
		Amount int
		Tags   []string `json:",omitempty"`
	}
	Withdrawn struct{ Amount int }
	Closed    struct{}
)

func (Opened) event()    {}
func (Deposited) event() {}
func (Withdrawn) event() {}
func (Closed) event()    {}

type State struct {
	Owner     string
	Open      bool
	Closed    bool
	Balance   int
	Movements []int
	Totals    map[string]int
}

type Step = props.Step[Command, State, Event]

const limit = 1_000_000_000

var (
	errOpen    = errors.New("account: already open")
	errNotOpen = errors.New("account: not open")
	errAmount  = errors.New("account: amount must be positive and small")
	errFunds   = errors.New("account: insufficient funds")
	errBalance = errors.New("account: balance is not zero")
)

func decide(cmd Command, s State) ([]Event, error) {
	if _, ok := cmd.(Open); ok != !s.Open || s.Closed {
		if ok {
			return nil, errOpen
		}
		return nil, errNotOpen
	}
	switch c := cmd.(type) {
	case Open:
		return []Event{Opened(c)}, nil
	case Deposit:
		if c.Amount <= 0 || c.Amount > limit {
			return nil, errAmount
		}
		return []Event{Deposited(c)}, nil
	case Withdraw:
		if c.Amount <= 0 || c.Amount > limit {
			return nil, errAmount
		}
		if c.Amount > s.Balance {
			return nil, errFunds
		}
		return []Event{Withdrawn(c)}, nil
	case Close:
		if s.Balance != 0 {
			return nil, errBalance
		}
		return []Event{Closed{}}, nil
	}
	return nil, decider.ErrUnhandled
}

func evolve(s State, e Event) State {
	switch e := e.(type) {
	case Opened:
		s.Owner, s.Open = e.Owner, true
	case Deposited:
		return moved(s, e.Amount, "in")
	case Withdrawn:
		return moved(s, -e.Amount, "out")
	case Closed:
		s.Closed = true
	}
	return s
}

func moved(s State, amount int, total string) State {
	s.Balance += amount
	s.Movements = append(slices.Clip(s.Movements), amount)
	totals := map[string]int{total: amount}
	for k, v := range s.Totals {
		totals[k] += v
	}
	s.Totals = totals
	return s
}

// account returns a new value each time, because tests change it.
func account() decider.Decider[Command, State, Event] {
	d := decider.New(decide, evolve)
	d.Terminal = func(s State) bool { return s.Closed }
	return d
}

func samples(d decider.Decider[Command, State, Event]) props.Suite[Command, State, Event] {
	return props.For(d).Any(Open{}, Deposit{}, Withdraw{}, Close{})
}

func solvent(s State) error {
	if s.Balance < 0 {
		return fmt.Errorf("balance is %d", s.Balance)
	}
	return nil
}

func frozen(s Step) error {
	if s.Before.Closed && len(s.Events) > 0 {
		return fmt.Errorf("decided %v", s.Events)
	}
	return nil
}

func refused(s Step) bool { return errors.Is(s.Err, errFunds) }

func allNames() map[string]Event {
	return map[string]Event{"Opened": Opened{}, "Deposited": Deposited{}, "Withdrawn": Withdrawn{}, "Closed": Closed{}}
}

func encodeState(s State) ([]byte, error) { return json.Marshal(s) }

func decodeState(data []byte) (s State, err error) {
	err = json.Unmarshal(data, &s)
	return s, err
}

func suite() props.Suite[Command, State, Event] {
	return samples(account()).
		Codec(codec.JSON(allNames())).
		Snapshot(encodeState, decodeState).
		Invariant("balance is never negative", solvent).
		Rule("a closed account decides nothing", frozen).
		Possible("an open account can be closed", isOpen, emptyAndClose, isClosed).
		Idempotent(Open{}, Close{}).
		Rejections(errOpen, errNotOpen, errAmount, errFunds, errBalance).
		Reaches("an overdraft is refused", refused)
}

// TestLaws is the suite in one line.
func TestLaws(t *testing.T) {
	t.Parallel()
	samples(account()).Check(t)
}

// TestAccount is everything that can be said about the account.
func TestAccount(t *testing.T) {
	t.Parallel()
	suite().Checks(2 * few()).Check(t)
}

// TestCommands draws commands that fit the state.
func TestCommands(t *testing.T) {
	t.Parallel()
	props.For(account()).Commands(func(t *rapid.T, s State) Command {
		switch {
		case !s.Open:
			return Open{"ann"}
		case s.Balance > 0 && rapid.Bool().Draw(t, "withdraw"):
			return Withdraw{rapid.OneOf(rapid.IntRange(1, s.Balance), rapid.Just(s.Balance+1)).Draw(t, "amount")}
		case s.Balance == 0 && rapid.IntRange(0, 9).Draw(t, "close") == 0:
			return Close{}
		}
		return Deposit{Amount: rapid.IntRange(1, 100).Draw(t, "amount")}
	}).Invariant("balance is never negative", solvent).Reaches("an overdraft is refused", refused).Checks(few()).Check(t)
}
