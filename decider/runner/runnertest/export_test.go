package runnertest

import "testing"

// Clauses returns the names of all clauses.
func Clauses() (names []string) {
	for _, c := range clauses() {
		names = append(names, c.name)
	}
	return names
}

// Failures returns what each clause finds wrong with open, by its name.
func Failures(t *testing.T, open Open) map[string][]string {
	t.Helper()
	failures := map[string][]string{}
	for _, c := range clauses() {
		if found := c.failures(t, open); len(found) > 0 {
			failures[c.name] = found
		}
	}
	return failures
}
