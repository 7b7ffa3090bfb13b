package runnertest

import (
	"testing" //nolint:depguard // this package is for tests
	"testing/synctest"
)

// Run checks that what open returns is a runner, each clause and each property in
// a subtest of its own. They run in parallel, in virtual time.
func Run(t *testing.T, open Open) {
	t.Helper()
	for _, c := range clauses() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, failure := range c.failures(t, open) {
				t.Error(failure)
			}
		})
	}
}

// failures returns what is wrong with open by c.
func (c clause) failures(t *testing.T, open Open) (failures []string) {
	t.Helper()
	synctest.Test(t, func(*testing.T) { failures = try(open, c.check) })
	return failures
}
