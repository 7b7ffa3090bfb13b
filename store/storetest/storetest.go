package storetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/evolvego/evolve/store"
)

// Run checks that open returns a store that fulfills the contract. Each clause of the
// contract is a subtest that runs in parallel with the others. With -short, Run repeats
// less.
//
// Each call of open must return a new store without events; if the store has tenants,
// it must be the store of [store.DefaultTenant]. Open releases resources with
// t.Cleanup. Run finds the optional capabilities of the store by type assertion:
// [store.Log], [store.Tenants], [store.Snapshots], [store.Checkpoints], [store.Claims],
// [store.Leases], [store.Documents], [store.Finder], [store.ValueReader] and
// [io.Closer], and the method Update that [store.Tx] describes. If the store lacks a
// capability, Run skips its clauses and says so.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	runSuites(t, suites(), open(t), func(t *testing.T) func() store.Store {
		t.Helper()
		return func() store.Store { return open(t) }
	})
}

// runSuites checks all suites for which shared has the capability. The clauses run on
// shared, or on a store from open if they need a store of their own.
func runSuites(t *testing.T, all []suite, shared store.Store, open func(t *testing.T) func() store.Store) {
	t.Helper()
	if diff := differUpdate(shared); diff != "" {
		t.Error(diff)
	}
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if s.needs != nil && !s.needs(shared) {
				t.Skip(s.leftOut(shared))
			}
			for _, c := range s.clauses {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.run(t, shared, open(t))
				})
			}
		})
	}
}

// suite is the clauses about one topic.
type suite struct {
	name    string
	needs   func(store.Store) bool // nil: every store has the capability
	lacking string                 // the name of the capability, for the message when a store lacks it
	clauses []clause
}

// clause is one requirement on a store.
type clause struct {
	name  string
	check func(t *check)
}

func suites() []suite {
	return []suite{
		{name: "Append", clauses: appendClauses()},
		{name: "Contention", clauses: contentionClauses()},
		{name: "Ids", clauses: idClauses()},
		{name: "Fidelity", clauses: fidelityClauses()},
		{name: "Invalid", clauses: invalidClauses()},
		{name: "Aliases", clauses: aliasClauses()},
		{name: "Read", clauses: readClauses()},
		{name: "Context", clauses: contextClauses()},
		{name: "Log", needs: hasLog, lacking: "store.Log", clauses: logClauses()},
		{name: "Subscribe", needs: hasLog, lacking: "store.Log", clauses: subscribeClauses()},
		{name: "Tenants", needs: hasTenants, lacking: "store.Tenants", clauses: tenantClauses()},
		{name: "Snapshots", needs: hasSnapshots, lacking: "store.Snapshots", clauses: snapshotClauses()},
		{name: "Checkpoints", needs: hasCheckpoints, lacking: "store.Checkpoints", clauses: checkpointClauses()},
		{name: "Claims", needs: hasClaims, lacking: "store.Claims", clauses: claimClauses()},
		{name: "Leases", needs: hasLeases, lacking: "store.Leases", clauses: leaseClauses()},
		{name: "Resume", needs: hasLog, lacking: "store.Log", clauses: resumeClauses()},
		{name: "Update", needs: hasUpdate, lacking: "store with an Update whose transactions are a store.Tx", clauses: updateClauses()},
		{name: "Documents", needs: hasDocuments, lacking: "store.Documents with an Update", clauses: documentClauses()},
		{name: "Finder", needs: hasFinder, lacking: "store.Finder", clauses: finderClauses()},
		{name: "Values", needs: readsValues, lacking: "store.ValueReader", clauses: valueClauses()},
		{name: "Model", clauses: modelClauses()},
		{name: "Close", needs: canClose, lacking: "io.Closer", clauses: closeClauses()},
	}
}

// leftOut says which clauses are not checked on st, and why.
func (s suite) leftOut(st store.Store) string {
	names := make([]string, len(s.clauses))
	for i, c := range s.clauses {
		names[i] = c.name
	}
	return fmt.Sprintf("%T is not a %s; not checked: %s", st, s.lacking, strings.Join(names, "; "))
}
