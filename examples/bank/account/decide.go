package account

import (
	"errors"
	"fmt"
	"maps"

	"github.com/evolvego/evolve/decider"
)

// MaxCents is the most that an account holds, including money in transit from it, so that
// a refund always fits.
const MaxCents = 1_000_000_000_000_00

// Errors that reject commands.
var (
	ErrNotOpen           = errors.New("account: not open")
	ErrClosed            = errors.New("account: closed")
	ErrAlreadyOpen       = errors.New("account: already open")
	ErrNoOwner           = errors.New("account: an owner is needed")
	ErrAmount            = errors.New("account: the amount must be positive")
	ErrTooMuch           = errors.New("account: more than an account can hold")
	ErrInsufficientFunds = errors.New("account: insufficient funds")
	ErrNotEmpty          = errors.New("account: not empty")
	ErrSameAccount       = errors.New("account: a transfer needs two accounts")
	ErrTransferUnderway  = errors.New("account: this transfer is already in transit")
	ErrNoSuchTransfer    = errors.New("account: no such transfer in transit")
)

// InsufficientFundsError says how much was available and how much was wanted.
type InsufficientFundsError struct {
	Available, Wanted int64 // cents
}

// Error names both amounts.
func (e *InsufficientFundsError) Error() string {
	return fmt.Sprintf("account: insufficient funds: %s available, %s wanted", Money(e.Available), Money(e.Wanted))
}

// Is reports whether target is ErrInsufficientFunds.
func (e *InsufficientFundsError) Is(target error) bool { return target == ErrInsufficientFunds }

// Money formats cents, as in "12.34".
func Money(cents int64) string {
	sign := ""
	if cents < 0 {
		sign, cents = "-", -cents
	}
	return fmt.Sprintf("%s%d.%02d", sign, cents/100, cents%100)
}

// Decide returns the events that cmd leads to in s, or why it is rejected.
func Decide(cmd Command, s State) ([]Event, error) {
	switch c := cmd.(type) {
	case Open:
		return open(c, s)
	case Receive:
		return receive(c, s), nil
	case Deposit:
		if err := s.accepts(c.Cents); err != nil {
			return nil, err
		}
		return []Event{Deposited(c)}, nil
	case Withdraw:
		if err := s.covers(c.Cents); err != nil {
			return nil, err
		}
		return []Event{Withdrawn(c)}, nil
	case Send:
		return send(c, s)
	case Deliver:
		if _, ok := s.Underway[c.Transfer]; !ok {
			return nil, ErrNoSuchTransfer
		}
		return []Event{Delivered(c)}, nil
	case Refund:
		cents, ok := s.Underway[c.Transfer]
		if !ok {
			return nil, ErrNoSuchTransfer
		}
		return []Event{Refunded{c.Transfer, cents, c.Reason}}, nil
	case Close:
		return closing(s)
	}
	return nil, decider.ErrUnhandled
}

// Evolve returns the state of the account after event.
func Evolve(s State, event Event) State {
	switch e := event.(type) {
	case Opened:
		s.Status, s.Owner = Active, e.Owner
	case Deposited:
		s.Balance += e.Cents
	case Withdrawn:
		s.Balance -= e.Cents
	case Sent:
		s.Balance -= e.Cents
		s.Underway = with(s.Underway, e.Transfer, e.Cents)
	case Received:
		s.Balance += e.Cents
	case Declined: // no money arrived
	case Delivered:
		s.Underway = without(s.Underway, e.Transfer)
	case Refunded:
		s.Balance += e.Cents
		s.Underway = without(s.Underway, e.Transfer)
	case Closed:
		s.Status = Ended
	}
	return s
}

func open(c Open, s State) ([]Event, error) {
	switch {
	case s.Status == Active:
		return nil, ErrAlreadyOpen
	case s.Status == Ended:
		return nil, ErrClosed
	case c.Owner == "":
		return nil, ErrNoOwner
	}
	return []Event{Opened(c)}, nil
}

func receive(c Receive, s State) []Event {
	if err := s.accepts(c.Cents); err != nil {
		return []Event{Declined{c.Transfer, c.From, c.Cents, err.Error()}}
	}
	return []Event{Received(c)}
}

func send(c Send, s State) ([]Event, error) {
	if c.From == c.To {
		return nil, ErrSameAccount
	}
	if _, ok := s.Underway[c.Transfer]; ok {
		return nil, ErrTransferUnderway
	}
	if err := s.covers(c.Cents); err != nil {
		return nil, err
	}
	return []Event{Sent{c.Transfer, c.To, c.Cents}}, nil
}

func closing(s State) ([]Event, error) {
	if err := s.active(); err != nil {
		return nil, err
	}
	if s.Balance != 0 || len(s.Underway) > 0 { // money in transit may come back
		return nil, ErrNotEmpty
	}
	return []Event{Closed{}}, nil
}

// active returns an error if the account cannot be used.
func (s State) active() error {
	switch s.Status {
	case Absent:
		return ErrNotOpen
	case Ended:
		return ErrClosed
	case Active:
	}
	return nil
}

// accepts returns an error if cents cannot be paid in.
func (s State) accepts(cents int64) error {
	if err := s.active(); err != nil {
		return err
	}
	if cents <= 0 {
		return ErrAmount
	}
	room := MaxCents - s.Balance
	for _, back := range s.Underway {
		room -= back
	}
	if cents > room {
		return ErrTooMuch
	}
	return nil
}

// covers returns an error if cents cannot be paid out.
func (s State) covers(cents int64) error {
	if err := s.active(); err != nil {
		return err
	}
	if cents <= 0 {
		return ErrAmount
	}
	if cents > s.Balance {
		return &InsufficientFundsError{Available: s.Balance, Wanted: cents}
	}
	return nil
}

// with returns a copy of m in which key has value.
func with(m map[string]int64, key string, value int64) map[string]int64 {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]int64{}
	}
	m[key] = value
	return m
}

// without returns a copy of m without key.
func without(m map[string]int64, key string) map[string]int64 {
	m = maps.Clone(m)
	delete(m, key)
	return m
}
