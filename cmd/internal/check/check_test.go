package check_test

import (
	"testing"

	"golang.org/x/tools/go/analysis/analysistest"

	"github.com/evolvego/evolve/cmd/internal/check"
)

func TestIgnore(t *testing.T) {
	t.Parallel()
	analysistest.Run(t, analysistest.TestData(), check.Ignore, "example.com/ignore")
}

func TestImpure(t *testing.T) {
	t.Parallel()
	analysistest.Run(t, analysistest.TestData(), check.Impure, "example.com/helper", "example.com/impure")
}

// TestDispatch checks that the analyzers follow methods that are called through sealed
// interfaces.
func TestDispatch(t *testing.T) {
	t.Parallel()
	analysistest.Run(t, analysistest.TestData(), check.Impure, "example.com/dispatch")
	analysistest.Run(t, analysistest.TestData(), check.Mutate, "example.com/dispatchmutate")
}

func TestMutate(t *testing.T) {
	t.Parallel()
	analysistest.Run(t, analysistest.TestData(), check.Mutate, "example.com/mutate")
}

func TestMutateFix(t *testing.T) {
	t.Parallel()
	analysistest.RunWithSuggestedFixes(t, analysistest.TestData(), check.Mutate, "example.com/mutatefix")
}

func TestSealed(t *testing.T) {
	t.Parallel()
	analysistest.RunWithSuggestedFixes(t, analysistest.TestData(), check.Sealed, "example.com/sealed")
}

// TestTimers checks that a codec which only stores the timers of a process may lack the
// events of other streams, and that one with another use may not.
func TestTimers(t *testing.T) {
	t.Parallel()
	analysistest.Run(t, analysistest.TestData(), check.Sealed, "example.com/timers")
}

func TestExhaustive(t *testing.T) {
	t.Parallel()
	analysistest.RunWithSuggestedFixes(t, analysistest.TestData(), check.Exhaustive, "example.com/exhaustive")
}
