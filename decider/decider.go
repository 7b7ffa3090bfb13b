package decider

import (
	"errors"
	"fmt"
)

// ErrUnhandled is the error that Decide returns for a command that it does not handle.
// Within a composition such a decider is skipped. If no decider handles the command, the
// error is a rejection like any other.
var ErrUnhandled = errors.New("decider: unhandled command")

// UnhandledError is an [ErrUnhandled] that names the command. Code that passes a command
// to a decider and shows the error to people makes one, with [Unhandled].
type UnhandledError struct {
	Command string // its Go type, such as "*order.Create"
}

// Error names the type of the unhandled command.
func (e *UnhandledError) Error() string { return ErrUnhandled.Error() + " " + e.Command }

// Is reports whether target is ErrUnhandled.
func (e *UnhandledError) Is(target error) bool { return target == ErrUnhandled }

// Unhandled returns err, the error of Decide for cmd, as an *[UnhandledError] if it is
// ErrUnhandled itself, and unchanged otherwise.
func Unhandled(err error, cmd any) error {
	if err == ErrUnhandled { //nolint:errorlint // a wrapped error already says more
		return &UnhandledError{Command: fmt.Sprintf("%T", cmd)}
	}
	return err
}

// Decider is an aggregate made of pure functions: Decide turns a command C and a state S
// into events E, and Evolve applies an event to the state.
//
// Decide and Evolve must not be nil. They must be pure: the same arguments give the same
// results, they read and write nothing else, and they change neither the command, the
// state nor the event. Clocks, random numbers and new ids arrive in the command. A
// Decider is a value. It is safe for concurrent use because its functions are pure.
type Decider[C, S, E any] struct {
	// Decide returns the events that cmd leads to in state, in order. It returns no
	// events if there is nothing to do, and an error without events if cmd is rejected.
	// It returns ErrUnhandled for a command that it does not handle.
	Decide func(cmd C, state S) ([]E, error)

	// Evolve returns the state after event. It is total: it accepts every event that was
	// ever recorded, in any state.
	Evolve func(state S, event E) S

	// Initial returns the state before the first event. If S holds maps, slices or
	// pointers, it must return a fresh state on each call. Nil means the zero S.
	Initial func() S

	// EvolveInPlace sets *state to Evolve(*state, event). It may assign to *state and to
	// its fields, but must not change what they refer to, such as the entries of a map.
	// Nil means that Evolve is always used.
	//
	// It helps when long streams are folded into a state of more than 32 bytes, which Go
	// returns through memory: folding in place is several times as fast. It does not help
	// for smaller states.
	EvolveInPlace func(state *S, event E)

	// Terminal reports whether state is the end: no command decides an event from it, and
	// no event leads out of it. Nil means that there is no end.
	Terminal func(state S) bool
}

// New returns a Decider with these two functions, which begins at the zero S and never
// ends. Set Initial and Terminal on the result to change that.
func New[C, S, E any](decide func(C, S) ([]E, error), evolve func(S, E) S) Decider[C, S, E] {
	return Decider[C, S, E]{Decide: decide, Evolve: evolve}
}

// Aggregate is a decider in method form, for types that have Decide and Evolve as
// methods. [Of] turns it into a Decider.
type Aggregate[C, S, E any] interface {
	// Decide is the method form of Decider.Decide.
	Decide(cmd C, state S) ([]E, error)
	// Evolve is the method form of Decider.Evolve.
	Evolve(state S, event E) S
}

// Of returns the Decider whose functions are a's methods. If a also has the methods
// Initial() S, EvolveInPlace(*S, E) or Terminal(S) bool, Of uses them too. It ignores
// methods with another signature. No type argument is needed: Of(Account{}).
func Of[C, S, E any](a Aggregate[C, S, E]) Decider[C, S, E] {
	d := New(a.Decide, a.Evolve)
	if i, ok := a.(interface{ Initial() S }); ok {
		d.Initial = i.Initial
	}
	if e, ok := a.(interface{ EvolveInPlace(state *S, event E) }); ok {
		d.EvolveInPlace = e.EvolveInPlace
	}
	if t, ok := a.(interface{ Terminal(state S) bool }); ok {
		d.Terminal = t.Terminal
	}
	return d
}

// Start returns the state before the first event.
func (d Decider[C, S, E]) Start() S {
	return start(d.Initial)
}

// IsTerminal reports whether state is the end.
func (d Decider[C, S, E]) IsTerminal(state S) bool {
	return d.Terminal != nil && d.Terminal(state)
}

// Fold returns the state after events, applied in order to state.
func (d Decider[C, S, E]) Fold(state S, events ...E) S {
	if d.EvolveInPlace != nil {
		return foldInPlace(d.EvolveInPlace, state, events)
	}
	for _, event := range events {
		state = d.Evolve(state, event)
	}
	return state
}

// foldInPlace is Fold with EvolveInPlace. It is a separate function because its state is
// on the heap.
func foldInPlace[S, E any](evolve func(*S, E), state S, events []E) S {
	for _, event := range events {
		evolve(&state, event)
	}
	return state
}

// Step decides cmd on state and returns the state after the events, and the events. If
// cmd is rejected it returns state unchanged, no events, and the error of Decide
// unchanged.
func (d Decider[C, S, E]) Step(cmd C, state S) (S, []E, error) {
	events, err := d.Decide(cmd, state)
	if err != nil {
		return state, nil, err
	}
	return d.Fold(state, events...), events, nil
}

// View returns the reading part of d: its Initial and Evolve. A View has no
// EvolveInPlace.
func (d Decider[C, S, E]) View() View[S, E] {
	return View[S, E]{Evolve: d.Evolve, Initial: d.Initial}
}

// start returns the state that initial returns, or the zero S if initial is nil.
func start[S any](initial func() S) S {
	if initial == nil {
		var zero S
		return zero
	}
	return initial()
}
