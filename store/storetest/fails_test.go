package storetest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest"
)

// TestRunFails checks that Run fails the test of a wrong store. It runs in a process of its
// own, because it fails.
func TestRunFails(t *testing.T) {
	t.Parallel()
	const wrong = "EVOLVE_WRONG"
	if os.Getenv(wrong) != "" {
		storetest.Run(t, func(*testing.T) store.Store { return newPlain("zero Expected means Any") })
		return
	}
	run := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestRunFails$/^Invalid$/^expected_versions")
	run.Env = append(os.Environ(), wrong+"=yes")
	if out, err := run.CombinedOutput(); err == nil || !strings.Contains(string(out), "--- FAIL: TestRunFails/Invalid/expected_versions") {
		t.Errorf("a store that takes Expected(0) for Any passes: %v\n%s", err, out)
	}
}
