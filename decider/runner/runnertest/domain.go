package runnertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// ErrRejected is the error that every rejection of the suite's deciders matches.
var ErrRejected = errors.New("runnertest: rejected")

// errUnencodable is the error of the codec for an event that it cannot encode.
var errUnencodable = errors.New("runnertest: this event cannot be encoded")

// Command is a command of the suite's deciders.
type Command struct {
	Do  string
	N   int
	Tag string // unique for each command; its events carry it
}

// Event is an event of the suite's deciders.
type Event struct {
	What string
	N    int
	Left int    // the balance after it, so that decisions on different states differ
	Tag  string // of the command
}

// State is a state of the suite's deciders. It must be cloned before it can be shared.
type State struct {
	Initial bool // it began with the initial state
	Open    bool
	Balance int
	Tags    []string // of all events so far, in order
}

// Clone returns a copy of s that shares nothing with it.
func (s State) Clone() State {
	s.Tags = slices.Clone(s.Tags)
	return s
}

// spoil overwrites everything that s points to, including spare capacity, as a careless
// caller might.
func (s State) spoil() {
	tags := s.Tags[:cap(s.Tags)]
	for i := range tags {
		tags[i] = "spoilt by a caller"
	}
}

// equal reports whether s and o are the same state.
func (s State) equal(o State) bool {
	return s.Initial == o.Initial && s.Open == o.Open && s.Balance == o.Balance && slices.Equal(s.Tags, o.Tags)
}

// The commands of an account.
const (
	doOpen     = "open"     // rejected if it is open
	doEnsure   = "ensure"   // opens it unless it is open
	doCredit   = "credit"   // deposits, and opens the account first if it is not open
	doDeposit  = "deposit"  // rejected unless it is open
	doWithdraw = "withdraw" // rejected unless the balance is sufficient
	doSpoil    = "spoil"    // decides a good event and one that cannot be encoded
	doTable    = "table"    // a command of a random decider

	opened     = "opened"
	deposited  = "deposited"
	withdrawn  = "withdrawn"
	spoilt     = "spoilt"
	tableEvent = "moved"
)

// Account returns the decider of an account with a balance that must not be
// negative.
func Account() decider.Decider[Command, State, Event] {
	return begun(decider.New(decideAccount, evolveAccount))
}

// begun returns d with an initial state that is not the zero State.
func begun(d decider.Decider[Command, State, Event]) decider.Decider[Command, State, Event] {
	d.Initial = func() State { return State{Initial: true} }
	return d
}

func decideAccount(c Command, s State) ([]Event, error) {
	open := Event{What: opened, Tag: c.Tag, Left: s.Balance}
	deposit := Event{What: deposited, N: c.N, Left: s.Balance + c.N, Tag: c.Tag}
	switch c.Do {
	case doOpen, doEnsure:
		if s.Open && c.Do == doEnsure {
			return nil, nil
		}
		if s.Open {
			return nil, fmt.Errorf("%w: already open", ErrRejected)
		}
		return []Event{open}, nil
	case doCredit:
		if s.Open {
			return []Event{deposit}, nil
		}
		return []Event{open, deposit}, nil
	case doDeposit:
		if !s.Open {
			return nil, fmt.Errorf("%w: not open", ErrRejected)
		}
		return []Event{deposit}, nil
	case doWithdraw:
		if s.Balance < c.N {
			return nil, fmt.Errorf("%w: insufficient funds", ErrRejected)
		}
		return []Event{{What: withdrawn, N: c.N, Left: s.Balance - c.N, Tag: c.Tag}}, nil
	case doSpoil:
		return []Event{deposit, {What: spoilt, Tag: c.Tag}}, nil
	}
	return nil, decider.ErrUnhandled
}

func evolveAccount(s State, e Event) State {
	s.Tags = slices.Concat(s.Tags, []string{e.Tag})
	switch e.What {
	case opened:
		s.Open = true
	case deposited:
		s.Balance += e.N
	case withdrawn:
		s.Balance -= e.N
	}
	return s
}

// table is a decider in the form of a table: how many events a command decides in a
// state, or a rejection if that is below zero, and where an event leads from a state.
type table struct {
	decide [][]int // by state and command
	evolve [][]int // by state and event, which is the number of its command
}

func (d table) decider() decider.Decider[Command, State, Event] {
	return begun(decider.New(d.decideOn, d.evolveBy))
}

func (d table) decideOn(c Command, s State) ([]Event, error) {
	n := d.decide[s.Balance][c.N%len(d.decide[s.Balance])]
	if n < 0 {
		return nil, fmt.Errorf("%w by the table", ErrRejected)
	}
	events := make([]Event, n)
	for i := range events {
		events[i] = Event{What: tableEvent, N: c.N + i, Left: s.Balance, Tag: c.Tag}
	}
	return events, nil
}

func (d table) evolveBy(s State, e Event) State {
	s.Tags = slices.Concat(s.Tags, []string{e.Tag})
	s.Balance = d.evolve[s.Balance][e.N%len(d.evolve[s.Balance])]
	return s
}

// format is the codec of the suite's events.
type format struct{}

var _ codec.Codec[Event] = format{}

// Encode returns event as JSON.
func (format) Encode(event Event) (store.Event, error) {
	if event.What == spoilt {
		return store.Event{}, errUnencodable
	}
	data, err := json.Marshal(event)
	return store.Event{Type: event.What, Schema: 1, ContentType: "application/json", Data: data}, err
}

// Decode appends the recorded events to dst.
func (format) Decode(dst []Event, recorded []store.Recorded) ([]Event, error) {
	for i := range recorded {
		var event Event
		if err := json.Unmarshal(recorded[i].Data, &event); err != nil {
			return dst, fmt.Errorf("event %d: %w", recorded[i].Version, err)
		}
		dst = append(dst, event)
	}
	return dst, nil
}
