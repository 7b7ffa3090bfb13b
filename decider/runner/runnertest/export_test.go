package runnertest

import "testing"

// Parts returns the names of all parts of the suite.
func Parts() (names []string) {
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return names
}

// Failures returns what the part called name finds wrong with open. It tries the given
// number of schedules, always the same ones.
func Failures(t *testing.T, name string, open Open, schedules int) []string {
	t.Helper()
	for _, p := range parts() {
		if p.name == name {
			return p.failures(t, open, search{schedules, 1})
		}
	}
	t.Fatalf("there is no part %q", name)
	return nil
}
