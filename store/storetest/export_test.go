package storetest

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
)

// Clauses returns the names of all clauses, which are the names of the subtests of Run.
func Clauses() []string {
	var names []string
	for _, s := range slices.Concat(suites(), durableSuites(), refusedSuites()) {
		for _, c := range s.clauses {
			names = append(names, s.name+"/"+c.name)
		}
	}
	return names
}

// LeftOut returns what Run says about the capabilities that st lacks.
func LeftOut(st store.Store) (said []string) {
	for _, s := range suites() {
		if s.needs != nil && !s.needs(st) {
			said = append(said, s.leftOut(st))
		}
	}
	return said
}

// CheckClause checks the clause with this name. It returns false if there is none.
func CheckClause(tb rapid.TB, name string, open func() store.Store, patience time.Duration) bool {
	for _, s := range append(suites(), durableSuites()...) {
		for _, c := range s.clauses {
			if s.name+"/"+c.name == name {
				c.runFor(tb, open(), open, patience, false)
				return true
			}
		}
	}
	for _, s := range refusedSuites() {
		for _, c := range s.clauses {
			if s.name+"/"+c.name == name {
				st := open()
				c.runRefused(tb, st, st.(refuser).Refuse, patience) //nolint:errcheck,forcetypeassert // it is the plain store
				return true
			}
		}
	}
	return false
}

// refuser is a store that can be told to refuse writes.
type refuser interface{ Refuse(refused bool) }

// DifferUpdate is differUpdate.
func DifferUpdate(st store.Store) string { return differUpdate(st) }
