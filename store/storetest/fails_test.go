package storetest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest"
)

// TestRunFails checks that Run, RunDurable and RunRefused fail the test of a wrong store.
// They run in a process of their own, because they fail.
func TestRunFails(t *testing.T) {
	t.Parallel()
	const wrong = "EVOLVE_WRONG"
	if os.Getenv(wrong) != "" {
		failing(t)
		return
	}
	run := exec.CommandContext(t.Context(), os.Args[0],
		"-test.run", "^TestRunFails$/^/^(Invalid|Reopened|Refused)$/^(expected_versions|versions_continue|an_append_fails)")
	run.Env = append(os.Environ(), wrong+"=yes")
	out, err := run.CombinedOutput()
	for _, want := range []string{"Run/Invalid/expected_versions", "RunDurable/Reopened/versions_continue", "RunRefused/Refused/an_append_fails"} {
		if err == nil || !strings.Contains(string(out), "--- FAIL: TestRunFails/"+want) {
			t.Errorf("%s of a wrong store passes: %v\n%s", want, err, out)
		}
	}
}

// failing runs the suites on wrong stores.
func failing(t *testing.T) {
	t.Helper()
	t.Run("Run", func(t *testing.T) {
		storetest.Run(t, func(*testing.T) store.Store { return newPlain("zero Expected means Any") })
	})
	t.Run("RunDurable", func(t *testing.T) {
		storetest.RunDurable(t, func(*testing.T) func() store.Store { return opens("Reopened", "versions restart") })
	})
	t.Run("RunRefused", func(t *testing.T) {
		storetest.RunRefused(t, func(*testing.T) (store.Store, func(bool)) {
			p := newPlain("refused and recorded")
			return p, p.Refuse
		})
	})
}
