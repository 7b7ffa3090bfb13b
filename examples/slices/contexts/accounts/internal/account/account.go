// Package account is the account aggregate. Each slice is one file: it has a command, the
// decision, the event, and the event's effect on the state.
package account

import (
	"errors"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
)

// StreamType is the stream type of accounts.
const StreamType = "Account"

// State is what decisions need to know about an account. The zero State is an account without
// events.
type State struct {
	Open    bool
	Balance int64 // in cents
}

// Command is a request to an account. Each slice has one.
type Command interface {
	decide(s State) ([]Event, error)
}

// Event is something that happened to an account.
type Event interface {
	evolve(s State) State
}

// Decider returns the decider for accounts.
func Decider() decider.Decider[Command, State, Event] {
	return decider.New(Command.decide, func(s State, e Event) State { return e.evolve(s) })
}

// Codec returns the codec for the events. Its keys are the names in the store.
func Codec() codec.Codec[Event] {
	return codec.JSON(map[string]Event{
		// Never change a name, because stored events have it.
		"AccountOpened":   Opened{}, // since the first release
		"AccountCredited": Credited{},
	})
}

// ErrNotOpen rejects a command to an account that is not open.
var ErrNotOpen = errors.New("account: not open")

// active returns ErrNotOpen unless the account is open.
func (s State) active() error {
	if !s.Open {
		return ErrNotOpen
	}
	return nil
}
