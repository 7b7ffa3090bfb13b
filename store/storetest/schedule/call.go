package schedule

import (
	"context"
	"fmt"

	"github.com/evolvego/evolve/store/storetest/faults"
	"github.com/evolvego/evolve/store/storetest/history"
)

// Call waits for the turn of the client of ctx and calls do. Use it for a call to
// something other than a store, such as sending a message. The call may be
// [faults.Down], which does not call do, or [faults.Lost], which calls do and loses its
// result. The text what appears in the story, such as "sends the invoice".
func (s *Sim) Call(ctx context.Context, what string, do func() error) error {
	fault, err := s.turn(ctx, calling)
	if err != nil {
		return err
	}
	if fault == faults.Down {
		err = fmt.Errorf("%w: %s", faults.ErrInjected, fault)
	} else {
		s.change()
		if err = do(); fault == faults.Lost {
			err = fmt.Errorf("%w: %s", faults.ErrInjected, fault)
		}
	}
	s.tell(ctx, what, fault, err)
	return err
}

// Target is a store with transactions in a [Sim]; [AddTarget] makes it. It is safe for
// concurrent use.
type Target[T any] struct {
	sim    *Sim
	faults *faults.Faulty
	target *faults.Target[T]
}

var _ faults.Updater[int] = (*Target[int])(nil)

// AddTarget returns target as a store whose transactions wait for their turn. A
// transaction may be [faults.Down], [faults.Undone] or [faults.Lost]. Transactions that
// scene itself runs do not wait. Other calls of the store wait only if they go through
// [Sim.Store].
func AddTarget[T any](s *Sim, target faults.Updater[T]) *Target[T] {
	f := faults.Wrap(nil, 1, faults.Rate{})
	return &Target[T]{sim: s, faults: f, target: faults.WrapTarget(f, target)}
}

// Update is Update of the store, when it is the caller's turn.
func (t *Target[T]) Update(ctx context.Context, do func(tx T) error) error {
	fault, err := t.sim.turn(ctx, updating)
	if err != nil {
		return err
	}
	t.faults.NextUpdate(fault)
	t.sim.open(1)
	defer t.sim.open(-1)
	done := false
	err = t.target.Update(ctx, func(tx T) error {
		err := do(tx)
		done = err == nil
		return err
	})
	if done && fault != faults.Undone {
		t.sim.change()
	}
	t.sim.tell(ctx, "updates", fault, err)
	return err
}

// open adds n to the number of running transactions.
func (s *Sim) open(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened += n
}

// change records that the current step has changed something.
func (s *Sim) change() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = true
}

// tell adds a line for a call that is not recorded. It includes the fault, because
// different faults can have the same result for the caller.
func (s *Sim) tell(ctx context.Context, what string, fault faults.Fault, err error) {
	text := what
	switch {
	case fault != faults.None:
		text += ": " + fault.String()
	case err != nil:
		text += ": " + err.Error()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		s.say(history.ClientOf(ctx), text)
	}
}
