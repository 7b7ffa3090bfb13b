// Package order is the order of the tutorial: what a customer may do with it, and why
// not.
package order

import (
	"errors"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
)

// Command is a request to an order: Place, Pay or Cancel.
type Command interface{ isCommand() }

type (
	// Place places the order.
	Place struct {
		Customer string
		Cents    int64
	}
	// Pay pays a part of the order, or all of it.
	Pay struct{ Cents int64 }
	// Cancel cancels the order.
	Cancel struct{ Reason string }
)

func (Place) isCommand()  {}
func (Pay) isCommand()    {}
func (Cancel) isCommand() {}

// Event is what happened to an order: Placed, Paid or Cancelled.
type Event interface{ isEvent() }

type (
	// Placed says that the customer owes the price.
	Placed struct {
		Customer string `json:"customer"`
		Cents    int64  `json:"cents"`
	}
	// Paid says that the customer has paid a part of the price, or all of it.
	Paid struct {
		Cents int64 `json:"cents"`
	}
	// Cancelled says that the customer owes nothing any more.
	Cancelled struct {
		Reason string `json:"reason"`
	}
)

func (Placed) isEvent()    {}
func (Paid) isEvent()      {}
func (Cancelled) isEvent() {}

// State is what decisions need to know about an order.
type State struct {
	Placed    bool
	Cancelled bool
	Due       int64 // in cents
}

// Errors that reject commands.
var (
	ErrPlaced    = errors.New("order: already placed")
	ErrNotPlaced = errors.New("order: not placed")
	ErrCancelled = errors.New("order: cancelled")
	ErrPaid      = errors.New("order: already paid")
	ErrAmount    = errors.New("order: the amount must be positive and at most what is due")
	ErrCustomer  = errors.New("order: a customer is needed")
)

// Decide says what happens because of a command, or why nothing does.
func Decide(cmd Command, s State) ([]Event, error) {
	if s.Cancelled {
		return nil, ErrCancelled
	}
	switch c := cmd.(type) {
	case Place:
		switch {
		case s.Placed:
			return nil, ErrPlaced
		case c.Customer == "":
			return nil, ErrCustomer
		case c.Cents <= 0:
			return nil, ErrAmount
		}
		return []Event{Placed(c)}, nil
	case Pay:
		switch {
		case !s.Placed:
			return nil, ErrNotPlaced
		case s.Due == 0:
			return nil, ErrPaid
		case c.Cents <= 0 || c.Cents > s.Due:
			return nil, ErrAmount
		}
		return []Event{Paid(c)}, nil
	case Cancel:
		switch {
		case !s.Placed:
			return nil, ErrNotPlaced
		case s.Due == 0:
			return nil, ErrPaid
		}
		return []Event{Cancelled(c)}, nil
	}
	return nil, decider.ErrUnhandled
}

// Evolve says what an event changes.
func Evolve(s State, event Event) State {
	switch e := event.(type) {
	case Placed:
		s.Placed, s.Due = true, e.Cents
	case Paid:
		s.Due -= e.Cents
	case Cancelled:
		s.Cancelled, s.Due = true, 0
	}
	return s
}

// Decider returns the decider of an order.
func Decider() decider.Decider[Command, State, Event] { return decider.New(Decide, Evolve) }

// Codec returns the codec of the events, with the names that they are stored under.
func Codec() codec.Codec[Event] {
	return codec.JSON(map[string]Event{
		"OrderPlaced":    Placed{},
		"OrderPaid":      Paid{},
		"OrderCancelled": Cancelled{},
	})
}
