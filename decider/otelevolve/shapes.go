package otelevolve

import (
	"io"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/capability"
)

// The sets of capabilities that stores have. capability.Compose knows every set, but
// needs a type for each, which adds 12 MB to a program.
type (
	plain struct{ store.Store }

	logged struct {
		store.Store
		store.Log
	}

	closing struct {
		store.Store
		store.Log
		io.Closer
	}

	// remote is the set of store/grpc.
	remote struct {
		store.Store
		store.Log
		store.Tenants
		io.Closer
	}

	// keeping is the set of store/jetstream.
	keeping struct {
		store.Store
		store.Log
		store.Tenants
		store.Snapshots
		store.Checkpoints
		store.Claims
		store.Leases
		io.Closer
	}

	// full is the set of store/memory, store/sqlite and store/postgres.
	full struct {
		store.Store
		store.Log
		store.Tenants
		store.Snapshots
		store.Checkpoints
		store.Claims
		store.Leases
		store.Documents
		store.Finder
		io.Closer
	}
)

// composed returns a store with the capabilities of s, or nil if s is none of the sets
// above.
func composed(s capability.Set) store.Store {
	shapes := [...]store.Store{
		plain{s.Store},
		logged{s.Store, s.Log},
		closing{s.Store, s.Log, s.Closer},
		remote{s.Store, s.Log, s.Tenants, s.Closer},
		keeping{s.Store, s.Log, s.Tenants, s.Snapshots, s.Checkpoints, s.Claims, s.Leases, s.Closer},
		full{s.Store, s.Log, s.Tenants, s.Snapshots, s.Checkpoints, s.Claims, s.Leases, s.Documents, s.Finder, s.Closer},
	}
	for _, shape := range shapes {
		if has(capability.Of(shape)) == has(s) {
			return shape
		}
	}
	return nil
}

// has reports which capabilities s has.
func has(s capability.Set) [9]bool {
	return [...]bool{
		s.Log != nil, s.Tenants != nil, s.Snapshots != nil, s.Checkpoints != nil, s.Claims != nil,
		s.Leases != nil, s.Documents != nil, s.Finder != nil, s.Closer != nil,
	}
}
