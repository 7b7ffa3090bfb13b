package storetest

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
)

// Clauses returns the names of all clauses, as those of the subtests of Run.
func Clauses() []string {
	var names []string
	for _, s := range append(suites(), durableSuites()...) {
		for _, c := range s.clauses {
			names = append(names, s.name+"/"+c.name)
		}
	}
	return names
}

// CheckClause checks the clause with this name. It reports whether there is one.
func CheckClause(tb rapid.TB, name string, open func() store.Store, patience time.Duration) bool {
	for _, s := range append(suites(), durableSuites()...) {
		for _, c := range s.clauses {
			if s.name+"/"+c.name == name {
				c.runFor(tb, open(), open, patience, false)
				return true
			}
		}
	}
	return false
}

// Limit returns st, which must have all capabilities, with only those whose bits are
// set: Log, Snapshots, Checkpoints, Claims, Leases.
func Limit(st store.Store, has int) store.Store {
	f := Faults(st, 0, Rate{})
	all := st.(interface { //nolint:errcheck // a panic says it all
		store.Log
		store.Snapshots
		store.Checkpoints
		store.Claims
		store.Leases
	})
	p := &parts{f, &faultyLog{f, all}, &faultySnapshots{f, all}, &faultyCheckpoints{f, all}, &faultyClaims{f, all}, &faultyLeases{f, all}}
	return p.some(has)
}

// ExploreEvery is Explore, which leaves nothing out.
func ExploreEvery(t *testing.T, limits Limits, scene func(s *Sim)) (int, error) {
	t.Helper()
	limits.every = true
	return Explore(t, limits, scene)
}
