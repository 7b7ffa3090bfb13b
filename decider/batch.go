package decider

import "fmt"

// BatchError is a batch that was rejected because one of its commands was.
type BatchError struct {
	Index int   // of the command, in the batch
	Err   error // the rejection
}

// Error says which command was rejected, and why.
func (e *BatchError) Error() string {
	return fmt.Sprintf("command %d of the batch: %v", e.Index, e.Err)
}

// Unwrap returns the rejection.
func (e *BatchError) Unwrap() error { return e.Err }

// Batch returns d for lists of commands, each decided on the state after those
// before it. The events are those of all of them. If one is rejected, so is the
// list, with a *[BatchError], and there are no events; if that one is
// [ErrUnhandled], so is the list. An empty list is accepted, and nothing happens.
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
