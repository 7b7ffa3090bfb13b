package server

// NewCache returns the method get of a cache of that size.
func NewCache[K comparable, V any](size int) func(key K, create func() V) (V, bool) {
	return newCache[K, V](size).get
}
