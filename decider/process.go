package decider

import "time"

// Process is the dual of [Decider]: events come in, commands go out. One process
// has many instances, each with a state S of its own; Key says whose event it is.
//
// Evolve, React and Key must not be nil, but where a process stands for a single
// instance ([WithProcess]) Key is not asked. All functions are pure.
type Process[E, S, C any] struct {
	// Evolve returns the instance's state after event.
	Evolve func(state S, event E) S

	// React returns what to do about event; state has it evolved already.
	// Replay calls only Evolve, so a reaction happens once for each event.
	React func(state S, event E) Reaction[C, E]

	// Pending returns what state still waits for: the commands to send again
	// after a crash. Nil means none.
	Pending func(state S) []C

	// Key returns the instance that event belongs to, and false if event does
	// not concern the process.
	Key func(event E) (instance string, ok bool)

	// Initial returns the state of a new instance. Nil means the zero S.
	Initial func() S

	// Terminal reports whether an instance in state is over and can be
	// forgotten. Nil means never.
	Terminal func(state S) bool
}

// Reaction is what a process does about an event, as plain data: the zero
// Reaction does nothing. Timers are stopped before others are started, so a name
// in both Cancel and Later runs afterwards.
type Reaction[C, E any] struct {
	Send   []C        // commands, sent in this order
	Later  []Timer[E] // timers to start; one with the name of a running timer replaces it
	Cancel []string   // names of timers to stop; a name that is not running is no error
}

// Timer brings Event to the process instance that set it, After from now. It
// fires as an event of the process, through the same Evolve and React.
type Timer[E any] struct {
	Name  string        // unique within the instance
	After time.Duration // zero or less: at once
	Event E
}

// Start returns the state of a new instance.
func (p Process[E, S, C]) Start() S {
	return start(p.Initial)
}

// IsTerminal reports whether an instance in state is over.
func (p Process[E, S, C]) IsTerminal(state S) bool {
	return p.Terminal != nil && p.Terminal(state)
}
