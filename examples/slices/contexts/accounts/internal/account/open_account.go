package account

import "errors"

// Why Open is rejected.
var (
	ErrNoOwner     = errors.New("account: an owner is needed")
	ErrAlreadyOpen = errors.New("account: already open")
)

// Open asks to open the account.
type Open struct {
	Owner string
}

// Opened says that the account was opened.
type Opened struct {
	Owner string `json:"owner"`
}

func (c Open) decide(s State) ([]Event, error) {
	switch {
	case s.Open:
		return nil, ErrAlreadyOpen
	case c.Owner == "":
		return nil, ErrNoOwner
	}
	return []Event{Opened(c)}, nil
}

func (Opened) evolve(s State) State {
	s.Open = true
	return s
}
