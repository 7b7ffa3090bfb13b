package grpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/evolvego/evolve/store"
)

// settle finds out what became of an append at version that a server has refused
// with err, or not answered, if the server does not know the events of an append
// when they come again. It reports whether to send them again.
func (a *sending) settle(ctx context.Context, version uint64, err error) (store.Appended, bool, error) {
	var conflict *store.ConflictError
	var duplicate *store.DuplicateError
	switch {
	case errors.As(err, &conflict) && conflict.Actual >= version+uint64(len(a.events)):
		return a.follows(ctx, version, conflict)
	case errors.As(err, &conflict) && conflict.Actual == version:
		// It is where it was expected to be, so it cannot be that. Some servers
		// say so of an id that is taken, for ever; or others were at it.
		appended, err := a.find(ctx, &store.DuplicateError{Stream: a.stream, EventID: a.events[0].ID})
		return appended, errors.As(err, &duplicate) && duplicate.Version == 0, err
	case errors.As(err, &duplicate) && duplicate.Version == 0:
		appended, err := a.find(ctx, duplicate)
		return appended, false, err
	}
	return store.Appended{}, unavailable(err), err
}

// follows looks whether the events that follow version are those of a: then it was
// an earlier request that the conflict is with.
func (a *sending) follows(ctx context.Context, version uint64, conflict error) (store.Appended, bool, error) {
	var last store.Recorded
	for left := a.events; len(left) > 0; {
		p, err := a.readPart(ctx, a.stream, version+1, min(len(left), a.client.page), true)
		if err != nil {
			return store.Appended{}, false, a.unread(err)
		}
		if len(p.events) == 0 {
			return store.Appended{}, false, conflict
		}
		for i := range p.events {
			if last = p.events[i]; !last.Same(&left[i]) {
				return store.Appended{}, false, conflict
			}
		}
		version, left = last.Version, left[len(p.events):]
	}
	return store.Appended{Version: last.Version, Position: last.Position, Replayed: true}, false, nil
}

// unread returns the error of an append that was refused, after err kept us from reading
// why. If the id is that of a stream of another type, that is why.
func (a *sending) unread(err error) error {
	if errors.Is(err, store.ErrInvalid) {
		return err
	}
	return fmt.Errorf("store/grpc: the outcome of an append to %s is unknown: it was refused, and the stream cannot be read: %w", a.stream, err)
}

// find looks for the ids of a in the newest events of its stream. It returns where
// the events are, if they are there as they are to be, or duplicate, with where the
// first id is that is taken, if it is there.
func (a *sending) find(ctx context.Context, duplicate *store.DuplicateError) (store.Appended, error) {
	recorded, err := a.recorded(ctx)
	if err != nil {
		return store.Appended{}, err
	}
	first, all := store.Recorded{}, true
	for i := range a.events {
		e, ok := recorded[a.events[i].ID]
		if ok && first.Version == 0 {
			first = e
		}
		all = all && ok && e.Version == first.Version+uint64(i) && e.Same(&a.events[i])
	}
	switch {
	case all:
		last := recorded[a.events[len(a.events)-1].ID]
		return store.Appended{Version: last.Version, Position: last.Position, Replayed: true}, nil
	case first.Version > 0:
		duplicate = &store.DuplicateError{Stream: a.stream, EventID: first.ID, In: first.Stream, Version: first.Version}
	}
	return store.Appended{}, duplicate
}

// recorded returns, by its id, what the newest pages of the stream have of a.
func (a *sending) recorded(ctx context.Context) (map[string]store.Recorded, error) {
	wanted := make(map[string]bool, len(a.events))
	for i := range a.events {
		wanted[a.events[i].ID] = true
	}
	found := make(map[string]store.Recorded, len(a.events))
	from := newest
	for pages := 0; from > 0 && pages < maxScan && len(found) < len(wanted); pages++ {
		p, err := a.readPart(ctx, a.stream, from, a.client.page, false)
		if err != nil {
			return nil, err
		}
		for i := range p.events {
			if wanted[p.events[i].ID] {
				found[p.events[i].ID] = p.events[i]
			}
		}
		from = max(p.events.last(versionOf), 1) - 1
	}
	return found, nil
}
