// Package dispatch has commands and events that bring their behaviour with them.
package dispatch

import (
	"math/rand/v2"
	"time"

	"github.com/evolvego/evolve/decider"
)

type (
	Command interface{ decide(State) ([]Event, error) }
	Event   interface{ evolve(State) State }
	State   struct {
		At    time.Time
		Rolls []int
		Names map[string]bool
	}

	Roll   struct{ Sides int }
	Sign   struct{ Name string }
	Rolled struct{ N int }
	Signed struct {
		Name string
		At   time.Time
	}
	// Left is never used as an event, but it could be.
	Left struct{}
)

var (
	dice               = rand.New(rand.NewPCG(1, 2))
	source rand.Source = rand.NewPCG(1, 2)
)

func (c Roll) decide(s State) ([]Event, error) {
	return []Event{Rolled{dice.IntN(c.Sides)}, Rolled{int(source.Uint64() % 6)}}, nil // want `Decide must be pure, but reads the package variable dice, a source of random numbers` `reads the package variable source, a source of random numbers`
}

func (c Sign) decide(s State) ([]Event, error) {
	return []Event{Signed{c.Name, time.Now()}}, nil // want `Decide must be pure, but calls time.Now`
}

func (e Rolled) evolve(s State) State {
	s.Rolls = append(s.Rolls, e.N)
	return s
}

func (e Signed) evolve(s State) State {
	return e.named(s) // want `Evolve must be pure, but calls named, which calls time.Now`
}

func (e Signed) named(s State) State {
	s.At = time.Now()
	return s
}

func (Left) evolve(s State) State { return s }

func decide(c Command, s State) ([]Event, error) { return c.decide(s) }

func evolve(s State, e Event) State { return e.evolve(s) }

var Decider = decider.New(decide, evolve)
