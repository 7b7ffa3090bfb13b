package projection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evolvego/evolve/store"
)

// prepare loads what is stored about the build, and creates it the first time. It moves
// the checkpoint first, so that only one of several instances that prepare at once
// succeeds.
func (r *run[T, E]) prepare(ctx context.Context) error {
	for {
		var at store.Checkpoint
		var about description
		var known bool
		err := r.p.target.Update(ctx, func(tx T) (err error) {
			if at, err = tx.LoadCheckpoint(r.p.build()); err != nil {
				return err
			}
			known, err = loadNote(tx, kindBuilds, r.p.build(), &about)
			return err
		})
		if err != nil {
			return err
		}
		if about.Retired {
			return ErrRetired
		}
		var more []store.Filter
		if known {
			more = grown(about.Reads, r.p.source.Filters())
			if err := r.prove(ctx, more, about.Reads, 0, at); err != nil {
				return err
			}
		}
		start, err := r.start(ctx, at, known)
		if err != nil {
			return err
		}
		r.at = at
		err = r.p.target.Update(ctx, func(tx T) error { return r.begin(ctx, tx, start, known, about) })
		if fenced(err) && ctx.Err() == nil {
			continue // load it again
		}
		if err == nil && len(more) > 0 {
			r.grew, r.before = more, about.Reads
		}
		return err
	}
}

// start returns where a build begins. Effects that are new begin at the head.
func (r *run[T, E]) start(ctx context.Context, at store.Checkpoint, known bool) (store.Checkpoint, error) {
	if known || !r.p.effect || at != (store.Checkpoint{}) {
		return at, nil
	}
	page, err := r.p.log.ReadAll(ctx, store.LogOptions{Limit: 1, Backward: true})
	if err != nil || len(page.Events) == 0 {
		return at, err
	}
	return store.Checkpoint{Position: page.Events[0].Position, EventID: page.Events[0].ID}, nil
}

// begin is the transaction of prepare.
func (r *run[T, E]) begin(ctx context.Context, tx T, start store.Checkpoint, known bool, was description) error {
	p := r.p
	if err := r.fence(tx, start); err != nil {
		return err
	}
	about := description{}
	found, err := loadNote(tx, kindBuilds, p.build(), &about)
	if err != nil {
		return err
	}
	if found != known || about.Retired != was.Retired {
		return ErrFenced // another instance was faster
	}
	if !about.Setup && p.setup != nil {
		if err := guard("setup", func() error { return p.setup(ctx, tx) }); err != nil {
			if ctx.Err() != nil {
				return err
			}
			return &userError{inSetup, err}
		}
	}
	about.Setup, about.Reads = true, p.source.Filters()
	if err := saveNote(tx, kindBuilds, p.build(), about); err != nil {
		return err
	}
	parked, err := p.loadParkedKeys(tx)
	if err != nil {
		return err
	}
	r.at, r.about, r.looked = start, about, p.now()
	p.live.setParked(parked)
	p.live.change(func(s *Progress) { s.Ready = about.Ready })
	return nil
}

// prove returns ErrFilterGrew if an event after position from, up to the checkpoint at,
// matches one of more and none of before: the read model would lack it.
func (r *run[T, E]) prove(ctx context.Context, more, before []store.Filter, from uint64, at store.Checkpoint) error {
	for _, f := range more {
		o := store.LogOptions{From: from + 1, Limit: pageSize, Filter: f}
		for o.From <= at.Position {
			page, err := r.p.log.ReadAll(ctx, o)
			if err != nil {
				return err
			}
			for i := range page.Events {
				if e := &page.Events[i]; e.Position <= at.Position && !covers(before, e.Stream.Type, e.Type) {
					return fmt.Errorf("%w: %s in streams of type %q, such as position %d; the checkpoint is %d: run a new version",
						ErrFilterGrew, e.Type, e.Stream.Type, e.Position, at.Position)
				}
			}
			if page.End {
				break
			}
			o.From = page.Next
		}
	}
	return nil
}

// becomeReady makes the build the active one, unless it is behind the active one.
func (r *run[T, E]) becomeReady(ctx context.Context, now time.Time) error {
	p := r.p
	if r.about.Ready || r.overtaken || !r.end || now.Before(r.tryReady) {
		return nil
	}
	r.tryReady = now.Add(readyPoll)
	r.at = later(r.at, p.live.inlined())
	var done, switched bool
	err := p.target.Update(ctx, func(tx T) (err error) {
		done, switched, err = r.switchTo(ctx, tx)
		return err
	})
	switch {
	case err != nil && (fenced(err) || ctx.Err() != nil || final(err)):
		return err
	case err != nil: // the projection continues, and tries again later
		r.tryReady = now.Add(saveEvery)
		_, attempt := p.live.failing(err)
		p.notify(ctx, Notice{Kind: RunFailed, Position: r.at.Position, Err: err, Attempt: attempt})
		return nil
	case !done:
		return nil
	}
	r.about.Ready = true
	p.live.change(func(s *Progress) { s.Ready = true })
	p.live.reached(r.at.Position, 0, true)
	if switched {
		p.notify(ctx, Notice{Kind: BuildReady, Position: r.at.Position})
	}
	return nil
}

// switchTo is the transaction of becomeReady. It holds the checkpoint of the active
// build, so that no reader sees that build advance and then an older state of this one.
func (r *run[T, E]) switchTo(ctx context.Context, tx T) (done, switched bool, err error) {
	p := r.p
	if err := r.fence(tx, r.at); err != nil {
		return false, false, err
	}
	var is active
	found, err := loadNote(tx, kindActive, p.activeName(), &is)
	if err != nil {
		return false, false, err
	}
	switched = !found || is.Build != p.build()
	if r.overtaken = found && is.Version > p.version; r.overtaken {
		return false, false, nil
	}
	if found && switched {
		at, err := tx.LoadCheckpoint(is.Build)
		if err != nil {
			return false, false, err
		}
		if at.Position > r.at.Position {
			return false, false, nil
		}
		if err := tx.SaveCheckpoint(is.Build, at, at); err != nil {
			return false, false, err
		}
	}
	if p.ready != nil {
		if err := guard("ready", func() error { return p.ready(ctx, tx) }); err != nil {
			return false, false, &userError{inReady, err}
		}
	}
	about := r.about
	about.Ready = true
	if err := saveNote(tx, kindBuilds, p.build(), about); err != nil {
		return false, false, err
	}
	return true, switched, saveNote(tx, kindActive, p.activeName(), active{Version: p.version, Build: p.build()})
}

// activeName is the name under which the active build is stored. Each partition has its
// own.
func (c *config) activeName() string { return c.name + c.partition }

// Retire ends this version permanently: it removes what the projection stores, and calls
// the function of [Projection.WithDrop]. A retired version cannot run again. Retire
// returns [ErrActive] if readers use this version, and an error that matches
// store.ErrLeaseHeld if an instance runs it. A second call removes what is left.
func (p *Projection[T, E]) Retire(ctx context.Context) error {
	retire := func(ctx context.Context) error {
		if err := p.retire(ctx); err != nil {
			return fmt.Errorf("projection %s: retire: %w", p, err)
		}
		return nil
	}
	if p.leases == nil {
		return retire(ctx)
	}
	lease, err := p.leases.AcquireLease(ctx, p.leaseName(), store.NewID(), p.ttl)
	if err != nil {
		return fmt.Errorf("projection %s: retire: %w", p, err)
	}
	defer func() {
		releasing, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseIn)
		defer cancel()
		_ = p.leases.ReleaseLease(releasing, lease)
	}()
	return retire(ctx)
}

func (p *Projection[T, E]) retire(ctx context.Context) error {
	err := p.target.Update(ctx, func(tx T) error {
		at, err := tx.LoadCheckpoint(p.build())
		if err != nil {
			return err
		}
		if err := tx.SaveCheckpoint(p.build(), at, store.Checkpoint{}); err != nil {
			return err
		}
		var is active
		if found, err := loadNote(tx, kindActive, p.activeName(), &is); err != nil || found && is.Build == p.build() {
			return errors.Join(err, ErrActive)
		}
		var about description
		if _, err := loadNote(tx, kindBuilds, p.build(), &about); err != nil || about.Retired {
			return err
		}
		if p.drop != nil {
			if err := guard("drop", func() error { return p.drop(ctx, tx) }); err != nil {
				return err
			}
		}
		about.Retired = true
		return saveNote(tx, kindBuilds, p.build(), about)
	})
	for _, kind := range []string{p.kindKeys(), p.kindEvents(), p.kindStates()} {
		for more := true; more && err == nil; {
			err = p.target.Update(ctx, func(tx T) error {
				docs, err := tx.ScanDocuments(kind, "", "", 0)
				for i := range docs {
					docs[i].Data = nil
				}
				more = len(docs) > 0
				return errors.Join(err, tx.SaveDocuments(docs))
			})
		}
	}
	return err
}
