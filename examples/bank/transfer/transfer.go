// Package transfer moves money between two accounts as a process: what is sent
// from one is received by the other, or goes back. Money is never made and never
// lost, because every step is an event of an account before the next one is asked
// for.
package transfer

import (
	"net/url"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/examples/bank/account"
)

// Event is an event of an account, with the id of the account.
type Event struct {
	Account string
	Event   account.Event
}

// Command is a command for an account, with the id of the account.
type Command struct {
	Account string
	Command account.Command
}

// State is one transfer.
type State struct {
	Transfer string
	From, To string
	Cents    int64
	Stage    Stage
	Reason   string // why it was declined
}

// Stage is how far a transfer has come.
type Stage int

// The stages of a transfer.
const (
	Unknown  Stage = iota
	Sent           // has left From
	Received       // has arrived at To
	Declined       // was not accepted by To
	Over           // From knows the end
)

// Process is the transfer: one instance for each.
func Process() decider.Process[Event, State, Command] {
	return decider.Process[Event, State, Command]{
		Key: Key, Evolve: Evolve, React: React, Pending: Pending,
		Terminal: func(s State) bool { return s.Stage == Over },
	}
}

// Key names the transfer that an event is about: its id, and the account that it
// left, in which the id is unique. The account is escaped, so that no two transfers
// have one name, whatever is in their ids.
func Key(e Event) (string, bool) {
	switch a := e.Event.(type) {
	case account.Sent:
		return key(e.Account, a.Transfer), true
	case account.Received:
		return key(a.From, a.Transfer), true
	case account.Declined:
		return key(a.From, a.Transfer), true
	case account.Delivered:
		return key(e.Account, a.Transfer), true
	case account.Refunded:
		return key(e.Account, a.Transfer), true
	case account.Opened, account.Deposited, account.Withdrawn, account.Closed:
	}
	return "", false
}

func key(from, transfer string) string { return url.PathEscape(from) + "/" + transfer }

// Evolve says what an event means for the transfer.
func Evolve(s State, e Event) State {
	switch a := e.Event.(type) {
	case account.Sent:
		s = State{Transfer: a.Transfer, From: e.Account, To: a.To, Cents: a.Cents, Stage: Sent}
	case account.Received:
		s.Stage = Received
	case account.Declined:
		s.Stage, s.Reason = Declined, a.Reason
	case account.Delivered, account.Refunded:
		s.Stage = Over
	case account.Opened, account.Deposited, account.Withdrawn, account.Closed:
	}
	return s
}

// React asks for the next step. It is what is pending: an event brings a transfer
// to a stage, and each stage waits for one command.
func React(s State, _ Event) decider.Reaction[Command, Event] {
	return decider.Reaction[Command, Event]{Send: Pending(s)}
}

// Pending returns the command that the transfer waits for.
func Pending(s State) []Command {
	switch s.Stage {
	case Sent:
		return []Command{{s.To, account.Receive{Transfer: s.Transfer, From: s.From, Cents: s.Cents}}}
	case Received:
		return []Command{{s.From, account.Deliver{Transfer: s.Transfer}}}
	case Declined:
		return []Command{{s.From, account.Refund{Transfer: s.Transfer, Reason: s.Reason}}}
	case Unknown, Over:
	}
	return nil
}
