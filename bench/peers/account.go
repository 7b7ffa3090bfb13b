package main

import "errors"

// account is the state of the domain that every library runs. Each library folds events
// into it, or into an aggregate that holds one.
type account struct {
	Opened  bool
	Owner   string
	Balance int64
	Count   int
}

// Opened and Deposited are the payloads. Libraries that need methods on an event have
// their own types with the same fields and the same JSON.
type (
	Opened struct {
		Owner string `json:"owner"`
	}
	Deposited struct {
		Amount int64  `json:"amount"`
		Ref    string `json:"ref"`
	}
)

const (
	owner = "Ada Lovelace"
	ref   = "ref-0123456789abcdef0123" // in each deposit, so that no payload is empty
)

var (
	errAlreadyOpen = errors.New("the account is open already")
	errNotOpen     = errors.New("the account is not open")
	errAmount      = errors.New("the amount is not positive")
)

// mayOpen and mayDeposit are the business rules.
func (a *account) mayOpen() error {
	if a.Opened {
		return errAlreadyOpen
	}
	return nil
}

func (a *account) mayDeposit(amount int64) error {
	switch {
	case !a.Opened:
		return errNotOpen
	case amount <= 0:
		return errAmount
	}
	return nil
}

// opened and deposited are the steps of the fold.
func (a *account) opened(owner string)    { a.Opened, a.Owner, a.Count = true, owner, a.Count+1 }
func (a *account) deposited(amount int64) { a.Balance, a.Count = a.Balance+amount, a.Count+1 }
