package runnertest

import "testing"

// Parts returns the names of all parts of the suite.
func Parts() (names []string) {
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return append(names, simulations)
}

// Failures returns what the part with the name finds wrong with open. It makes as
// many simulations as there are seeds.
func Failures(t *testing.T, name string, open Open, seeds int) []string {
	t.Helper()
	for _, p := range parts() {
		if p.name == name {
			return p.failures(t, open)
		}
	}
	if name != simulations {
		t.Fatalf("there is no part %q", name)
	}
	for seed := range seeds {
		if failures, _ := simulated(t, open, plans().Example(seed)); len(failures) > 0 {
			return failures
		}
	}
	return nil
}
