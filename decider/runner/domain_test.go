package runner_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/store"
)

// The account of these tests. Its state is a plain value.

type (
	command interface{ isCommand() }
	open    struct{ Owner string }
	deposit struct{ Amount int }
	// withdraw is split into Parts events, so that tests see whether batches are atomic.
	withdraw struct{ Amount, Parts int }
	// touch is accepted and changes nothing.
	touch struct{}
	// drain withdraws the whole balance.
	drain struct{}
)

func (open) isCommand()     {}
func (deposit) isCommand()  {}
func (withdraw) isCommand() {}
func (touch) isCommand()    {}
func (drain) isCommand()    {}

type (
	//sumtype:decl
	event     interface{ isEvent() }
	opened    struct{ Owner string }
	deposited struct{ Amount int }
	withdrawn struct{ Amount int }
)

func (opened) isEvent()    {}
func (deposited) isEvent() {}
func (withdrawn) isEvent() {}

type account struct {
	Owner   string
	Balance int
	Moves   int
}

var (
	errOpen      = errors.New("account: already open")
	errNotOpen   = errors.New("account: not open")
	errTooLittle = errors.New("account: too little")
)

func decide(c command, a account) ([]event, error) {
	if c, ok := c.(open); ok {
		if a.Owner != "" {
			return nil, errOpen
		}
		return []event{opened(c)}, nil
	}
	if a.Owner == "" {
		return nil, errNotOpen
	}
	switch c := c.(type) {
	case deposit:
		return []event{deposited(c)}, nil
	case withdraw:
		if c.Amount*max(1, c.Parts) > a.Balance {
			return nil, errTooLittle
		}
		events := make([]event, max(1, c.Parts))
		for i := range events {
			events[i] = withdrawn{c.Amount}
		}
		return events, nil
	case drain:
		return []event{withdrawn{a.Balance}}, nil
	case touch:
		return nil, nil
	}
	return nil, decider.ErrUnhandled
}

func evolve(a account, e event) account {
	a.Moves++
	switch e := e.(type) {
	case opened:
		a.Owner = e.Owner
	case deposited:
		a.Balance += e.Amount
	case withdrawn:
		a.Balance -= e.Amount
	}
	return a
}

var bank = decider.New(decide, evolve)

// textCodec encodes an event as text, so that equal events have equal data.
type textCodec struct{}

var errUnregistered = errors.New("codec: unregistered")

func (textCodec) Encode(e event) (store.Event, error) {
	switch e := e.(type) {
	case opened:
		return store.Event{Type: "Opened", Data: []byte(e.Owner)}, nil
	case deposited:
		if e.Amount == unencodable {
			return store.Event{}, errUnregistered
		}
		return store.Event{Type: "Deposited", Data: fmt.Append(nil, e.Amount)}, nil
	case withdrawn:
		return store.Event{Type: "Withdrawn", Data: fmt.Append(nil, e.Amount)}, nil
	}
	return store.Event{}, errUnregistered
}

// unencodable is an amount whose event textCodec cannot encode.
const unencodable = -1

func (textCodec) Decode(dst []event, recorded []store.Recorded) ([]event, error) {
	for i := range recorded {
		amount := 0
		if recorded[i].Type != "Opened" {
			if _, err := fmt.Sscan(string(recorded[i].Data), &amount); err != nil {
				return dst, err
			}
		}
		switch recorded[i].Type {
		case "Opened":
			dst = append(dst, opened{strings.Clone(string(recorded[i].Data))})
		case "Deposited":
			dst = append(dst, deposited{amount})
		case "Withdrawn":
			dst = append(dst, withdrawn{amount})
		}
	}
	return dst, nil
}
