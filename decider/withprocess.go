package decider

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// LimitError is the error of a command that leads to too many follow-ups.
type LimitError struct {
	Limit int // the most follow-ups allowed
}

// Error names the limit.
func (e *LimitError) Error() string {
	return fmt.Sprintf("decider: the process did not finish within %d follow-ups", e.Limit)
}

// TimerError is the error of a command whose process started a timer that a decider,
// which has no clock, cannot run.
type TimerError struct {
	Name  string
	After time.Duration
}

// Error names the timer.
func (e *TimerError) Error() string {
	return fmt.Sprintf("decider: a decider has no clock for timer %q after %v", e.Name, e.After)
}

// WithProcess combines d and one instance of p into one decider: p sees each event of d,
// and d decides each command that p sends, until p sends no more. All these events are
// the events of the one command, so the command happens as a whole or not at all.
//
// The events of a decision are evolved first, one after the other in d and p, with the
// reaction of p to each. Then the follow-ups come in the order of the reactions, each
// decided on the state after everything before it. A timer that is due at once is a
// follow-up too. Its event is recorded, and evolved in d and p.
//
// The whole command is rejected, and nothing happens, if
//   - d rejects a follow-up: errors.Is and errors.As reach the rejection, but a follow-up
//     that is [ErrUnhandled] does not make the whole unhandled;
//   - more than limit follow-ups are needed: a *[LimitError];
//   - a timer with After > 0 is left running: a *[TimerError], because dropping the timer
//     would break a promise. If the process can do without timers, wrap its React and set
//     Later to nil. Otherwise run it with a runtime that has a clock.
//
// A process that is over (its Terminal) gets no more events. Key and Pending are never
// called. Initial combines both. Terminal is that of d alone, because then no command
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

// cascade is one command with everything that follows from it.
type cascade[C, S, E, PS any] struct {
	decider Decider[C, S, E]
	process Process[E, PS, C]
	state   Pair[S, PS]
	events  []E
	queue   []followUp[C, E] // in the order of the reactions
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
	case errors.Is(err, ErrUnhandled): // not ErrUnhandled, because a Union would skip a half-done command
		return fmt.Errorf("decider: unhandled %T, which the process sent", next.command)
	case err != nil:
		return fmt.Errorf("process sent %T: %w", next.command, err)
	}
	return nil
}

// decide records the events of cmd on the current state.
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

// record adds event to the events of the whole, and lets the process react to it.
func (r *cascade[C, S, E, PS]) record(event E) {
	r.events = append(r.events, event)
	if r.evolve(event) {
		r.enqueue(r.process.React(r.state.Right, event))
	}
}

// evolve applies event to both states. It reports whether the process saw it.
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

// cancel stops the timer called name, including one that is due but has not fired.
func (r *cascade[C, S, E, PS]) cancel(name string) {
	r.running = slices.DeleteFunc(r.running, func(t Timer[E]) bool { return t.Name == name })
	r.queue = slices.DeleteFunc(r.queue, func(f followUp[C, E]) bool { return f.timer != nil && f.timer.Name == name })
}
