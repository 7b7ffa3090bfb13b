package projection

import (
	"context"
	"errors"
	"fmt"

	"github.com/evolvego/evolve/store"
)

// AppendTx is a transaction that can append events and apply a projection together.
type AppendTx interface {
	Tx
	store.AppendTx
	store.ReadTx
}

// Inline returns st as a store whose appends also apply p, in the same transaction, if p
// is up to date: then the read model contains the events when Append returns, without
// waiting. If p is further behind, or cannot apply them, the append happens without it,
// and Run applies them later. So keep Run running. An append never fails because of p.
// Writers with and without Inline can be mixed.
//
// st must be the target of p, or a wrapper of it. The result has the capabilities of st
// if st has all those of *memory.Store. Otherwise it is a Store with claims. An append
// through it commits alone: it does not share a commit with others, which is slower when
// many append at once. Inline panics if p delivers effects.
func Inline[T AppendTx, E any](st store.Store, p *Projection[T, E]) store.Store {
	if p.effect {
		panic(fmt.Sprintf("projection %s: effects cannot be inline", p))
	}
	in := &inline[T, E]{Store: st, p: p}
	if c, ok := st.(capable); ok {
		return struct {
			*inline[T, E]
			store.Log
			store.Snapshots
			store.Checkpoints
			store.Leases
			store.Documents
			holder
		}{in, c, c, c, c, c, c}
	}
	return in
}

// capable is everything that a store can do beside events.
type capable interface {
	store.Log
	store.Snapshots
	store.Checkpoints
	store.Claims
	store.Leases
	store.Documents
}

// holder is the reading part of store.Claims.
type holder interface {
	Holder(ctx context.Context, key string) (store.Stream, bool, error)
}

// inline is a store whose appends apply p.
type inline[T AppendTx, E any] struct {
	store.Store
	p *Projection[T, E]
}

// Append is [store.Store.Append].
func (s *inline[T, E]) Append(
	ctx context.Context, stream store.Stream, expected store.Expected, events []store.Event,
) (store.Appended, error) {
	return s.append(ctx, stream, expected, events, nil)
}

// AppendClaiming is [store.Claims.AppendClaiming].
func (s *inline[T, E]) AppendClaiming(
	ctx context.Context, stream store.Stream, expected store.Expected, events []store.Event, claims []store.Claim,
) (store.Appended, error) {
	return s.append(ctx, stream, expected, events, claims)
}

// errNotInline rolls a transaction back, so that the append is made without p.
var errNotInline = errors.New("projection: not inline")

func (s *inline[T, E]) append(
	ctx context.Context, stream store.Stream, expected store.Expected, events []store.Event, claims []store.Claim,
) (appended store.Appended, err error) {
	var moved store.Checkpoint
	var refused error
	err = s.p.target.Update(ctx, func(tx T) error {
		moved = store.Checkpoint{}
		if appended, refused = tx.AppendClaiming(stream, expected, events, claims); refused != nil {
			return refused
		}
		var err error
		if moved, err = s.apply(ctx, tx, stream, events, appended); err != nil {
			return fmt.Errorf("%w: %w", errNotInline, err)
		}
		return nil
	})
	switch {
	case refused != nil:
		return store.Appended{}, refused
	case errors.Is(err, errNotInline) && ctx.Err() == nil:
		if len(claims) > 0 {
			if c, ok := s.Store.(store.Claims); ok {
				return c.AppendClaiming(ctx, stream, expected, events, claims)
			}
		}
		return s.Store.Append(ctx, stream, expected, events)
	case err != nil:
		return store.Appended{}, err
	}
	if moved.Position > 0 {
		s.p.live.movedInline(moved)
	}
	return appended, nil
}

// apply applies events that have just been appended, if the checkpoint is right before
// them. It returns the new checkpoint, or zero if it has not moved.
func (s *inline[T, E]) apply(
	ctx context.Context, tx T, stream store.Stream, events []store.Event, appended store.Appended,
) (store.Checkpoint, error) {
	p := s.p
	at, err := tx.LoadCheckpoint(p.build())
	if err != nil || at.Position+uint64(len(events)) != appended.Position {
		return store.Checkpoint{}, err
	}
	var about description
	found, err := loadNote(tx, kindBuilds, p.build(), &about)
	reads := p.source.Filters()
	if err != nil || !found || about.Retired || len(grown(about.Reads, reads))+len(grown(reads, about.Reads)) > 0 {
		return store.Checkpoint{}, err // Run must handle it first
	}
	to := store.Checkpoint{Position: appended.Position, EventID: events[len(events)-1].ID}
	err = tx.SaveCheckpoint(p.build(), at, to)
	if errors.Is(err, store.ErrConflict) {
		return store.Checkpoint{}, nil
	}
	if err != nil {
		return store.Checkpoint{}, err
	}
	recorded, err := s.recorded(tx, stream, events, appended)
	if err != nil {
		return store.Checkpoint{}, err
	}
	b := batch[E]{keyed: p.part != nil}
	for i := range recorded {
		if it := p.decode(&b, &recorded[i], true); it.err != nil {
			return store.Checkpoint{}, it.err
		}
	}
	if err := s.parkedBefore(tx, &b); err != nil || len(b.events) == 0 {
		return to, err
	}
	_, err = p.applier(ctx, &p.config, tx, b.events)
	return to, err
}

// parkedBefore returns ErrParked if an event of b has a parked key.
func (s *inline[T, E]) parkedBefore(tx T, b *batch[E]) error {
	if s.p.parking == 0 || len(b.events) == 0 {
		return nil
	}
	keys := make([]string, len(b.events))
	for i := range b.events {
		var err error
		if keys[i], err = s.p.keyOf(b.events[i]); err != nil {
			return err
		}
	}
	parked, err := s.p.firstParked(tx, keys)
	if err == nil && parked != "" {
		err = ErrParked
	}
	return err
}

// recorded returns events in their recorded form.
func (s *inline[T, E]) recorded(
	tx T, stream store.Stream, events []store.Event, appended store.Appended,
) ([]store.Recorded, error) {
	n := uint64(len(events))
	page, err := tx.Read(stream, store.ReadOptions{From: appended.Version - n + 1, Limit: len(events)})
	if err == nil && uint64(len(page.Events)) != n {
		err = fmt.Errorf("only %d of %d events that were just appended to %s can be read", len(page.Events), n, stream)
	}
	return page.Events, err
}

// movedInline records that an inline append has moved the checkpoint.
func (s *status) movedInline(to store.Checkpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if to.Position <= s.inline.Position {
		return
	}
	s.inline = to
	if to.Position > s.is.Position {
		s.is.Position, s.is.Moved = to.Position, s.now()
	}
	s.is.Head = max(s.is.Head, to.Position)
	s.woken()
}
