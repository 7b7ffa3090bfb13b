package server

import (
	"cmp"
	"context"
	"hash/maphash"
	"slices"

	"github.com/evolvego/evolve/store"
)

const (
	cachedStreams = 1 << 16 // ids with known streams
	cachedTenants = 1 << 10 // tenants with known types
	createGates   = 1 << 8
	scanPage      = 1000
)

// finder finds the stream that an id means for a client that knows only the protocol:
// among the streams with this id, the one whose first event has the lowest position.
// Nothing can come before that in the log, so it never changes.
//
// A store finds streams only by type and id. There are few types, so the finder keeps
// those of each tenant, which it learns from the log, and tries the id with each of
// them. It reads the log as far as it must to be sure: up to the first event that it
// has found, or to the end.
type finder struct {
	seed    maphash.Seed
	streams *cache[tenantID, store.Stream]
	types   *cache[string, *types]
	creates [createGates]gate // clients that know only the protocol create streams with one id one at a time
}

type tenantID struct{ tenant, id string }

// types holds the stream types of a tenant.
type types struct {
	gate
	known []string // guarded by gate
	next  uint64   // guarded by gate; the log has been read up to this position
}

func newFinder() *finder {
	f := &finder{
		seed:    maphash.MakeSeed(),
		streams: newCache[tenantID, store.Stream](cachedStreams),
		types:   newCache[string, *types](cachedTenants),
	}
	for i := range f.creates {
		f.creates[i] = newGate()
	}
	return f
}

// forAppend returns the existing stream with the id of s, or s if there is none. Until
// unlock is called, no other call with create set returns for the same id, unless the
// stream exists.
func (f *finder) forAppend(ctx context.Context, v view, s store.Stream, create bool) (found store.Stream, unlock func(), err error) {
	unlock = func() {}
	found, ok := f.streams.get(tenantID{v.tenant, s.ID}, nil)
	if ok {
		return found, unlock, nil
	}
	if create {
		g := f.creates[maphash.String(f.seed, v.tenant+"\x00"+s.ID)%createGates]
		if err := g.lock(ctx); err != nil {
			return s, nil, err
		}
		unlock = g.unlock
	}
	found, ok, err = f.find(ctx, v, s.ID)
	if err != nil {
		unlock()
		return s, nil, err
	}
	if !ok {
		return s, unlock, nil
	}
	return found, unlock, nil
}

// find returns the stream that id means, and false if there is none.
func (f *finder) find(ctx context.Context, v view, id string) (store.Stream, bool, error) {
	if found, ok := f.streams.get(tenantID{v.tenant, id}, nil); ok {
		return found, true, nil
	}
	t, _ := f.types.get(v.tenant, func() *types { return &types{gate: newGate(), next: 1} })
	known, err := t.learn(ctx, v.log, 0)
	if err != nil {
		return store.Stream{}, false, err
	}
	first, err := oldest(ctx, v, id, known, store.Recorded{})
	if err != nil {
		return store.Stream{}, false, err
	}
	learned, err := t.learn(ctx, v.log, cmp.Or(first.Position, store.MaxVersion))
	if err != nil {
		return store.Stream{}, false, err
	}
	if first, err = oldest(ctx, v, id, learned[len(known):], first); err != nil || first.Version == 0 {
		return store.Stream{}, false, err
	}
	// A stream that was created after the search may be older than first; no more can come
	// from now on.
	if learned, err = t.learn(ctx, v.log, first.Position); err != nil {
		return store.Stream{}, false, err
	}
	if first, err = oldest(ctx, v, id, learned, first); err != nil {
		return store.Stream{}, false, err
	}
	f.streams.get(tenantID{v.tenant, id}, func() store.Stream { return first.Stream })
	return first.Stream, true, nil
}

// oldest returns the first event of the streams with this id and one of types,
// whichever has the lowest position, or first if that is lower.
func oldest(ctx context.Context, v view, id string, types []string, first store.Recorded) (store.Recorded, error) {
	for _, name := range types {
		page, err := v.store.Read(ctx, store.Stream{Type: name, ID: id}, store.ReadOptions{Limit: 1, ReadOnly: true})
		if err != nil {
			return first, err
		}
		if len(page.Events) > 0 && (first.Version == 0 || page.Events[0].Position < first.Position) {
			first = page.Events[0]
		}
	}
	return first, nil
}

// learn reads the log before position, as far as it was not read before, and returns all
// types.
func (t *types) learn(ctx context.Context, log store.Log, position uint64) ([]string, error) {
	if err := t.lock(ctx); err != nil {
		return nil, err
	}
	defer t.unlock()
	for t.next < position {
		page, err := log.ReadAll(ctx, store.LogOptions{From: t.next, Limit: scanPage})
		if err != nil {
			return nil, err
		}
		for i := range page.Events {
			if name := page.Events[i].Stream.Type; !slices.Contains(t.known, name) {
				t.known = append(t.known, name)
			}
		}
		t.next = page.Next
		if page.End {
			break
		}
	}
	return slices.Clone(t.known), nil
}
