package grpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/evolvego/evolve/store"
)

// settle finds out the outcome of an append at version that a server has refused with
// err, or not answered, if the server does not recognize repeated events. It reports
// whether to retry.
func (a *sending) settle(ctx context.Context, version uint64, err error) (store.Appended, bool, error) {
	var conflict *store.ConflictError
	var duplicate *store.DuplicateError
	switch {
	case errors.As(err, &conflict) && conflict.Actual >= version+uint64(len(a.events)):
		return a.follows(ctx, version, conflict)
	case errors.As(err, &conflict) && conflict.Actual == version:
		// The stream is at the expected version, so it cannot be a conflict. Some servers
		// always return this for a duplicate id; or other writers were involved.
		appended, err := a.find(ctx, &store.DuplicateError{Stream: a.stream, EventID: a.events[0].ID})
		return appended, errors.As(err, &duplicate) && duplicate.Version == 0, err
	case errors.As(err, &duplicate) && duplicate.Version == 0:
		appended, err := a.find(ctx, duplicate)
		return appended, false, err
	}
	return store.Appended{}, unavailable(err), err
}

// follows checks whether the events after version are those of a: then the conflict is
// with an earlier request.
func (a *sending) follows(ctx context.Context, version uint64, conflict error) (store.Appended, bool, error) {
	var last store.Recorded
	for left := a.events; len(left) > 0; {
		p, err := a.readPart(ctx, a.stream, store.ReadOptions{From: version + 1, Limit: min(len(left), a.client.page)})
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

// unread returns the error of a refused append, if err kept the client from reading
// why. If the id belongs to a stream of another type, that is the reason.
func (a *sending) unread(err error) error {
	if errors.Is(err, store.ErrInvalid) {
		return err
	}
	return fmt.Errorf("store/grpc: the outcome of an append to %s is unknown: it was refused, and the stream cannot be read: %w", a.stream, err)
}

// find looks for the ids of a in the newest events of its stream. If all the events are
// there, it returns their place. Otherwise, if the first recorded id is there, it
// returns duplicate with its place.
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

// recorded returns those events of a that the newest pages of the stream have, by their
// ids.
func (a *sending) recorded(ctx context.Context) (map[string]store.Recorded, error) {
	wanted := make(map[string]bool, len(a.events))
	for i := range a.events {
		wanted[a.events[i].ID] = true
	}
	found := make(map[string]store.Recorded, len(a.events))
	from := newest
	for pages := 0; from > 0 && pages < maxScan && len(found) < len(wanted); pages++ {
		p, err := a.readPart(ctx, a.stream, store.ReadOptions{From: from, Limit: a.client.page, Backward: true})
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
