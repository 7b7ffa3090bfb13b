package runnertest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/evolvego/evolve/decider/runner/runnertest"
)

// TestRunFails checks that Run fails the test of a wrong runner. It runs in a process of
// its own, because it fails.
func TestRunFails(t *testing.T) {
	t.Parallel()
	const wrong = "EVOLVE_WRONG"
	if os.Getenv(wrong) != "" {
		runnertest.Run(t, openReference("never gives up", true, true))
		return
	}
	run := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestRunFails$/^attempts_are_bounded$")
	run.Env = append(os.Environ(), wrong+"=yes")
	if out, err := run.CombinedOutput(); err == nil || !strings.Contains(string(out), "--- FAIL: TestRunFails/attempts_are_bounded ") {
		t.Errorf("a runner that never gives up passes: %v\n%s", err, out)
	}
}
