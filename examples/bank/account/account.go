// Package account is a bank account as pure functions, in whole cents.
package account

import (
	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
)

// Command is a request to an account.
//
//sumtype:decl
type Command interface{ isCommand() }

type (
	// Open opens the account.
	Open struct{ Owner string }
	// Deposit pays money in.
	Deposit struct{ Cents int64 }
	// Withdraw pays money out.
	Withdraw struct{ Cents int64 }
	// Send takes money out and sends it to another account. Transfer must be an id that
	// no transfer from this account has used before, because the ids of finished
	// transfers cannot be used again.
	Send struct {
		Transfer string
		From, To string
		Cents    int64
	}
	// Receive pays in money that was sent. It is never rejected: money that cannot be
	// received is Declined, so that it can be refunded.
	Receive struct {
		Transfer string
		From     string
		Cents    int64
	}
	// Deliver says that the money of a transfer has arrived.
	Deliver struct{ Transfer string }
	// Refund pays back the money of a transfer that could not be received.
	Refund struct {
		Transfer string
		Reason   string
	}
	// Close closes the account permanently.
	Close struct{}
)

func (Open) isCommand()     {}
func (Deposit) isCommand()  {}
func (Withdraw) isCommand() {}
func (Send) isCommand()     {}
func (Receive) isCommand()  {}
func (Deliver) isCommand()  {}
func (Refund) isCommand()   {}
func (Close) isCommand()    {}

// Event is what happened to an account.
//
//sumtype:decl
type Event interface{ isEvent() }

type (
	// Opened means that the account is open.
	Opened struct {
		Owner string `json:"owner"`
	}
	// Deposited means that money was paid in.
	Deposited struct {
		Cents int64 `json:"cents"`
	}
	// Withdrawn means that money was paid out.
	Withdrawn struct {
		Cents int64 `json:"cents"`
	}
	// Sent means that money has left for another account.
	Sent struct {
		Transfer string `json:"transfer"`
		To       string `json:"to"`
		Cents    int64  `json:"cents"`
	}
	// Received means that money has come from another account.
	Received struct {
		Transfer string `json:"transfer"`
		From     string `json:"from"`
		Cents    int64  `json:"cents"`
	}
	// Declined means that money from another account could not be received.
	Declined struct {
		Transfer string `json:"transfer"`
		From     string `json:"from"`
		Cents    int64  `json:"cents"`
		Reason   string `json:"reason"`
	}
	// Delivered means that the money of a transfer has arrived.
	Delivered struct {
		Transfer string `json:"transfer"`
	}
	// Refunded means that the money of a transfer is back.
	Refunded struct {
		Transfer string `json:"transfer"`
		Cents    int64  `json:"cents"`
		Reason   string `json:"reason"`
	}
	// Closed means that the account is closed.
	Closed struct{}
)

func (Opened) isEvent()    {}
func (Deposited) isEvent() {}
func (Withdrawn) isEvent() {}
func (Sent) isEvent()      {}
func (Received) isEvent()  {}
func (Declined) isEvent()  {}
func (Delivered) isEvent() {}
func (Refunded) isEvent()  {}
func (Closed) isEvent()    {}

// State is the state that decisions depend on.
type State struct {
	Status   Status
	Owner    string
	Balance  int64            // in cents, never negative
	Underway map[string]int64 // cents sent and not yet delivered or refunded, by transfer
}

// Status is the stage of an account's life.
type Status int

// The stages of an account's life.
const (
	Absent Status = iota
	Active
	Ended
)

// Decider returns the decider of an account.
func Decider() decider.Decider[Command, State, Event] {
	return decider.New(Decide, Evolve)
}

// Codec returns the codec of the events, with the names that they are stored under.
func Codec() codec.Codec[Event] {
	return codec.JSON(map[string]Event{
		"AccountOpened":     Opened{},
		"MoneyDeposited":    Deposited{},
		"MoneyWithdrawn":    Withdrawn{},
		"TransferSent":      Sent{},
		"TransferReceived":  Received{},
		"TransferDeclined":  Declined{},
		"TransferDelivered": Delivered{},
		"TransferRefunded":  Refunded{},
		"AccountClosed":     Closed{},
	})
}
