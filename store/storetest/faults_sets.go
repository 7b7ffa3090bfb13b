package storetest

import "github.com/evolvego/evolve/store"

// Sets of capabilities are sums of these.
const (
	hasTheLog = 1 << iota
	hasTheSnapshots
	hasTheCheckpoints
	hasTheClaims
	hasTheLeases
)

// parts is a Faulty with all capabilities, whether the wrapped store has them or
// not.
type parts struct {
	*Faulty
	*faultyLog
	*faultySnapshots
	*faultyCheckpoints
	*faultyClaims
	*faultyLeases
}

// some returns the Faulty with the capabilities in has, and no others. A method
// cannot be taken away while a program runs, so there is a type for each set.
func (p *parts) some(has int) store.Store {
	rest := has &^ (hasTheClaims | hasTheLeases)
	switch has - rest {
	case hasTheClaims:
		return p.withClaims(rest)
	case hasTheLeases:
		return p.withLeases(rest)
	case hasTheClaims | hasTheLeases:
		return p.withBoth(rest)
	}
	return p.withNeither(rest)
}

// withNeither is some without claims and leases.
func (p *parts) withNeither(has int) store.Store {
	switch has {
	case hasTheLog:
		return struct {
			store.Store
			*faultyLog
		}{p.Faulty, p.faultyLog}
	case hasTheSnapshots:
		return struct {
			store.Store
			*faultySnapshots
		}{p.Faulty, p.faultySnapshots}
	case hasTheLog | hasTheSnapshots:
		return struct {
			store.Store
			*faultyLog
			*faultySnapshots
		}{p.Faulty, p.faultyLog, p.faultySnapshots}
	case hasTheCheckpoints:
		return struct {
			store.Store
			*faultyCheckpoints
		}{p.Faulty, p.faultyCheckpoints}
	case hasTheLog | hasTheCheckpoints:
		return struct {
			store.Store
			*faultyLog
			*faultyCheckpoints
		}{p.Faulty, p.faultyLog, p.faultyCheckpoints}
	case hasTheSnapshots | hasTheCheckpoints:
		return struct {
			store.Store
			*faultySnapshots
			*faultyCheckpoints
		}{p.Faulty, p.faultySnapshots, p.faultyCheckpoints}
	case hasTheLog | hasTheSnapshots | hasTheCheckpoints:
		return struct {
			store.Store
			*faultyLog
			*faultySnapshots
			*faultyCheckpoints
		}{p.Faulty, p.faultyLog, p.faultySnapshots, p.faultyCheckpoints}
	}
	return p.Faulty
}

// withClaims is some with claims and without leases.
func (p *parts) withClaims(has int) store.Store {
	switch has {
	case 0:
		return struct {
			store.Store
			*faultyClaims
		}{p.Faulty, p.faultyClaims}
	case hasTheLog:
		return struct {
			store.Store
			*faultyLog
			*faultyClaims
		}{p.Faulty, p.faultyLog, p.faultyClaims}
	case hasTheSnapshots:
		return struct {
			store.Store
			*faultySnapshots
			*faultyClaims
		}{p.Faulty, p.faultySnapshots, p.faultyClaims}
	case hasTheLog | hasTheSnapshots:
		return struct {
			store.Store
			*faultyLog
			*faultySnapshots
			*faultyClaims
		}{p.Faulty, p.faultyLog, p.faultySnapshots, p.faultyClaims}
	case hasTheCheckpoints:
		return struct {
			store.Store
			*faultyCheckpoints
			*faultyClaims
		}{p.Faulty, p.faultyCheckpoints, p.faultyClaims}
	case hasTheLog | hasTheCheckpoints:
		return struct {
			store.Store
			*faultyLog
			*faultyCheckpoints
			*faultyClaims
		}{p.Faulty, p.faultyLog, p.faultyCheckpoints, p.faultyClaims}
	case hasTheSnapshots | hasTheCheckpoints:
		return struct {
			store.Store
			*faultySnapshots
			*faultyCheckpoints
			*faultyClaims
		}{p.Faulty, p.faultySnapshots, p.faultyCheckpoints, p.faultyClaims}
	case hasTheLog | hasTheSnapshots | hasTheCheckpoints:
		return struct {
			store.Store
			*faultyLog
			*faultySnapshots
			*faultyCheckpoints
			*faultyClaims
		}{p.Faulty, p.faultyLog, p.faultySnapshots, p.faultyCheckpoints, p.faultyClaims}
	}
	panic("unreachable: unknown set of capabilities")
}

// withLeases is some with leases and without claims.
func (p *parts) withLeases(has int) store.Store {
	switch has {
	case 0:
		return struct {
			store.Store
			*faultyLeases
		}{p.Faulty, p.faultyLeases}
	case hasTheLog:
		return struct {
			store.Store
			*faultyLog
			*faultyLeases
		}{p.Faulty, p.faultyLog, p.faultyLeases}
	case hasTheSnapshots:
		return struct {
			store.Store
			*faultySnapshots
			*faultyLeases
		}{p.Faulty, p.faultySnapshots, p.faultyLeases}
	case hasTheLog | hasTheSnapshots:
		return struct {
			store.Store
			*faultyLog
			*faultySnapshots
			*faultyLeases
		}{p.Faulty, p.faultyLog, p.faultySnapshots, p.faultyLeases}
	case hasTheCheckpoints:
		return struct {
			store.Store
			*faultyCheckpoints
			*faultyLeases
		}{p.Faulty, p.faultyCheckpoints, p.faultyLeases}
	case hasTheLog | hasTheCheckpoints:
		return struct {
			store.Store
			*faultyLog
			*faultyCheckpoints
			*faultyLeases
		}{p.Faulty, p.faultyLog, p.faultyCheckpoints, p.faultyLeases}
	case hasTheSnapshots | hasTheCheckpoints:
		return struct {
			store.Store
			*faultySnapshots
			*faultyCheckpoints
			*faultyLeases
		}{p.Faulty, p.faultySnapshots, p.faultyCheckpoints, p.faultyLeases}
	case hasTheLog | hasTheSnapshots | hasTheCheckpoints:
		return struct {
			store.Store
			*faultyLog
			*faultySnapshots
			*faultyCheckpoints
			*faultyLeases
		}{p.Faulty, p.faultyLog, p.faultySnapshots, p.faultyCheckpoints, p.faultyLeases}
	}
	panic("unreachable: unknown set of capabilities")
}

// withBoth is some with claims and leases.
func (p *parts) withBoth(has int) store.Store {
	switch has {
	case 0:
		return struct {
			store.Store
			*faultyClaims
			*faultyLeases
		}{p.Faulty, p.faultyClaims, p.faultyLeases}
	case hasTheLog:
		return struct {
			store.Store
			*faultyLog
			*faultyClaims
			*faultyLeases
		}{p.Faulty, p.faultyLog, p.faultyClaims, p.faultyLeases}
	case hasTheSnapshots:
		return struct {
			store.Store
			*faultySnapshots
			*faultyClaims
			*faultyLeases
		}{p.Faulty, p.faultySnapshots, p.faultyClaims, p.faultyLeases}
	case hasTheLog | hasTheSnapshots:
		return struct {
			store.Store
			*faultyLog
			*faultySnapshots
			*faultyClaims
			*faultyLeases
		}{p.Faulty, p.faultyLog, p.faultySnapshots, p.faultyClaims, p.faultyLeases}
	case hasTheCheckpoints:
		return struct {
			store.Store
			*faultyCheckpoints
			*faultyClaims
			*faultyLeases
		}{p.Faulty, p.faultyCheckpoints, p.faultyClaims, p.faultyLeases}
	case hasTheLog | hasTheCheckpoints:
		return struct {
			store.Store
			*faultyLog
			*faultyCheckpoints
			*faultyClaims
			*faultyLeases
		}{p.Faulty, p.faultyLog, p.faultyCheckpoints, p.faultyClaims, p.faultyLeases}
	case hasTheSnapshots | hasTheCheckpoints:
		return struct {
			store.Store
			*faultySnapshots
			*faultyCheckpoints
			*faultyClaims
			*faultyLeases
		}{p.Faulty, p.faultySnapshots, p.faultyCheckpoints, p.faultyClaims, p.faultyLeases}
	case hasTheLog | hasTheSnapshots | hasTheCheckpoints:
		return struct {
			store.Store
			*faultyLog
			*faultySnapshots
			*faultyCheckpoints
			*faultyClaims
			*faultyLeases
		}{p.Faulty, p.faultyLog, p.faultySnapshots, p.faultyCheckpoints, p.faultyClaims, p.faultyLeases}
	}
	panic("unreachable: unknown set of capabilities")
}
