package server

import "github.com/evolvego/evolve/store"

// NewCache returns the method get of a cache of that size.
func NewCache[K comparable, V any](size int) func(key K, create func() V) (V, bool) {
	return newCache[K, V](size).get
}

// Batches returns how many events a subscriber takes at a time from a tail that has
// events with payloads of these sizes.
func Batches(sizes ...int) (batches []int) {
	t := &tail{changed: make(chan struct{})}
	events := make([]*fed, len(sizes))
	for i, size := range sizes {
		events[i] = newFed("t", store.Recorded{Position: uint64(i + 1), Event: store.Event{Data: make([]byte, size)}})
	}
	t.add(events, store.Page{Next: uint64(len(sizes) + 1)})
	g := t.from(1)
	for ; len(g.events) > 0; g = t.from(g.next) {
		batches = append(batches, len(g.events))
	}
	return batches
}
