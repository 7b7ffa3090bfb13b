package main

import (
	"fmt"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/examples/tutorial/order"
	"github.com/evolvego/evolve/store"
)

// happening is an input of the process: an event of an order, or that time is up.
type happening struct {
	Order    string
	What     string // placed, paid, cancelled or overdue
	Customer string // placed
	Cents    int64  // placed, paid
}

// letter is a mail.
type letter struct{ To, Subject, Text string }

// debt is the state of the process for one order.
type debt struct {
	Customer string
	Cents    int64
	Over     bool
}

// orders says how the process reads the log.
func orders() codec.Source[happening] {
	return codec.Events(codec.From("Order", order.Codec(), func(r *store.Recorded, event order.Event) happening {
		h := happening{Order: r.Stream.ID}
		switch e := event.(type) {
		case order.Placed:
			h.What, h.Customer, h.Cents = "placed", e.Customer, e.Cents
		case order.Paid:
			h.What, h.Cents = "paid", e.Cents
		case order.Cancelled:
			h.What = "cancelled"
		}
		return h
	}))
}

// timers is the codec of timer events, with the names that they are stored under.
func timers() codec.Codec[happening] {
	return codec.JSON(map[string]happening{"LetterDue": {}})
}

// letters is the process, which is pure. An instance is an order.
func letters(patience time.Duration) decider.Process[happening, debt, letter] {
	return decider.Process[happening, debt, letter]{
		Key:      func(e happening) (string, bool) { return e.Order, true },
		Evolve:   evolve,
		React:    func(s debt, e happening) decider.Reaction[letter, happening] { return react(s, e, patience) },
		Terminal: func(s debt) bool { return s.Over },
	}
}

func evolve(s debt, e happening) debt {
	switch e.What {
	case "placed":
		s.Customer, s.Cents = e.Customer, e.Cents
	case "paid":
		s.Cents -= e.Cents
		s.Over = s.Cents == 0
	case "cancelled":
		s.Over = true
	}
	return s
}

func react(s debt, e happening, patience time.Duration) (r decider.Reaction[letter, happening]) {
	owed := fmt.Sprintf("%d.%02d", s.Cents/100, s.Cents%100)
	switch e.What {
	case "placed":
		r.Send = []letter{{s.Customer, "Your order " + e.Order, "Thank you. Please pay " + owed + "."}}
		r.Later = []decider.Timer[happening]{{Name: "overdue", After: patience, Event: happening{Order: e.Order, What: "overdue"}}}
	case "overdue":
		r.Send = []letter{{s.Customer, "Your order " + e.Order + " is not paid", "Please pay " + owed + "."}}
	}
	return r
}
