// Package account is the account aggregate. Each of its slices is a file: a command,
// how it is decided, its event, and what that changes.
package account

import (
	"errors"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
)

// StreamType is the type of the streams of accounts.
const StreamType = "Account"

// State is what decisions need to know about an account. The zero State is an account that
// nothing has happened to yet.
type State struct {
	Open    bool
	Balance int64 // in cents
}

// Command asks an account for something. Each slice has one.
type Command interface {
	decide(s State) ([]Event, error)
}

// Event is what happened to an account.
type Event interface {
	evolve(s State) State
}

// Decider returns the decider of an account.
func Decider() decider.Decider[Command, State, Event] {
	return decider.New(Command.decide, func(s State, e Event) State { return e.evolve(s) })
}

// Codec returns the codec of the events, with the names that they are stored under.
func Codec() codec.Codec[Event] {
	return codec.JSON(map[string]Event{
		// A name is for ever: the streams have it.
		"AccountOpened":   Opened{}, // since the first release
		"AccountCredited": Credited{},
	})
}

// ErrNotOpen rejects whatever is asked of an account that is not open.
var ErrNotOpen = errors.New("account: not open")

// active returns ErrNotOpen unless the account is open.
func (s State) active() error {
	if !s.Open {
		return ErrNotOpen
	}
	return nil
}
