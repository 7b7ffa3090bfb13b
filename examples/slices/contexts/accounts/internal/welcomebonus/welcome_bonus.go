// Package welcomebonus is the slice that credits an account when it is opened.
package welcomebonus

import (
	"github.com/evolvego/evolve/decider"

	"github.com/evolvego/evolve/examples/slices/contexts/accounts/internal/account"
)

// Event is an event of the account with the id Account.
type Event struct {
	Account string
	Event   account.Event
}

// Command is a command for the account with the id Account.
type Command struct {
	Account string
	Command account.Command
}

// bonus is the credit for opening an account, in cents.
const bonus = 10_00

// State is what is left to do for one account.
type State struct {
	Account string
	Due     bool // a Credit must be sent
}

// Process returns the process, with one instance for each account.
func Process() decider.Process[Event, State, Command] {
	return decider.Process[Event, State, Command]{Key: key, Evolve: evolve, React: react, Pending: pending}
}

func key(e Event) (string, bool) {
	switch e.Event.(type) {
	case account.Opened, account.Credited:
		return e.Account, true
	}
	return "", false
}

func evolve(s State, e Event) State {
	switch e.Event.(type) {
	case account.Opened:
		s = State{Account: e.Account, Due: true}
	case account.Credited:
		s.Due = false
	}
	return s
}

// react sends the command that is pending, if there is one.
func react(s State, _ Event) decider.Reaction[Command, Event] {
	return decider.Reaction[Command, Event]{Send: pending(s)}
}

func pending(s State) []Command {
	if !s.Due {
		return nil
	}
	return []Command{{s.Account, account.Credit{Amount: bonus}}}
}
