package runnertest

import (
	"testing"
	"testing/synctest"
)

// Run checks that open returns a runner that keeps its promises. Each clause and each
// property is a subtest of its own. They run in parallel, in virtual time.
//
// A clause is a story with faults, conflicts, late answers or panics at exact points. The
// properties are about schedules: all schedules of two clients with one fault, of one
// client with two faults and of three clients without faults, and random ones of more
// clients, deciders and faults. They check that
//
//   - each command is in the stream at most once, as decided on the state before it,
//   - every outcome is true, and every rejection was correct at some moment of the call,
//   - no call appends at a version that is older than its last conflict, tries more often
//     than allowed, or gives up earlier.
//
// A failure is shown as a short schedule with its seed: run the test again with
// -rapid.seed to see the same schedule first. There are 50 random schedules of each size,
// 10 with -short, or as many as RAPID_CHECKS says.
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
