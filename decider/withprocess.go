package decider

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// LimitError is a command whose follow-ups did not come to an end.
type LimitError struct {
	Limit int // how many follow-ups were allowed
}

// Error says what the limit was.
func (e *LimitError) Error() string {
	return fmt.Sprintf("decider: the process did not come to rest within %d follow-ups", e.Limit)
}

// TimerError is a command whose process started a timer that a decider, which has
// no clock, cannot keep.
type TimerError struct {
	Name  string
	After time.Duration
}

// Error says which timer.
func (e *TimerError) Error() string {
	return fmt.Sprintf("decider: no clock here for timer %q after %v", e.Name, e.After)
}

// WithProcess closes d and one instance of p into one decider: p sees each event
// of d, and what it sends is decided by d, until p has nothing more to send. The
// events of all that are the events of the one command, so it happens as a whole
// or not at all.
//
// The events of a decision are evolved first, one after the other in d and p,
// with the reaction of p to each. Then the follow-ups come in the order in which
// they were asked for, each decided on the state after everything before it. A
// timer that is due at once is a follow-up too, and its event one of the whole:
// it is recorded, and evolved in d and p.
//
// The whole command is rejected, and nothing happens, if
//   - d rejects a follow-up: errors.Is and errors.As reach the rejection, but a
//     follow-up that is [ErrUnhandled] does not make the whole unhandled;
//   - more than limit follow-ups are needed: a *[LimitError];
//   - a timer with After > 0 is left running: a *[TimerError], since a dropped
//     timer would be a broken promise. A process that can do without sets Later
//     to nil around its React; others need a runtime with a clock.
//
// A process that is over (its Terminal) is asked no more; Key and Pending are
// never asked. Initial is both. Terminal is that of d alone, for then no command
// decides an event. WithProcess panics if limit < 1.
func WithProcess[C, S, E, PS any](d Decider[C, S, E], p Process[E, PS, C], limit int) Decider[C, Pair[S, PS], E] {
	if limit < 1 {
		panic(fmt.Sprintf("decider: WithProcess with limit %d", limit))
	}
	closed := Decider[C, Pair[S, PS], E]{
		Decide: func(cmd C, state Pair[S, PS]) ([]E, error) {
			r := cascade[C, S, E, PS]{decider: d, process: p, state: state}
			return r.run(cmd, limit)
		},
		Evolve: func(state Pair[S, PS], event E) Pair[S, PS] {
			r := cascade[C, S, E, PS]{decider: d, process: p, state: state}
			r.evolve(event)
			return r.state
		},
		Initial: func() Pair[S, PS] { return Pair[S, PS]{d.Start(), p.Start()} },
	}
	if d.Terminal != nil {
		closed.Terminal = func(state Pair[S, PS]) bool { return d.Terminal(state.Left) }
	}
	return closed
}

// cascade is one command with all that follows from it.
type cascade[C, S, E, PS any] struct {
	decider Decider[C, S, E]
	process Process[E, PS, C]
	state   Pair[S, PS]
	events  []E
	queue   []followUp[C, E] // in the order asked for
	running []Timer[E]       // not due at once
}

// followUp is a command to decide, or the event of a timer that is due.
type followUp[C, E any] struct {
	command C
	timer   *Timer[E] // nil: it is the command
}

func (r *cascade[C, S, E, PS]) run(cmd C, limit int) ([]E, error) {
	if err := r.decide(cmd); err != nil {
		return nil, err
	}
	for n := 0; len(r.queue) > 0; n++ {
		if n == limit {
			return nil, &LimitError{Limit: limit}
		}
		next := r.queue[0]
		r.queue = r.queue[1:]
		if err := r.follow(next); err != nil {
			return nil, err
		}
	}
	if len(r.running) > 0 {
		return nil, &TimerError{Name: r.running[0].Name, After: r.running[0].After}
	}
	return r.events, nil
}

func (r *cascade[C, S, E, PS]) follow(next followUp[C, E]) error {
	if next.timer != nil {
		r.record(next.timer.Event)
		return nil
	}
	err := r.decide(next.command)
	switch {
	case errors.Is(err, ErrUnhandled): // not ErrUnhandled: a Union would skip what was half done
		return fmt.Errorf("decider: nobody handles %T, which the process sent", next.command)
	case err != nil:
		return fmt.Errorf("process sent %T: %w", next.command, err)
	}
	return nil
}

// decide records what follows from cmd on the state so far.
func (r *cascade[C, S, E, PS]) decide(cmd C) error {
	events, err := r.decider.Decide(cmd, r.state.Left)
	if err != nil {
		return err
	}
	for _, event := range events {
		r.record(event)
	}
	return nil
}

// record adds event to the whole and asks the process what to do about it.
func (r *cascade[C, S, E, PS]) record(event E) {
	r.events = append(r.events, event)
	if r.evolve(event) {
		r.enqueue(r.process.React(r.state.Right, event))
	}
}

// evolve brings both states past event. It reports whether the process saw it.
func (r *cascade[C, S, E, PS]) evolve(event E) bool {
	r.state.Left = r.decider.Evolve(r.state.Left, event)
	if r.process.IsTerminal(r.state.Right) {
		return false
	}
	r.state.Right = r.process.Evolve(r.state.Right, event)
	return true
}

func (r *cascade[C, S, E, PS]) enqueue(reaction Reaction[C, E]) {
	for _, cmd := range reaction.Send {
		r.queue = append(r.queue, followUp[C, E]{command: cmd})
	}
	for _, name := range reaction.Cancel {
		r.cancel(name)
	}
	for _, timer := range reaction.Later {
		r.cancel(timer.Name)
		if timer.After > 0 {
			r.running = append(r.running, timer)
		} else {
			r.queue = append(r.queue, followUp[C, E]{timer: &timer})
		}
	}
}

// cancel stops the timer called name, also one that is due but has not fired.
func (r *cascade[C, S, E, PS]) cancel(name string) {
	r.running = slices.DeleteFunc(r.running, func(t Timer[E]) bool { return t.Name == name })
	r.queue = slices.DeleteFunc(r.queue, func(f followUp[C, E]) bool { return f.timer != nil && f.timer.Name == name })
}
