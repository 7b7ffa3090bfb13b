// Package capability splits a store into its optional capabilities and puts it together
// again. Use it to write a wrapper. A wrapper with a fixed list of methods hides the
// capabilities that it does not know, or has methods for capabilities that the wrapped
// store lacks. Both mislead code that finds a capability by type assertion.
//
//	set := capability.Of(st)
//	set.Store = counting{set.Store}
//	if set.Log != nil {
//		set.Log = countingLog{set.Log}
//	}
//	return set.Compose()
//
// Compose needs a type for each set of capabilities, which makes a program that calls
// it about 12 MB larger. In tests that does not matter. A wrapper for programs should
// define types only for the sets that its stores have, as decider/otelevolve does.
//
// The Update method of a store with transactions is not one of the capabilities,
// because its type is different for each store. Wrap it separately.
package capability

import (
	"io"

	"github.com/evolvego/evolve/store"
)

// Set holds the parts of a store: the basic Store and its capabilities. A capability is
// nil if the store lacks it. Store must not be nil.
type Set struct {
	Store       store.Store
	Log         store.Log
	Tenants     store.Tenants
	Snapshots   store.Snapshots
	Checkpoints store.Checkpoints
	Claims      store.Claims
	Leases      store.Leases
	Documents   store.Documents
	Finder      store.Finder
	Closer      io.Closer
}

// Of returns the parts of st. It finds the capabilities by type assertion.
func Of(st store.Store) Set {
	set := Set{Store: st}
	set.Log, _ = st.(store.Log)
	set.Tenants, _ = st.(store.Tenants)
	set.Snapshots, _ = st.(store.Snapshots)
	set.Checkpoints, _ = st.(store.Checkpoints)
	set.Claims, _ = st.(store.Claims)
	set.Leases, _ = st.(store.Leases)
	set.Documents, _ = st.(store.Documents)
	set.Finder, _ = st.(store.Finder)
	set.Closer, _ = st.(io.Closer)
	return set
}

// Compose returns a store with exactly the capabilities of s that are not nil. It hides
// all other methods of Store, including those of a capability that you have set to nil.
func (s Set) Compose() store.Store {
	has := 0
	for i, present := range []bool{
		s.Log != nil, s.Tenants != nil, s.Snapshots != nil, s.Checkpoints != nil,
		s.Claims != nil, s.Leases != nil, s.Documents != nil, s.Finder != nil, s.Closer != nil,
	} {
		if present {
			has |= 1 << i
		}
	}
	return compose(&s, has)
}
