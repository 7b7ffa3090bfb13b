package runnertest

import (
	"testing"
	"testing/synctest"
)

// Run checks that what open returns is a runner, each clause and each property in
// a subtest of its own. They run in parallel, in virtual time.
//
// The properties are about simulations, in which all histories of the store are
// linear too: every schedule of two clients with a fault, of one with two and of three
// without any, and random ones of more clients, deciders and faults. They check that each command is in the stream at most once,
// as what it decides on the state before it; that every outcome is true, and every
// rejection was at a moment of the call; and that nobody appends on what is older than
// the last conflict, tries more often than it may, or gives up before. What fails is
// shown as a short schedule, with the seed of it: run the test again with -rapid.seed
// to see the same one first.
//
// There are 50 random schedules of each size, 10 with -short, or as many as RAPID_CHECKS
// says.
func Run(t *testing.T, open Open) {
	t.Helper()
	for _, p := range parts() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			for _, failure := range p.failures(t, open, usual()) {
				t.Error(failure)
			}
		})
	}
}

// part is a part of the suite.
type part struct {
	name     string
	failures func(t *testing.T, open Open, far search) []string // what is wrong with open
}

func parts() (parts []part) {
	for _, c := range clauses() {
		parts = append(parts, part{c.name, func(t *testing.T, open Open, _ search) (failures []string) {
			t.Helper()
			synctest.Test(t, func(*testing.T) { failures = try(open, c.check) })
			return failures
		}})
	}
	for name, p := range schedules() {
		parts = append(parts, part{"schedules: " + name, func(t *testing.T, open Open, _ search) []string {
			t.Helper()
			return explore(t, open, p)
		}})
	}
	return append(parts, part{"simulations", simulate})
}
