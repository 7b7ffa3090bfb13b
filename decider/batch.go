package decider

import "fmt"

// BatchError is the error of a batch that was rejected because of one of its commands.
type BatchError struct {
	Index int   // of the command in the batch
	Err   error // its rejection
}

// Error names the rejected command, and says why it was rejected.
func (e *BatchError) Error() string {
	return fmt.Sprintf("command %d of the batch: %v", e.Index, e.Err)
}

// Unwrap returns the rejection.
func (e *BatchError) Unwrap() error { return e.Err }

// Batch returns d for lists of commands. Each command is decided on the state after the
// previous ones, and the events of all commands are returned together. If a command is
// rejected, the whole list is rejected with a *[BatchError] and without events. If that
// command is [ErrUnhandled], so is the list. An empty list is accepted, and nothing
// happens.
//
// Initial and Terminal are those of d.
func Batch[C, S, E any](d Decider[C, S, E]) Decider[[]C, S, E] {
	return Decider[[]C, S, E]{
		Decide: func(cmds []C, state S) ([]E, error) {
			var all []E
			for i, cmd := range cmds {
				next, events, err := d.Step(cmd, state)
				if err != nil {
					return nil, &BatchError{Index: i, Err: Unhandled(err, cmd)}
				}
				state = next
				all = append(all, events...)
			}
			return all, nil
		},
		Evolve:   d.Evolve,
		Initial:  d.Initial,
		Terminal: d.Terminal,

		EvolveInPlace: d.EvolveInPlace,
	}
}
