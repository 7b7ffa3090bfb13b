package runner

import (
	"fmt"
	"hash/maphash"
	"reflect"
	"sync"
	"time"
)

// Cache configures the cache of a runner and its copies. The cache keeps the most
// recently used states with their versions, which saves folding the stream again. The
// zero value means the defaults.
//
// A cached state may be old, because other runners write to the stream too. No result
// comes from an old state, unless the call says [AllowStale] or [AnyCached]. Load reads
// the events after the cached state. A command is decided on the cached state at once. If
// it decides events, the version that the append expects tells whether the state is
// current: if it is not, that is a conflict like any other, and one of the attempts of
// [Retry]. If the command is rejected, has nothing to do, fails or panics, the runner
// reads the events after the state, and decides again if there are any. So a command on a
// current state costs one append and no read.
//
// The runner reads first if that is better: if the cached state was old the last time, or
// if the call has only one attempt.
type Cache[S any] struct {
	Size int // the most states to keep; 0: 10,000

	// Clone returns a copy of state that shares nothing mutable with it. It is called
	// when a state is put into the cache, when it is taken out, and before events are
	// folded that are not recorded yet.
	Clone func(state S) S

	// Shared promises that states are never changed in place: not by Decide, not by
	// Evolve, and not by any code that gets a state from the runner. Then several calls
	// can share a state. States that are plain values need neither Clone nor Shared.
	Shared bool
}

// WithCache returns a copy of r that caches states as c says. It panics if c.Size is
// negative, or if S is not a plain value, so that a cached state could be changed, and c
// neither has a Clone nor sets Shared.
func (r *Runner[C, S, E]) WithCache(c Cache[S]) *Runner[C, S, E] {
	if c.Size < 0 {
		panic(fmt.Sprintf("runner: WithCache: negative Size %d", c.Size))
	}
	mustShare("WithCache", c)
	if c.Size == 0 {
		c.Size = 10_000
	}
	copied := *r
	copied.cache = newCache(c)
	return &copied
}

// mustShare panics if calls cannot share a state as c says.
func mustShare[S any](caller string, c Cache[S]) {
	if at, plain := plainValue(reflect.TypeFor[S](), "state"); !plain && c.Clone == nil && !c.Shared {
		panic(fmt.Sprintf("runner: %s: %s, which calls would share: "+
			"set Cache.Clone, or set Cache.Shared if no code ever changes a %v in place", caller, at, reflect.TypeFor[S]()))
	}
}

// plainValue reports whether a copy of a value of type t shares nothing mutable with it.
// If it does, plainValue returns where.
func plainValue(t reflect.Type, path string) (where string, ok bool) {
	if t == reflect.TypeFor[time.Time]() {
		return "", true // its location never changes
	}
	switch t.Kind() { //nolint:exhaustive // the other kinds are references, or hold anything
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return "", true
	case reflect.Array:
		return plainValue(t.Elem(), path+"[…]")
	case reflect.Struct:
		for field := range t.Fields() {
			if where, ok := plainValue(field.Type, path+"."+field.Name); !ok {
				return where, false
			}
		}
		return "", true
	}
	return fmt.Sprintf("%s is a %s (%v)", path, t.Kind(), t), false
}

// cache keeps the most recently used states by stream ID, in shards so that calls on
// different streams rarely wait for each other.
type cache[S any] struct {
	clone  func(S) S // nil: not needed
	seed   maphash.Seed
	shards []shard[S]
}

// manyStates is the size from which a cache has more than one shard.
const manyStates = 1024

func newCache[S any](c Cache[S]) *cache[S] {
	n := 1
	if c.Size >= manyStates {
		n = 64
	}
	shards := make([]shard[S], n)
	for i := range shards {
		shards[i].size = c.Size / n
		shards[i].entries = make(map[string]*entry[S])
		shards[i].newest.next, shards[i].newest.prev = &shards[i].newest, &shards[i].newest
	}
	return &cache[S]{clone: c.Clone, seed: maphash.MakeSeed(), shards: shards}
}

// shard is a list of the last used states.
type shard[S any] struct {
	mu      sync.Mutex
	size    int
	entries map[string]*entry[S] // guarded by mu
	newest  entry[S]             // guarded by mu; the anchor of the ring: next is the most recently used, prev is evicted first
	_       [64]byte             // keeps the locks of two shards off one cache line
}

// entry is a cached state.
type entry[S any] struct {
	prev, next *entry[S]
	id         string
	kept[S]
}

// kept is what a cache knows about a stream.
type kept[S any] struct {
	at     Loaded[S]
	seen   time.Time // when at was last known to be current
	shared bool      // others wrote to the stream since at was cached before
}

func (c *cache[S]) shard(id string) *shard[S] {
	if len(c.shards) == 1 {
		return &c.shards[0]
	}
	return &c.shards[maphash.String(c.seed, id)%uint64(len(c.shards))]
}

// get returns what is known about stream id, as a copy for the caller.
func (c *cache[S]) get(id string) (k kept[S], ok bool) {
	s := c.shard(id)
	s.mu.Lock()
	e, ok := s.entries[id]
	if ok {
		s.use(e)
		k = e.kept
	}
	s.mu.Unlock()
	if ok && c.clone != nil { // outside the lock, because a cached state never changes
		k.at.State = c.clone(k.at.State)
	}
	return k, ok
}

// put caches k, which the caller gives up, for stream id, unless a newer state is cached.
func (c *cache[S]) put(id string, k kept[S]) {
	s := c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[id]
	switch {
	case !ok:
		e = s.room()
		e.id = id
		s.entries[id] = e
	case k.at.Version < e.at.Version, k.at.Version == e.at.Version && k.seen.Before(e.seen):
		return
	}
	e.kept = k
	s.use(e)
}

// drop removes the state of stream id if it is at version.
func (c *cache[S]) drop(id string, version uint64) {
	s := c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.entries[id]; ok && e.at.Version == version {
		delete(s.entries, id)
		e.prev.next, e.next.prev = e.next, e.prev
	}
}

// room returns an entry for one more state: a new one, or the least recently used one if
// the shard is full. The caller holds mu.
func (s *shard[S]) room() *entry[S] {
	if len(s.entries) < s.size {
		e := &entry[S]{}
		e.prev, e.next = e, e
		return e
	}
	e := s.newest.prev
	delete(s.entries, e.id)
	return e
}

// use makes e the most recently used one. The caller holds mu.
func (s *shard[S]) use(e *entry[S]) {
	if s.newest.next == e {
		return
	}
	e.prev.next, e.next.prev = e.next, e.prev
	e.prev, e.next = &s.newest, s.newest.next
	e.prev.next, e.next.prev = e, e
}

// recent starts f with the cached state, if there is one, and reports whether f can go on
// without reading the stream.
func (r *Runner[C, S, E]) recent(f *flight[S]) bool {
	if r.cache == nil {
		return false
	}
	k, ok := r.cache.get(f.stream.ID)
	if !ok {
		return false
	}
	f.at, f.from, f.began, f.seen = k.at, k.at.Version, FromCache, k.seen
	if f.o.source == fromCached || f.o.source == fromRecent && r.clock().Sub(k.seen) < f.o.age {
		return true
	}
	f.guess = f.mayGuess && !k.shared
	return f.guess
}

// own returns a copy of at that its user may change, if Clone makes that safe.
func (r *Runner[C, S, E]) own(at Loaded[S]) Loaded[S] {
	if r.cache != nil && r.cache.clone != nil {
		at.State = r.cache.clone(at.State)
	}
	return at
}

// keep caches the state of f, if it was the stream's head during the call.
func (r *Runner[C, S, E]) keep(f *flight[S]) {
	if r.cache != nil && f.fresh {
		r.cache.put(f.stream.ID, kept[S]{r.own(f.at), f.seen, f.shared})
	}
}

// put is keep for a state that nothing else refers to. It calls no user function.
func (r *Runner[C, S, E]) put(f *flight[S]) {
	if r.cache != nil && f.fresh {
		r.cache.put(f.stream.ID, kept[S]{f.at, f.seen, f.shared})
	}
}

// drop removes the state that f began with from the cache.
func (r *Runner[C, S, E]) drop(f *flight[S]) {
	if r.cache != nil {
		r.cache.drop(f.stream.ID, f.at.Version)
	}
}
