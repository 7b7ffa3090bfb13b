// Package cinema is one screening of a film as an aggregate: its seats are reserved and
// given back, and no seat is sold twice.
//
// The first version sold one twice. It is in first_test.go, with the test that found the
// bug, and the output of that test.
package cinema

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/evolvego/evolve/decider"
)

// Command is Schedule, Reserve, Cancel or Start.
//
//sumtype:decl
type Command interface{ command() }

type (
	// Schedule puts the film into a hall of Rows with Seats seats each.
	Schedule struct {
		Film        string
		Rows, Seats int
	}
	// Reserve asks for seats, all of them or none.
	Reserve struct {
		Customer string
		Seats    []Seat
	}
	// Cancel gives back seats, all of them or none.
	Cancel struct {
		Customer string
		Seats    []Seat
	}
	// Start begins the film; nothing can be reserved or given back any more.
	Start struct{}
)

func (Schedule) command() {}
func (Reserve) command()  {}
func (Cancel) command()   {}
func (Start) command()    {}

// Event is Scheduled, Reserved, Cancelled or Started.
//
//sumtype:decl
type Event interface{ event() }

type (
	// Scheduled says that all seats are free.
	Scheduled struct {
		Film        string
		Rows, Seats int
	}
	// Reserved says that a free seat now belongs to a customer.
	Reserved struct {
		Customer string
		Seat     Seat
	}
	// Cancelled says that a customer's seat is free again.
	Cancelled struct{ Seat Seat }
	// Started says that the film has begun.
	Started struct{}
)

func (Scheduled) event() {}
func (Reserved) event()  {}
func (Cancelled) event() {}
func (Started) event()   {}

// Seat is a seat in the hall. Both numbers begin at 1.
type Seat struct{ Row, Number int }

// String returns "row 2 seat 7".
func (s Seat) String() string { return fmt.Sprintf("row %d seat %d", s.Row, s.Number) }

// State is the state of a screening. The zero State is a screening that is not scheduled.
type State struct {
	Rows, Seats int // of the hall
	Free        int // number of free seats
	Taken       map[Seat]string
	Started     bool
}

// Errors that reject commands.
var (
	ErrScheduled    = errors.New("cinema: already scheduled")
	ErrNotScheduled = errors.New("cinema: not scheduled")
	ErrHall         = errors.New("cinema: no such hall")
	ErrStarted      = errors.New("cinema: the film has started")
	ErrNoSeats      = errors.New("cinema: no seats requested")
	ErrNoSuchSeat   = errors.New("cinema: no such seat")
	ErrSameSeat     = errors.New("cinema: a seat is requested twice")
	ErrTaken        = errors.New("cinema: the seat is taken")
	ErrNotYours     = errors.New("cinema: the seat does not belong to the customer")
)

// largest is the largest number of rows, and of seats in a row.
const largest = 100

// Decider returns the decider of a screening.
func Decider() decider.Decider[Command, State, Event] {
	d := decider.New(decide, evolve)
	d.Terminal = func(s State) bool { return s.Started }
	return d
}

func decide(cmd Command, s State) ([]Event, error) {
	if c, ok := cmd.(Schedule); ok {
		return schedule(c, s)
	}
	switch {
	case s.Rows == 0:
		return nil, ErrNotScheduled
	case s.Started:
		return nil, ErrStarted
	}
	switch c := cmd.(type) {
	case Reserve:
		return reserve(c, s)
	case Cancel:
		return cancel(c, s)
	case Start:
		return []Event{Started{}}, nil
	case Schedule: // above
	}
	return nil, decider.ErrUnhandled
}

func schedule(c Schedule, s State) ([]Event, error) {
	switch {
	case s.Rows > 0:
		return nil, ErrScheduled
	case c.Rows < 1 || c.Rows > largest || c.Seats < 1 || c.Seats > largest:
		return nil, ErrHall
	}
	return []Event{Scheduled(c)}, nil
}

func reserve(c Reserve, s State) ([]Event, error) {
	if err := s.check(c.Seats); err != nil {
		return nil, err
	}
	events := make([]Event, len(c.Seats))
	for i, seat := range c.Seats {
		if _, taken := s.Taken[seat]; taken {
			return nil, fmt.Errorf("%w: %s", ErrTaken, seat)
		}
		events[i] = Reserved{c.Customer, seat}
	}
	return events, nil
}

func cancel(c Cancel, s State) ([]Event, error) {
	if err := s.check(c.Seats); err != nil {
		return nil, err
	}
	events := make([]Event, len(c.Seats))
	for i, seat := range c.Seats {
		if owner, taken := s.Taken[seat]; !taken || owner != c.Customer {
			return nil, fmt.Errorf("%w: %s", ErrNotYours, seat)
		}
		events[i] = Cancelled{seat}
	}
	return events, nil
}

// check returns an error if the seats that a customer names are invalid.
func (s State) check(seats []Seat) error {
	if len(seats) == 0 {
		return ErrNoSeats
	}
	for i, seat := range seats {
		if seat.Row < 1 || seat.Row > s.Rows || seat.Number < 1 || seat.Number > s.Seats {
			return fmt.Errorf("%w: %s", ErrNoSuchSeat, seat)
		}
		if slices.Contains(seats[:i], seat) {
			return fmt.Errorf("%w: %s", ErrSameSeat, seat)
		}
	}
	return nil
}

func evolve(s State, event Event) State {
	switch e := event.(type) {
	case Scheduled:
		s.Rows, s.Seats, s.Free = e.Rows, e.Seats, e.Rows*e.Seats
	case Reserved:
		s.Taken = maps.Clone(s.Taken)
		if s.Taken == nil {
			s.Taken = map[Seat]string{}
		}
		s.Taken[e.Seat] = e.Customer
		s.Free--
	case Cancelled:
		s.Taken = maps.Clone(s.Taken)
		delete(s.Taken, e.Seat)
		s.Free++
	case Started:
		s.Started = true
	}
	return s
}
