// Package capability takes a store apart into its optional capabilities and puts it
// together again. It is for wrappers: one that is written by hand hides the capabilities
// that it does not know, or has methods for some that the wrapped store lacks, and both
// mislead whoever looks for a capability by type assertion.
//
//	set := capability.Of(st)
//	set.Store = counting{set.Store}
//	if set.Log != nil {
//		set.Log = countingLog{set.Log}
//	}
//	return set.Compose()
package capability

import (
	"io"

	"github.com/evolvego/evolve/store"
)

// Set is a store in parts: what every store does, and the capabilities that this one has.
// A capability that is nil is one that it lacks. Store must not be nil.
type Set struct {
	Store       store.Store
	Log         store.Log
	Tenants     store.Tenants
	Snapshots   store.Snapshots
	Checkpoints store.Checkpoints
	Claims      store.Claims
	Leases      store.Leases
	Documents   store.Documents
	Closer      io.Closer
}

// Of returns the parts of st: each of the capabilities that it has by type assertion.
func Of(st store.Store) Set {
	set := Set{Store: st}
	set.Log, _ = st.(store.Log)
	set.Tenants, _ = st.(store.Tenants)
	set.Snapshots, _ = st.(store.Snapshots)
	set.Checkpoints, _ = st.(store.Checkpoints)
	set.Claims, _ = st.(store.Claims)
	set.Leases, _ = st.(store.Leases)
	set.Documents, _ = st.(store.Documents)
	set.Closer, _ = st.(io.Closer)
	return set
}

// Compose returns a store that has exactly the capabilities of s that are not nil. Other
// methods of Store, such as those of a capability that was set to nil, it hides.
func (s Set) Compose() store.Store {
	has := 0
	for i, present := range []bool{
		s.Log != nil, s.Tenants != nil, s.Snapshots != nil, s.Checkpoints != nil,
		s.Claims != nil, s.Leases != nil, s.Documents != nil, s.Closer != nil,
	} {
		if present {
			has |= 1 << i
		}
	}
	return compose(&s, has)
}
