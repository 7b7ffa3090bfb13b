package runnertest

import (
	"testing"
	"testing/synctest"
)

// Run checks that what open returns is a runner, each clause and each property in
// a subtest of its own. They run in parallel, in virtual time.
//
// The properties are about simulations: every schedule of two clients with a fault,
// and schedules of more clients, deciders and faults that rapid draws. They check
// that each command is in the stream at most once, as what it decides on the state
// before it, that every outcome is true, and that every rejection was true at a
// moment of the call.
func Run(t *testing.T, open Open) {
	t.Helper()
	for _, p := range parts() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			for _, failure := range p.failures(t, open) {
				t.Error(failure)
			}
		})
	}
	t.Run(simulations, func(t *testing.T) {
		t.Parallel()
		checkSimulations(t, open)
	})
}

// simulations is the name of the part that is for rapid.
const simulations = "simulations"

// part is a part of the suite.
type part struct {
	name     string
	failures func(t *testing.T, open Open) []string // what is wrong with open
}

func parts() (parts []part) {
	for _, c := range clauses() {
		parts = append(parts, part{c.name, func(t *testing.T, open Open) (failures []string) {
			t.Helper()
			synctest.Test(t, func(*testing.T) { failures = try(open, c.check) })
			return failures
		}})
	}
	for name, p := range schedules() {
		parts = append(parts, part{"every schedule: " + name, func(t *testing.T, open Open) []string {
			t.Helper()
			return explore(t, open, p)
		}})
	}
	return parts
}
