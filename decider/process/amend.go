package process

import (
	"context"
	"fmt"
	"slices"

	"github.com/evolvego/evolve/store"
)

// Instance describes an instance of a process.
type Instance struct {
	ID        string
	Position  uint64         // of the last input that took effect
	Over      bool           // it has ended
	Abandoned bool           // it was ended by Abandon
	Timers    int            // timers that are running
	Waiting   *InstanceError // why it waits; nil: it does not wait
}

// Instances returns the instances for which keep returns true, in the byte order of their
// ids. If keep is nil, it returns all instances that are not over. To find the instances
// that wait, use func(i Instance) bool { return i.Waiting != nil }.
func (r *Runtime[T, E, S, C]) Instances(ctx context.Context, keep func(Instance) bool) ([]Instance, error) {
	if keep == nil {
		keep = func(i Instance) bool { return !i.Over }
	}
	var all []Instance
	err := r.target.Update(ctx, func(tx T) error {
		all = all[:0]
		k := kindsOf(r.build())
		return scan(tx, k.instances, "", "", func(d store.Document) error {
			var n note
			if err := unmarshalNote(d, &n); err != nil {
				return err
			}
			i := Instance{ID: d.ID, Position: n.At.Position, Over: n.Over, Abandoned: n.Abandoned, Timers: len(n.Timers)}
			if n.Failing != nil {
				i.Waiting = r.waiting(d.ID, n.Failing)
			}
			if keep(i) {
				all = append(all, i)
			}
			return nil
		})
	})
	return all, err
}

// Release retries an instance that waits, quarantined or not, at once and with a new
// budget. It begins with the input that failed. It returns [ErrNotWaiting] if the
// instance does not wait.
func (r *Runtime[T, E, S, C]) Release(ctx context.Context, instance string) error {
	return r.amend(ctx, instance, InstanceReleased, func(n *note) error {
		if n.Failing == nil {
			return ErrNotWaiting
		}
		n.Failing = &failing{At: n.Failing.At, Cause: n.Failing.Cause, Since: r.now()}
		return nil
	})
}

// Skip makes an instance that waits continue after the input that failed, which must be
// at position. The input never takes effect. It returns [ErrNotWaiting] if the instance
// does not wait there.
func (r *Runtime[T, E, S, C]) Skip(ctx context.Context, instance string, position uint64) error {
	return r.amend(ctx, instance, InputSkipped, func(n *note) error {
		if n.Failing == nil || n.Failing.At.Position != position {
			return fmt.Errorf("%w at position %d", ErrNotWaiting, position)
		}
		n.Skipped = append(slices.Clone(n.Skipped), n.Failing.At)
		n.Failing = &failing{At: n.Failing.At, Since: r.now()}
		return nil
	})
}

// Abandon ends an instance permanently: its timers stop, waiting inputs are dropped, and
// later events are ignored. It returns [ErrNoInstance] if there is no such instance, or
// if it is over.
func (r *Runtime[T, E, S, C]) Abandon(ctx context.Context, instance string) error {
	return r.amend(ctx, instance, InstanceAbandoned, func(n *note) error {
		*n = note{At: n.At, Over: true, Abandoned: true, Skipped: n.Skipped}
		return nil
	})
}

// amend changes an instance, in a transaction that holds the checkpoint.
func (r *Runtime[T, E, S, C]) amend(ctx context.Context, instance string, kind Kind, do func(*note) error) error {
	if err := (store.Stream{Type: r.name, ID: instance}).Validate(); err != nil {
		return err
	}
	k := kindsOf(r.build())
	position := uint64(0)
	err := r.target.Update(ctx, func(tx T) error {
		at, err := tx.LoadCheckpoint(r.checkpoint())
		if err != nil {
			return err
		}
		if err := tx.SaveCheckpoint(r.checkpoint(), at, at); err != nil {
			return err
		}
		if err := r.active(tx); err != nil {
			return err
		}
		notes, err := loadNotes(tx, k.instances, []string{instance})
		if err != nil {
			return err
		}
		was := notes[instance]
		if was.At == (mark{}) && was.Failing == nil || was.Over {
			return ErrNoInstance
		}
		is := *was
		if err := do(&is); err != nil {
			return err
		}
		if was.Failing != nil {
			position = was.Failing.At.Position
		}
		docs, err := k.change(instance, was, &is)
		if err != nil {
			return err
		}
		if is.Over {
			from, to := waitingRange(instance)
			err := scan(tx, k.waiting, from, to, func(d store.Document) error {
				docs = append(docs, store.Document{Kind: k.waiting, ID: d.ID})
				return nil
			})
			if err != nil {
				return err
			}
		}
		if err := saveAll(tx, docs); err != nil {
			return err
		}
		return editBuild(tx, r.build(), func(b *buildNote) { b.Turn++ })
	})
	if err != nil {
		return fmt.Errorf("process %s: instance %q: %w", r.build(), instance, err)
	}
	r.notify(ctx, Notice{Kind: kind, Instance: instance, Position: position})
	select {
	case r.live.poked <- struct{}{}:
	default:
	}
	return nil
}
