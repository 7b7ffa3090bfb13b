package account

import (
	"errors"
	"math"
)

// Why Credit is rejected.
var (
	ErrAmount  = errors.New("account: the amount must be positive")
	ErrTooMuch = errors.New("account: more than an account can hold")
)

// Credit asks to credit the account with an amount, in cents.
type Credit struct {
	Amount int64
}

// Credited says that the account was credited.
type Credited struct {
	Amount int64 `json:"amount"`
}

func (c Credit) decide(s State) ([]Event, error) {
	if err := s.active(); err != nil {
		return nil, err
	}
	switch {
	case c.Amount <= 0:
		return nil, ErrAmount
	case c.Amount > math.MaxInt64-s.Balance:
		return nil, ErrTooMuch
	}
	return []Event{Credited(c)}, nil
}

func (e Credited) evolve(s State) State {
	s.Balance += e.Amount
	return s
}
