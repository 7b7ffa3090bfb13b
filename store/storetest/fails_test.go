package storetest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest"
)

// TestRunFails checks that Run, RunDurable and RunRefused fail the test of a wrong store, and
// skip what a store cannot do. They run in a process of their own, because they fail.
func TestRunFails(t *testing.T) {
	t.Parallel()
	const wrong = "EVOLVE_WRONG"
	if os.Getenv(wrong) != "" {
		failing(t)
		return
	}
	run := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run",
		"^TestRunFails$/^/^(Invalid|Tenants|Reopened|Refused|Refused_claims)$/^(expected_versions|versions_continue|an_append_fails|.*claim)")
	run.Env = append(os.Environ(), wrong+"=yes")
	out, err := run.CombinedOutput()
	for _, want := range []string{
		"FAIL: TestRunFails/Run/Invalid/expected_versions", "FAIL: TestRunFails/RunDurable/Reopened/versions_continue",
		"FAIL: TestRunFails/RunRefused/Refused/an_append_fails", "FAIL: TestRunFails/poor",
		"SKIP: TestRunFails/lacking/Tenants", "SKIP: TestRunFails/lacking/Refused_claims",
	} {
		if err == nil || !strings.Contains(string(out), "--- "+want) {
			t.Errorf("want %q: %v\n%s", want, err, out)
		}
	}
}

// failing runs the suites on stores that are wrong, or lack something.
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
	t.Run("poor", func(t *testing.T) {
		storetest.Run(t, func(*testing.T) store.Store { return poor{newPlain("")} })
	})
	t.Run("lacking", func(t *testing.T) {
		p := newPlain("")
		storetest.Run(t, func(*testing.T) store.Store { return bare{p} })
		storetest.RunRefused(t, func(*testing.T) (store.Store, func(bool)) { return bare{p}, p.Refuse })
	})
}
