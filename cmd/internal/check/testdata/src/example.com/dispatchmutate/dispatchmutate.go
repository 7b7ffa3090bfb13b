// Package dispatchmutate has commands and events whose methods change what they get.
package dispatchmutate

import "github.com/evolvego/evolve/decider"

type (
	Command interface{ decide(State) ([]Event, error) }
	Event   interface{ evolve(State) State }
	State   struct{ Names map[string]bool }

	Sign   struct{ Names []string }
	Signed struct{ Name string }
)

func (c Sign) decide(s State) ([]Event, error) {
	c.Names[0] = "a" // want `Decide must not`
	return []Event{Signed{c.Names[0]}}, nil
}

func (e Signed) evolve(s State) State {
	s.Names[e.Name] = true // want `Evolve must not`
	return s
}

func decide(c Command, s State) ([]Event, error) { return c.decide(s) }

var Decider = decider.New(decide, Event_evolve)

func Event_evolve(s State, e Event) State { return e.evolve(s) }
