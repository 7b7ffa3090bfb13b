package server

import (
	"container/list"
	"context"
	"sync"
)

// cache keeps the most recently used values. It is safe for concurrent use.
type cache[K comparable, V any] struct {
	size  int
	mu    sync.Mutex
	order *list.List          // guarded by mu; of entry[K, V], most recently used first
	items map[K]*list.Element // guarded by mu
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func newCache[K comparable, V any](size int) *cache[K, V] {
	return &cache[K, V]{size: size, order: list.New(), items: make(map[K]*list.Element)}
}

// get returns the value of key. If there is none, it adds the result of create; without
// create, it returns the zero V and false.
func (c *cache[K, V]) get(key K, create func() V) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if item, ok := c.items[key]; ok {
		c.order.MoveToFront(item)
		return item.Value.(entry[K, V]).value, true //nolint:errcheck,forcetypeassert // nothing else is in it
	}
	if create == nil {
		return value, false
	}
	value = create()
	c.items[key] = c.order.PushFront(entry[K, V]{key, value})
	if c.order.Len() > c.size {
		oldest := c.order.Back()
		c.order.Remove(oldest)
		delete(c.items, oldest.Value.(entry[K, V]).key) //nolint:errcheck,forcetypeassert // nothing else is in it
	}
	return value, true
}

// gate is a lock that you can wait for until a context ends.
type gate chan struct{}

func newGate() gate { return make(gate, 1) }

// lock waits for the lock; it returns the error of ctx if ctx ends before.
func (g gate) lock(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g gate) unlock() { <-g }
