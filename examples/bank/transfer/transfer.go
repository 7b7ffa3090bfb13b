// Package transfer moves money between two accounts as a process: what is sent
// from one is received by the other, or goes back. Money is never made and never
// lost, because every step is an event of an account before the next one is asked
// for.
package transfer

import (
	"net/url"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/examples/bank/account"
	"github.com/evolvego/evolve/store"
)

// Event is what a transfer hears of: an event of an account, or a timer of its own.
//
//sumtype:decl
type Event interface{ isEvent() }

type (
	// Happened is an event of an account.
	Happened struct {
		Account string
		Event   account.Event
	}
	// Retried means that it is time to try again to hand over the money.
	Retried struct{}
	// GaveUp means that there was time enough for the account to be opened.
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
	Late     bool   // it has given up to wait
}

// Stage is how far a transfer has come.
type Stage int

// The stages of a transfer.
const (
	Unknown  Stage = iota
	Sent           // has left From
	Waiting        // To is not open, and is tried again
	Received       // has arrived at To
	Declined       // was not accepted by To, and goes back
	Over           // From knows the end
)

// Source is the accounts, as a transfer reads them.
func Source() codec.Source[Event] {
	return codec.Events(codec.From("Account", account.Codec(), func(r *store.Recorded, event account.Event) Event {
		return Happened{Account: r.Stream.ID, Event: event}
	}))
}

// Timers names the events of timers as they are stored.
func Timers() codec.Codec[Event] {
	//decidervet:ignore only timers are stored: what Happened is stored by accounts
	return codec.JSON(map[string]Event{"TransferRetried": Retried{}, "TransferGaveUp": GaveUp{}})
}

// Process is the transfer: one instance for each. If the account that it goes to is not
// open, it tries again for as long as patience says, ten times, and then goes back.
func Process(patience time.Duration) decider.Process[Event, State, Command] {
	return decider.Process[Event, State, Command]{
		Key: Key, Pending: Pending,
		Evolve:   func(s State, e Event) State { return evolve(s, e, patience > 0) },
		React:    func(s State, e Event) decider.Reaction[Command, Event] { return react(s, e, patience) },
		Terminal: func(s State) bool { return s.Stage == Over },
	}
}

// Key names the transfer that an event is about: its id, and the account that it
// left, in which the id is unique. The account is escaped, so that no two transfers
// have one name, whatever is in their ids. A timer's event knows its transfer itself.
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

// evolve says what an event means for the transfer.
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

// react asks for the next step. It is what is pending: an event brings a transfer
// to a stage, and each stage waits for one command, or for a timer.
func react(s State, e Event, patience time.Duration) (r decider.Reaction[Command, Event]) {
	switch e.(type) {
	case Retried:
		if s.Stage == Sent {
			r.Send = Pending(s)
		}
	case GaveUp:
		r.Cancel = []string{retry}
		if s.Stage == Declined { // or the answer to what is underway decides
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
