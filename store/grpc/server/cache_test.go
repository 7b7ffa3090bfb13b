package server_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store/grpc/server"
)

// TestCache compares a cache with a list of the most recently used keys: it must have
// their values, and no others.
func TestCache(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 4).Draw(t, "size")
		get := server.NewCache[int, int](size)
		var used, values []int // most recently used last
		made := 0
		for range rapid.IntRange(0, 40).Draw(t, "calls") {
			key := rapid.IntRange(0, 6).Draw(t, "key")
			var create func() int
			if rapid.Bool().Draw(t, "create") {
				create = func() int { made++; return made }
			}
			at := slices.Index(used, key)
			before := made
			got, ok := get(key, create)
			switch {
			case at >= 0:
				if !ok || got != values[at] || made != before {
					t.Fatalf("get(%d) = %d, %t, want the cached %d", key, got, ok, values[at])
				}
				used, values = slices.Delete(used, at, at+1), slices.Delete(values, at, at+1)
			case create == nil:
				if ok || got != 0 {
					t.Fatalf("get(%d) = %d, %t, although %d other keys were used since", key, got, ok, size)
				}
				continue
			case !ok || got != made || made != before+1:
				t.Fatalf("get(%d) = %d, %t, want a new value", key, got, ok)
			}
			used, values = append(used, key), append(values, got)
			used, values = used[max(0, len(used)-size):], values[max(0, len(values)-size):]
		}
	})
}
