package decider

import "time"

// Process is the dual of [Decider]: events come in, commands go out. A process has many
// instances, each with a state S of its own. Key says which instance an event belongs to.
// Package process runs it on a log (process.New), and [WithProcess] within a decider.
//
// Evolve, React and Key must not be nil, except that Key is not called for a process with
// a single instance ([WithProcess]). All functions must be pure.
type Process[E, S, C any] struct {
	// Evolve returns the instance's state after event.
	Evolve func(state S, event E) S

	// React returns the reaction to event. state is the state after event. Replay calls
	// only Evolve, so a reaction happens once for each event.
	React func(state S, event E) Reaction[C, E]

	// Pending returns the commands that are pending in state, to be sent again when the
	// instances are rebuilt from the log (process.Runtime.WithRestore). Nil means that
	// there are none. A process does not need it if its target keeps what it stores:
	// after a crash, package process sends the commands of the interrupted reaction again
	// by itself.
	Pending func(state S) []C

	// Key returns the instance that event belongs to, or false if event does not concern
	// the process.
	Key func(event E) (instance string, ok bool)

	// Initial returns the state of a new instance. Nil means the zero S.
	Initial func() S

	// Terminal reports whether an instance in state is over and can be forgotten. Nil
	// means that there is no end.
	Terminal func(state S) bool
}

// Reaction is the reaction of a process to an event, as plain data. The zero Reaction
// does nothing. Timers are stopped before others are started, so a name in both Cancel
// and Later is running afterwards.
type Reaction[C, E any] struct {
	Send   []C        // commands, sent in this order
	Later  []Timer[E] // timers to start; a timer with the name of a running one replaces it
	Cancel []string   // names of timers to stop; names that are not running are ignored
}

// Timer delivers Event to the process instance that set it, after the duration After. It
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
