package exhaustive

import (
	"errors"

	"example.com/foreign"
	"github.com/evolvego/evolve/decider"
)

type State struct{ N int }

type Command interface{ isCommand() }

type (
	Open  struct{}
	Close struct{}
)

func (Open) isCommand()  {}
func (Close) isCommand() {}

type Event interface{ isEvent() }

type (
	Opened struct{}
	Closed struct{}
	Ended  struct{}
)

func (Opened) isEvent() {}
func (Closed) isEvent() {}
func (*Ended) isEvent() {}

type Finish interface {
	Event
	finish()
}

func (Closed) finish() {}
func (*Ended) finish() {}

var errNo = errors.New("no")

func Good() {
	_ = decider.New(decideAll, evolveAll)
	_ = decider.New(decideDefault, evolveDefault)
	_ = decider.New(decideBehind, evolveGrouped)
	_ = decider.New(decidePanic, evolveAll)
	// A view looks at what it likes.
	_ = decider.View[State, Event]{Evolve: func(s State, e Event) State {
		switch e.(type) {
		case Opened:
			s.N++
		}
		return s
	}}
}

func decideAll(c Command, s State) ([]Event, error) {
	switch c.(type) {
	case Open:
		return []Event{Opened{}}, nil
	case Close:
	}
	return nil, nil
}

func decideDefault(c Command, s State) ([]Event, error) {
	switch c.(type) {
	case Open:
		return nil, nil
	default:
		return nil, decider.ErrUnhandled
	}
}

func decideBehind(c Command, s State) ([]Event, error) {
	switch c.(type) {
	case Open:
		return nil, nil
	}
	return nil, errNo
}

func decidePanic(c Command, s State) ([]Event, error) {
	switch c.(type) {
	case Open:
		return nil, nil
	}
	panic("unreachable")
}

func evolveAll(s State, e Event) State {
	switch e := e.(type) {
	case Opened, Finish:
		switch e := e.(type) { // what is left
		case Opened:
			_ = e
		}
	}
	return s
}

func evolveGrouped(s State, e Event) State {
	switch e.(type) {
	case Opened, *Closed, *Ended, nil:
	}
	return s
}

func evolveDefault(s State, e Event) State {
	switch e.(type) {
	case Opened:
		s.N++
	default:
	}
	return s
}

func Bad() {
	_ = decider.New(decideBad, evolveBad)
	_ = decider.New(decideSilent, evolveFar)
	_ = decider.Decider[foreign.Event, State, Event]{
		Decide: func(c foreign.Event, s State) ([]Event, error) {
			switch c.(type) { // want `Decide misses cases of example.com/foreign.Event: Opened`
			case foreign.Closed:
			}
			return nil, nil
		},
		Evolve: func(s State, e Event) State {
			//decidervet:ignore the rest changes nothing
			switch e.(type) {
			case Opened:
			}
			return s
		},
	}
}

func decideBad(c Command, s State) ([]Event, error) {
	switch c.(type) { // want `decideBad, the Decide of a Decider, misses cases of Command: Close`
	case Open:
		return []Event{Opened{}}, nil
	}
	return nil, nil
}

func decideSilent(c Command, s State) ([]Event, error) {
	switch c.(type) { // want `accepts cases of Command by its default, which should be an error: Close`
	case Open:
		return []Event{Opened{}}, nil
	default:
		return nil, nil
	}
}

func evolveBad(s State, e Event) State {
	switch e := e.(type) { // want `evolveBad, the Evolve of a Decider, misses cases of Event: Closed, Ended`
	case Opened:
		_ = e
	}
	return s
}

func evolveFar(s State, e Event) State { return helper(s, e) }

func helper(s State, e Event) State {
	switch e.(type) { // want `evolveFar, the Evolve of a Decider, misses cases of Event: Opened`
	case Closed, *Ended:
		s.N--
	}
	return s
}
