package sealed

import (
	"example.com/foreign"
	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
)

type (
	Command struct{}
	State   struct{}
)

// Event is sealed.
type Event interface{ isEvent() }

type (
	Opened   struct{}
	Credited struct{}
	Note     string
	Amount   int
	Flag     bool
	Lines    []string
	Loaded   struct{ n *int }
	Either   interface {
		Event
		either()
	}
	Other      = Opened
	Gen[T any] struct{}
)

func (Opened) isEvent()   {}
func (Credited) isEvent() {}
func (Note) isEvent()     {}
func (Amount) isEvent()   {}
func (Flag) isEvent()     {}
func (Lines) isEvent()    {}
func (*Loaded) isEvent()  {}
func (Gen[T]) isEvent()   {}

type Unsealed interface{ IsEvent() } // want `Unsealed is an interface of events that is not sealed`

type Excused interface{ IsEvent() } //decidervet:ignore a plugin adds events

type Message interface{ ProtoReflect() int }

func Deciders[G any]() {
	_ = decider.Decider[Command, State, Event]{}
	_ = decider.Decider[Command, State, Unsealed]{}
	_ = decider.Decider[Command, State, Unsealed]{}
	_ = decider.Decider[Command, State, Excused]{}
	_ = decider.Decider[Command, State, Message]{}
	_ = decider.Decider[Command, State, G]{}
	_ = decider.Decider[Command, State, Opened]{}
	_ = decider.Decider[Command, State, foreign.Event]{}
	_ = decider.Decider[Command, State, foreign.Open]{}                                  // want `example.com/foreign.Open is an interface of events that is not sealed`
	_ = decider.New(func(c Command, s State) ([]any, error) { return nil, nil }, evolve) // want `any is an interface of events that is not sealed`
	_ = decider.Of(account{})                                                            // want `any is an interface of events`
}

func evolve(s State, e any) State { return s }

type account struct{}

func (account) Decide(c Command, s State) ([]any, error) { return nil, nil }
func (account) Evolve(s State, e any) State              { return s }

func event() Event { return Opened{} }

func Codecs(names map[string]Event) {
	codec.JSON(map[string]Event{
		"Opened":   Opened{},
		"Credited": &Credited{},
		"Note":     Note(""),
		"Amount":   Amount(0),
		"Flag":     Flag(false),
		"Lines":    Lines(nil),
		"Loaded":   &Loaded{},
	})
	codec.JSON(names)
	codec.JSON(map[string]Event{"Some": event()})
	codec.JSON(map[string]foreign.Open{})
	codec.JSON(map[string]Command{"a": {}})
	codec.JSON(map[string]foreign.Event{}) // want `the codec does not have all of example.com/foreign.Event: Closed, Opened`
	codec.JSON(map[string]foreign.Event{   // want `the codec does not have all of example.com/foreign.Event: Closed`
		"foreign.Opened": foreign.Opened{}, // as it was called
	})
	codec.Proto(map[string]Event{"Opened": Opened{}, "Credited": Credited{}}) // want `the codec does not have all of Event: Amount, Flag, Lines, Loaded, Note`
	codec.JSON(map[string]Event{                                              // want `the codec does not have all of Event: Amount, Credited, Flag, Lines, Loaded, Note`
		"Credited": Opened{}, // its name is taken: no fix
	})
	codec.JSON(map[string]foreign.Event{ //decidervet:ignore Closed is never recorded
		"Opened":  foreign.Opened{},
		"Opened2": foreign.Opened{}, // want `example.com/foreign.Opened has two names, "Opened" and "Opened2": codec.JSON panics`
	})
	codec.Proto(map[string]foreign.Event{
		"":       foreign.Opened{}, // want `an event needs a name: codec.Proto panics`
		"Closed": foreign.Closed{},
		"Opened": foreign.Opened{},
		"None":   nil, // want `nil is no event: codec.Proto panics`
	})
}
