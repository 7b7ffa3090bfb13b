package processtest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestRunFails checks that Run fails the test of a wrong setup. It runs in a process of its
// own, because it fails.
func TestRunFails(t *testing.T) {
	t.Parallel()
	const wrong = "EVOLVE_WRONG"
	if os.Getenv(wrong) != "" {
		Run(t, func(t *testing.T) Setup[*tx] {
			t.Helper()
			s := setup(t)
			s.Log = silent{s.Log}
			return s
		})
		return
	}
	run := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestRunFails$/a_timer_overtakes_nothing")
	run.Env = append(os.Environ(), wrong+"=yes")
	if out, err := run.CombinedOutput(); err == nil || !strings.Contains(string(out), "0 timers fired") {
		t.Errorf("a log that does not record timers passes: %v\n%s", err, out)
	}
}
