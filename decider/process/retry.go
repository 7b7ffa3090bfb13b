package process

import (
	"context"
	"errors"
	"time"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// retry is an instance that waits.
type retry struct {
	quarantined bool
	attempts    int
	at          time.Time // when it is retried
	busy        bool      // it is being retried
}

// retried is the outcome of retrying an instance.
type retried[S any] struct {
	instance  *instance[S]
	positions []uint64 // of the inputs that were waiting, and are handled
	failed    mark
	cause     error // nil: all are handled
	err       error // an error that is not the instance's
}

// loadMarked finds the instances that wait.
func (o *owner[T, E, S, C]) loadMarked(tx store.DocumentTx) error {
	var ids []string
	err := scan(tx, o.kinds.marked, "", "", func(d store.Document) error {
		ids = append(ids, d.ID)
		return nil
	})
	if err != nil {
		return err
	}
	notes, err := loadNotes(tx, o.kinds.instances, ids)
	if err != nil {
		return err
	}
	for id, n := range notes {
		if n.Failing != nil {
			o.failing[id] = &retry{quarantined: n.Failing.Quarantined, attempts: n.Failing.Attempts}
		}
	}
	return nil
}

// failed records that i waits, and notifies the observer.
func (o *owner[T, E, S, C]) failed(ctx context.Context, i *instance[S], cause error) {
	f := i.is.Failing
	o.failing[i.id] = &retry{quarantined: f.Quarantined, attempts: f.Attempts, at: o.r.now().Add(backoff(f.Attempts))}
	n := Notice{Kind: InstanceFailed, Instance: i.id, Position: f.At.Position, Attempt: f.Attempts, Err: cause}
	if f.Quarantined {
		n.Kind = InstanceQuarantined
	}
	o.r.notify(ctx, n)
	o.tell()
}

// again retries the instances whose pause is over.
func (o *owner[T, E, S, C]) again(ctx context.Context) {
	now := o.r.now()
	for id, f := range o.failing {
		if f.quarantined || f.busy || f.at.After(now) {
			continue
		}
		select {
		case o.slots <- struct{}{}:
		default:
			return // all slots are busy; the first retry that ends wakes the owner
		}
		f.busy = true
		o.retries.Go(func() {
			done := o.try(ctx, id)
			<-o.slots
			select {
			case o.retried <- done:
			case <-ctx.Done():
			}
		})
	}
}

// try applies the waiting inputs to an instance, as far as possible. It runs in a
// goroutine of its own: meanwhile others only add inputs to the instance.
func (o *owner[T, E, S, C]) try(ctx context.Context, id string) (done retried[S]) {
	var n *note
	var positions []uint64
	done.err = o.r.view(ctx, func(tx store.DocumentTx, _ func(string) (store.Checkpoint, error)) error {
		notes, err := loadNotes(tx, o.kinds.instances, []string{id})
		if err != nil {
			return err
		}
		n = notes[id]
		from, to := waitingRange(id)
		docs, err := tx.ScanDocuments(o.kinds.waiting, from, to, store.DefaultLimit)
		for i := range docs {
			positions = append(positions, positionOf(docs[i].ID))
		}
		return err
	})
	if done.err != nil {
		return done
	}
	i, err := o.r.open(id, n)
	if err != nil {
		done.err = err
		return done
	}
	done.instance = i
	free := *n
	free.Failing = nil
	i.is = &free
	for _, position := range positions {
		inputs, err := o.r.inputsAt(ctx, position, id)
		if err != nil {
			done.err = err
			return done
		}
		waiting, cause := o.r.advance(ctx, o.send, i, inputs)
		if cause != nil {
			done.failed, done.cause = waiting[0].at, cause
			return done
		}
		done.positions = append(done.positions, position)
	}
	return done
}

// inputsAt reads the inputs of an instance that were decoded from one position.
func (r *Runtime[T, E, S, C]) inputsAt(ctx context.Context, position uint64, id string) ([]input[E], error) {
	page, err := r.log.ReadAll(ctx, store.LogOptions{From: position, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(page.Events) == 0 || page.Events[0].Position != position {
		return nil, &store.DivergedError{Checkpoint: store.Checkpoint{Position: position}, Head: page.Head}
	}
	found, err := r.decodeInputs(nil, new([]codec.Decoded[E]), &page.Events[0])
	if err != nil {
		return nil, err
	}
	var inputs []input[E]
	for _, f := range found {
		if f.instance == id {
			inputs = append(inputs, f.input)
		}
	}
	return inputs, nil
}

// settle records the outcome of retrying an instance.
func (o *owner[T, E, S, C]) settle(ctx context.Context, done retried[S]) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if done.err != nil {
		return done.err
	}
	i := done.instance
	if done.cause != nil {
		f := *i.is
		if len(done.positions) == 0 && i.was.Failing != nil && i.was.Failing.At == done.failed {
			f.Failing = i.was.Failing // the same failure
		}
		i.is = f.fail(done.failed, done.cause, o.r.now(), o.r.budget)
	}
	if err := o.commitTried(ctx, done); err != nil {
		return err
	}
	o.counted(i)
	o.forget(i.id)
	switch {
	case done.cause != nil:
		o.failed(ctx, i, done.cause)
	case i.is.Failing != nil: // inputs have arrived meanwhile
		o.failing[i.id] = &retry{}
	default:
		delete(o.failing, i.id)
	}
	o.tell()
	return o.fire(ctx)
}

// commitTried writes an instance that was retried, in a transaction that holds the
// checkpoint, so that no page of another owner comes in between.
func (o *owner[T, E, S, C]) commitTried(ctx context.Context, done retried[S]) error {
	i := done.instance
	err := o.r.target.Update(ctx, func(tx T) error {
		if err := o.turned(tx); err != nil {
			return err
		}
		var docs []store.Document
		for _, position := range done.positions {
			docs = append(docs, store.Document{Kind: o.kinds.waiting, ID: waitingKey(i.id, position)})
		}
		if err := saveAll(tx, docs); err != nil {
			return err
		}
		from, to := waitingRange(i.id)
		left, err := tx.ScanDocuments(o.kinds.waiting, from, to, 1)
		if err != nil {
			return err
		}
		if len(left) > 0 && done.cause == nil { // the rest comes next
			next := *i.is
			next.Failing = &failing{At: mark{Position: positionOf(left[0].ID)}, Since: o.r.now()}
			i.is = &next
		}
		if docs, err = o.kinds.change(i.id, i.was, i.is); err != nil {
			return err
		}
		return saveAll(tx, docs)
	})
	if err == nil {
		o.turn++
	}
	return err
}

// fenced returns errFenced if err is the conflict of a checkpoint, and err otherwise.
func fenced(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return errFenced
	}
	return err
}
