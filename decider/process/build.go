package process

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/evolvego/evolve/store"
)

// active returns ErrSuperseded if a later version is active.
func (r *Runtime[T, E, S, C]) active(tx store.DocumentTx) error {
	var a activeNote
	if _, err := load(tx, r.name, &a); err != nil {
		return err
	}
	if a.Version > r.version {
		return r.superseded(a.Version)
	}
	return nil
}

func (r *Runtime[T, E, S, C]) superseded(version int) error {
	return fmt.Errorf("%w: version %d, in place of %d", ErrSuperseded, version, r.version)
}

// enter makes this version the active one, unless it already is.
func (o *owner[T, E, S, C]) enter(ctx context.Context) error {
	var a activeNote
	var b buildNote
	found, untouched := false, false
	err := o.r.view(ctx, func(tx store.DocumentTx, at func(string) (store.Checkpoint, error)) (err error) {
		if found, err = load(tx, o.r.name, &a); err != nil {
			return err
		}
		if _, err = load(tx, o.r.build(), &b); err != nil {
			return err
		}
		c, err := at(o.r.checkpoint())
		untouched = c == store.Checkpoint{}
		return err
	})
	switch {
	case err != nil:
		return err
	case a.Version == o.r.version && b.Wanted == 0:
		return nil
	case a.Version == o.r.version: // if the later version still wants to take over, it will ask again
		return o.r.target.Update(ctx, func(tx T) error { return editBuild(tx, o.r.build(), func(b *buildNote) { b.Wanted = 0 }) })
	case a.Version > o.r.version:
		return o.r.superseded(a.Version)
	case found:
		return o.takeOver(ctx, a.Version)
	case o.r.restore:
		return o.restore(ctx)
	case untouched:
		return o.r.target.Update(ctx, func(tx T) error { return o.activate(tx) })
	}
	return fmt.Errorf("process %s: %w: it has a checkpoint, but no note of the active version", o.r.build(), store.ErrInvalid)
}

// activate records that this version is the active one.
func (o *owner[T, E, S, C]) activate(tx T) error {
	if err := o.r.active(tx); err != nil {
		return err
	}
	doc, err := document(builds, o.r.name, activeNote{Version: o.r.version})
	if err != nil {
		return err
	}
	return tx.SaveDocuments([]store.Document{doc})
}

// rebuilt holds the instances of a process, folded from the log.
type rebuilt[S, C any] struct {
	instances map[string]*instance[S]
	asked     map[string][]Command[C] // the commands of the instances that are not over
	waiting   []store.Document        // inputs of instances that wait
	at        store.Checkpoint        // folded up to here
}

// stop says how far an instance has come in the previous version: its inputs from At on
// have not taken effect.
type stops map[string]*note

// rebuild folds the log up to a position. It sends nothing. Instances that before names
// stop where they waited, or are over.
func (o *owner[T, E, S, C]) rebuild(ctx context.Context, upTo uint64, before stops) (*rebuilt[S, C], error) {
	b := &rebuilt[S, C]{instances: map[string]*instance[S]{}, asked: map[string][]Command[C]{}}
	o.r.live.change(func(p *Progress) { p.State = Rebuilding })
	for from := uint64(0); from <= upTo; {
		page, err := o.r.log.ReadAll(ctx, store.LogOptions{From: from, Filter: o.r.source.Filter()})
		if err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
		for n := range page.Events {
			event := &page.Events[n]
			if event.Position > upTo {
				return b, nil
			}
			found, err := o.r.decodeInputs(nil, &o.scratch, event)
			if err != nil {
				return nil, err
			}
			for f := range found {
				if err := o.refold(b, &found[f], before[found[f].instance]); err != nil {
					return nil, err
				}
			}
			b.at = store.Checkpoint{Position: event.Position, EventID: event.ID}
		}
		if page.End {
			break
		}
		from = page.Next
	}
	return b, nil
}

// refold applies an input to an instance without sending anything.
func (o *owner[T, E, S, C]) refold(b *rebuilt[S, C], f *routed[E], before *note) error {
	i := b.instances[f.instance]
	if i == nil {
		var err error
		if i, err = o.r.open(f.instance, &note{}); err != nil {
			return err
		}
		i.was = &note{}
		if before != nil {
			i.is = &note{Skipped: before.Skipped}
		}
		b.instances[f.instance] = i
	}
	in := &f.input
	switch {
	case i.is.Over || skipped(i.is, in.at):
		return nil
	case before != nil && (before.Abandoned || before.Failing != nil && !before.Failing.At.after(in.at)):
		return nil // it has not taken effect
	}
	wait := func() {
		b.waiting = append(b.waiting, store.Document{Kind: o.kinds.waiting, ID: waitingKey(i.id, in.at.Position), Data: []byte{}})
	}
	if i.is.Failing != nil {
		wait()
		return nil
	}
	out, err := o.r.react(i, in)
	if err != nil {
		i.is = i.is.fail(in.at, err, o.r.now(), o.r.budget)
		wait()
		return nil
	}
	i.state, i.is = out.state, out.note
	if i.is.Over {
		delete(b.asked, i.id)
	} else {
		b.asked[i.id] = append(b.asked[i.id], out.send...)
	}
	return nil
}

// takeOver makes this version the active one, in place of the previous one. At that
// moment both are at the same event: this version does not react to events before it, and
// the previous version can no longer react to events after it. With leases, the previous
// version first saves what it has sent, and ends.
func (o *owner[T, E, S, C]) takeOver(ctx context.Context, version int) error {
	old := buildName(o.r.name, version)
	if o.r.leases != nil {
		lease, err := o.wait(ctx, old)
		if err != nil {
			return err
		}
		defer o.r.release(ctx, lease)
	}
	for {
		before, err := o.lookAt(ctx, old)
		if err != nil {
			return err
		}
		b, err := o.rebuild(ctx, before.at.Position, before.notes)
		if err != nil {
			return err
		}
		docs, err := o.carry(b, before)
		if err != nil {
			return err
		}
		err = o.r.target.Update(ctx, func(tx T) error {
			if err := tx.SaveCheckpoint(checkpointOf(old), before.at, before.at); err != nil {
				return fenced(err)
			}
			var now buildNote
			if _, err := load(tx, old, &now); err != nil {
				return err
			}
			if now.Turn != before.turn {
				return errFenced
			}
			return o.found(tx, before.at, docs)
		})
		if errors.Is(err, errFenced) {
			continue // it has advanced meanwhile
		}
		if err == nil {
			o.r.notify(ctx, Notice{Kind: TookOver, Position: before.at.Position})
		}
		return err
	}
}

// wait asks the previous version to end, and returns its lease when it has ended.
func (o *owner[T, E, S, C]) wait(ctx context.Context, old string) (store.Lease, error) {
	for {
		err := o.r.target.Update(ctx, func(tx T) error {
			return editBuild(tx, old, func(b *buildNote) { b.Wanted = o.r.version })
		})
		if err != nil {
			return store.Lease{}, err
		}
		lease, err := o.r.leases.AcquireLease(ctx, leaseName(old), o.r.owner, leaseFor)
		if !errors.Is(err, store.ErrLeaseHeld) {
			return lease, err
		}
		if err := sleep(ctx, standbyPoll); err != nil {
			return store.Lease{}, err
		}
	}
}

// found writes the initial notes of a version.
func (o *owner[T, E, S, C]) found(tx T, at store.Checkpoint, docs []store.Document) error {
	var mine store.Checkpoint
	mine, err := tx.LoadCheckpoint(o.r.checkpoint())
	if err != nil {
		return err
	}
	if mine != at {
		if err := tx.SaveCheckpoint(o.r.checkpoint(), mine, at); err != nil {
			return fenced(err)
		}
	}
	if err := o.activate(tx); err != nil {
		return err
	}
	return saveAll(tx, docs)
}

// earlier is the progress of the previous version.
type earlier struct {
	at      store.Checkpoint
	turn    uint64
	notes   stops            // the instances that wait, were abandoned or have skipped inputs
	waiting []store.Document // the waiting inputs, for this version
}

func (o *owner[T, E, S, C]) lookAt(ctx context.Context, old string) (e earlier, err error) {
	k := kindsOf(old)
	err = o.r.view(ctx, func(tx store.DocumentTx, at func(string) (store.Checkpoint, error)) error {
		var err error
		if e.at, err = at(checkpointOf(old)); err != nil {
			return err
		}
		var b buildNote
		if _, err = load(tx, old, &b); err != nil {
			return err
		}
		e.turn = b.Turn
		var ids []string
		err = scan(tx, k.marked, "", "", func(d store.Document) error {
			ids = append(ids, d.ID)
			return nil
		})
		if err != nil {
			return err
		}
		if e.notes, err = loadNotes(tx, k.instances, ids); err != nil {
			return err
		}
		return scan(tx, k.waiting, "", "", func(d store.Document) error {
			e.waiting = append(e.waiting, store.Document{Kind: o.kinds.waiting, ID: d.ID, Data: []byte{}})
			return nil
		})
	})
	return e, err
}

// carry returns the documents of a version whose instances are b. Instances that waited
// in the previous version still wait.
func (o *owner[T, E, S, C]) carry(b *rebuilt[S, C], before earlier) ([]store.Document, error) {
	docs := slices.Concat(before.waiting, b.waiting)
	for id, old := range before.notes {
		i := b.instances[id]
		if i == nil { // all of its inputs wait
			i = &instance[S]{id: id, was: &note{}, is: &note{Skipped: old.Skipped}}
			b.instances[id] = i
		}
		next := *i.is
		if old.Abandoned {
			next = note{At: old.At, Over: true, Abandoned: true, Skipped: old.Skipped}
		}
		if old.Failing != nil && next.Failing == nil { // this version may succeed
			next.Failing = &failing{At: old.Failing.At, Cause: old.Failing.Cause, Since: o.r.now()}
		}
		i.is = &next
	}
	for id, i := range b.instances {
		changed, err := o.kinds.change(id, &note{}, i.is)
		if err != nil {
			return nil, err
		}
		docs = append(docs, changed...)
	}
	return docs, nil
}

// restore brings the process up to date from the log alone, and sends the commands that
// are still pending.
func (o *owner[T, E, S, C]) restore(ctx context.Context) error {
	head, err := o.r.log.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the head of the log: %w", err)
	}
	b, err := o.rebuild(ctx, head, nil)
	if err != nil {
		return err
	}
	for id, i := range b.instances {
		if i.is.Over || i.is.Failing != nil || o.r.process.Pending == nil {
			continue
		}
		commands, err := o.pending(i, b.asked[id])
		if err != nil {
			return fmt.Errorf("pending commands of instance %q: %w", id, err)
		}
		if err := o.r.sendAll(ctx, o.send, commands); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if passes(err) {
				return fmt.Errorf("pending commands of instance %q: %w", id, err)
			}
			i.is = i.is.fail(i.is.At, err, o.r.now(), o.r.budget)
		}
	}
	docs, err := o.carry(b, earlier{})
	if err != nil {
		return err
	}
	if err := o.r.target.Update(ctx, func(tx T) error { return o.found(tx, b.at, docs) }); err != nil {
		return err
	}
	o.r.notify(ctx, Notice{Kind: TookOver, Position: b.at.Position})
	return nil
}

// pending returns the pending commands of an instance, with the ids under which they were
// sent.
func (o *owner[T, E, S, C]) pending(i *instance[S], asked []Command[C]) ([]Command[C], error) {
	var waits []C
	err := guard("Pending", func() error {
		waits = o.r.process.Pending(i.state)
		return nil
	})
	if err != nil {
		return nil, err
	}
	ids := map[string][]Command[C]{} // by content, the newest last
	for _, c := range asked {
		encoded, err := o.r.encodeMsg(c.Command)
		if err != nil {
			return nil, err
		}
		ids[string(encoded)] = append(ids[string(encoded)], c)
	}
	need := map[string]int{}
	var keys []string
	for _, c := range waits {
		encoded, err := o.r.encodeMsg(c)
		if err != nil {
			return nil, err
		}
		keys = append(keys, string(encoded))
		need[string(encoded)]++
	}
	var all []Command[C]
	for n, key := range keys {
		known := ids[key]
		if len(known) < need[key] { // no reaction has sent it: it is new
			all = append(all, Command[C]{
				ID: commandID(o.r.name, i.id, i.is.At, []byte("pending "+key), need[key]), Command: waits[n], Instance: i.id, Cause: &store.Recorded{},
			})
		} else {
			all = append(all, known[len(known)-need[key]])
		}
		need[key]--
	}
	return all, nil
}
