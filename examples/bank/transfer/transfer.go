// Package transfer moves money between two accounts as a process: the money that one
// account sends is received by the other, or refunded. Money is never created or lost,
// because every step is an event of an account before the next step is commanded.
package transfer

import (
	"net/url"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/examples/bank/account"
	"github.com/evolvego/evolve/store"
)

// Event is an input of a transfer: an event of an account, or a timer of its own.
//
//sumtype:decl
type Event interface{ isEvent() }

type (
	// Happened is an event of an account.
	Happened struct {
		Account string
		Event   account.Event
	}
	// Retried means that it is time to deliver the money again.
	Retried struct{}
	// GaveUp means that the time for opening the account is over.
	GaveUp struct{}
)

func (Happened) isEvent() {}
func (Retried) isEvent()  {}
func (GaveUp) isEvent()   {}

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
	Late     bool   // it no longer waits
}

// Stage is how far a transfer has come.
type Stage int

// The stages of a transfer.
const (
	Unknown  Stage = iota
	Sent           // the money has left From
	Waiting        // To is not open, and is retried
	Received       // the money has arrived at To
	Declined       // To did not accept the money, which is refunded
	Over           // From knows the outcome
)

// Source is the source of the events of accounts, as a transfer reads them.
func Source() codec.Source[Event] {
	return codec.Events(codec.From("Account", account.Codec(), func(r *store.Recorded, event account.Event) Event {
		return Happened{Account: r.Stream.ID, Event: event}
	}))
}

// Timers is the codec of timer events, with the names that they are stored under.
func Timers() codec.Codec[Event] {
	//decidervet:ignore only timers are stored: accounts store the events in Happened
	return codec.JSON(map[string]Event{"TransferRetried": Retried{}, "TransferGaveUp": GaveUp{}})
}

// Process is the process of transfers, with one instance for each. If the receiving
// account is not open, it retries ten times within patience, and then refunds the money.
func Process(patience time.Duration) decider.Process[Event, State, Command] {
	return decider.Process[Event, State, Command]{
		Key: Key, Pending: Pending,
		Evolve:   func(s State, e Event) State { return evolve(s, e, patience > 0) },
		React:    func(s State, e Event) decider.Reaction[Command, Event] { return react(s, e, patience) },
		Terminal: func(s State) bool { return s.Stage == Over },
	}
}

// Key returns the name of the transfer of an event: its id, and the account that sent it,
// within which the id is unique. The account is escaped, so that no two transfers have
// the same name, whatever their ids are. The event of a timer contains its transfer.
func Key(e Event) (string, bool) {
	h, ok := e.(Happened)
	if !ok {
		return "", false
	}
	switch a := h.Event.(type) {
	case account.Sent:
		return key(h.Account, a.Transfer), true
	case account.Received:
		return key(a.From, a.Transfer), true
	case account.Declined:
		return key(a.From, a.Transfer), true
	case account.Delivered:
		return key(h.Account, a.Transfer), true
	case account.Refunded:
		return key(h.Account, a.Transfer), true
	case account.Opened, account.Deposited, account.Withdrawn, account.Closed:
	}
	return "", false
}

func key(from, transfer string) string { return url.PathEscape(from) + "/" + transfer }

// evolve returns the state of the transfer after an event.
func evolve(s State, e Event, patient bool) State {
	switch e := e.(type) {
	case Happened:
		return happened(s, e, patient)
	case Retried:
		if s.Stage == Waiting {
			s.Stage = Sent
		}
	case GaveUp:
		s.Late = true
		if s.Stage == Waiting {
			s.Stage = Declined
		}
	}
	return s
}

func happened(s State, e Happened, patient bool) State {
	switch a := e.Event.(type) {
	case account.Sent:
		s = State{Transfer: a.Transfer, From: e.Account, To: a.To, Cents: a.Cents, Stage: Sent}
	case account.Received:
		s.Stage = Received
	case account.Declined:
		s.Stage, s.Reason = Declined, a.Reason
		if patient && !s.Late && a.Reason == account.ErrNotOpen.Error() {
			s.Stage = Waiting
		}
	case account.Delivered, account.Refunded:
		s.Stage = Over
	case account.Opened, account.Deposited, account.Withdrawn, account.Closed:
	}
	return s
}

// The timers of a transfer.
const (
	retry  = "retry"
	giveUp = "give up"
)

// react sends the command of the next step. It equals Pending: an event brings a transfer
// to a stage, and each stage waits for one command, or for a timer.
func react(s State, e Event, patience time.Duration) (r decider.Reaction[Command, Event]) {
	switch e.(type) {
	case Retried:
		if s.Stage == Sent {
			r.Send = Pending(s)
		}
	case GaveUp:
		r.Cancel = []string{retry}
		if s.Stage == Declined { // otherwise the answer to the command in flight decides
			r.Send = Pending(s)
		}
	case Happened:
		r.Send = Pending(s)
		switch s.Stage {
		case Sent:
			if patience > 0 {
				r.Later = []decider.Timer[Event]{{Name: giveUp, After: patience, Event: GaveUp{}}}
			}
		case Waiting:
			r.Later = []decider.Timer[Event]{{Name: retry, After: patience / 10, Event: Retried{}}}
		case Received, Declined:
			r.Cancel = []string{giveUp}
		case Unknown, Over:
		}
	}
	return r
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
	case Unknown, Waiting, Over:
	}
	return nil
}
