package storetest_test

import (
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest"
)

// TestFaultsStore checks that what the wrapped store can do, the Faulty can, and
// no more.
func TestFaultsStore(t *testing.T) {
	t.Parallel()
	for has := range 1 << 5 {
		inner := storetest.Limit(memory.New(), has)
		if got := capabilities(inner); got != has {
			t.Fatalf("a store limited to the capabilities %05b has %05b", has, got)
		}
		if got := capabilities(storetest.Faults(inner, 1, storetest.Rate{}).Store()); got != has {
			t.Errorf("Store() of one with the capabilities %05b has %05b", has, got)
		}
	}
}

// capabilities returns the set of those that s has, as that of Limit.
func capabilities(s store.Store) (has int) {
	_, log := s.(store.Log)
	_, snapshots := s.(store.Snapshots)
	_, checkpoints := s.(store.Checkpoints)
	_, claims := s.(store.Claims)
	_, leases := s.(store.Leases)
	for i, is := range []bool{log, snapshots, checkpoints, claims, leases} {
		if is {
			has |= 1 << i
		}
	}
	return has
}
