package decider

import (
	"errors"
	"fmt"
)

// ErrUnhandled is what Decide returns for a command that is not its own. Inside
// a composition such a member is skipped; from the whole it is an error like
// any other rejection.
var ErrUnhandled = errors.New("decider: unhandled command")

// UnhandledError is an [ErrUnhandled] that names the command. Whoever hands a
// decider a command and shows its error to people makes one, with [Unhandled].
type UnhandledError struct {
	Command string // its Go type, such as "*order.Create"
}

// Error says which command nobody handles.
func (e *UnhandledError) Error() string { return ErrUnhandled.Error() + " " + e.Command }

// Is reports whether target is ErrUnhandled.
func (e *UnhandledError) Is(target error) bool { return target == ErrUnhandled }

// Unhandled returns err, the error of Decide for cmd, as an *[UnhandledError] if
// it is ErrUnhandled itself, and otherwise as it is.
func Unhandled(err error, cmd any) error {
	if err == ErrUnhandled { //nolint:errorlint // what is wrapped says more already
		return &UnhandledError{Command: fmt.Sprintf("%T", cmd)}
	}
	return err
}

// Decider is an aggregate as pure functions: commands C are decided on a state
// S and give events E, and events evolve the state.
//
// Decide and Evolve must not be nil. They are pure: the same arguments give the
// same results, nothing else is read or written, and neither the command, the
// state nor the event is changed. Clocks, random numbers and new ids arrive in
// the command. A Decider is a value; it is safe for concurrent use because its
// functions are pure.
type Decider[C, S, E any] struct {
	// Decide returns what happens when cmd meets state: the events, in order;
	// none if there is nothing to do; or an error, and then no events, if cmd
	// is rejected. A command of somebody else is ErrUnhandled.
	Decide func(cmd C, state S) ([]E, error)

	// Evolve returns the state after event. It is total: every event that was
	// ever recorded can be evolved, in any state.
	Evolve func(state S, event E) S

	// Initial returns the state before the first event, a fresh one on each
	// call if S holds maps, slices or pointers. Nil means the zero S.
	Initial func() S

	// EvolveInPlace sets *state to Evolve(*state, event). It may assign to *state and
	// to its fields, and must not change what they refer to, such as the entries of a
	// map. Nil means that Evolve is used for everything.
	//
	// It pays when long streams are folded into a state of more than 32 bytes, which
	// Go returns through memory: such a fold is several times as fast in place. It
	// never pays for smaller states.
	EvolveInPlace func(state *S, event E)

	// Terminal reports whether state is the end: from it no command decides
	// an event, and no event leads out of it. Nil means never.
	Terminal func(state S) bool
}

// New returns the Decider of two functions, which begins at the zero S and
// never ends. Set Initial and Terminal on the result for another beginning or an
// end.
func New[C, S, E any](decide func(C, S) ([]E, error), evolve func(S, E) S) Decider[C, S, E] {
	return Decider[C, S, E]{Decide: decide, Evolve: evolve}
}

// Aggregate is a decider in method form, for types that would rather carry
// Decide and Evolve themselves; [Of] turns it into a Decider.
type Aggregate[C, S, E any] interface {
	// Decide is Decider.Decide.
	Decide(cmd C, state S) ([]E, error)
	// Evolve is Decider.Evolve.
	Evolve(state S, event E) S
}

// Of returns the Decider whose functions are a's methods. If a also has the
// methods Initial() S, EvolveInPlace(*S, E) or Terminal(S) bool, they are taken
// too; with another signature they are not. No type argument is needed:
// Of(Account{}).
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

// Fold returns the state after events, in order, from state on.
func (d Decider[C, S, E]) Fold(state S, events ...E) S {
	if d.EvolveInPlace != nil {
		return foldInPlace(d.EvolveInPlace, state, events)
	}
	for _, event := range events {
		state = d.Evolve(state, event)
	}
	return state
}

// foldInPlace is Fold by EvolveInPlace. It is a function of its own because its state is
// on the heap.
func foldInPlace[S, E any](evolve func(*S, E), state S, events []E) S {
	for _, event := range events {
		evolve(&state, event)
	}
	return state
}

// Step decides cmd on state and returns the state after the events with the
// events. If cmd is rejected it returns state as it was, no events, and the
// error of Decide as it is.
func (d Decider[C, S, E]) Step(cmd C, state S) (S, []E, error) {
	events, err := d.Decide(cmd, state)
	if err != nil {
		return state, nil, err
	}
	return d.Fold(state, events...), events, nil
}

// View returns the part of d that only reads: its Initial and Evolve. A View has no
// EvolveInPlace.
func (d Decider[C, S, E]) View() View[S, E] {
	return View[S, E]{Evolve: d.Evolve, Initial: d.Initial}
}

// start returns the state that initial gives, the zero S if it is nil.
func start[S any](initial func() S) S {
	if initial == nil {
		var zero S
		return zero
	}
	return initial()
}
