package check_test

import (
	"testing"

	"golang.org/x/tools/go/analysis/analysistest"

	"github.com/evolvego/evolve/cmd/decidervet/internal/check"
)

func TestImpure(t *testing.T) {
	t.Parallel()
	analysistest.Run(t, analysistest.TestData(), check.Impure, "example.com/helper", "example.com/impure")
}

func TestMutate(t *testing.T) {
	t.Parallel()
	analysistest.Run(t, analysistest.TestData(), check.Mutate, "example.com/mutate")
	analysistest.RunWithSuggestedFixes(t, analysistest.TestData(), check.Mutate, "example.com/mutatefix")
}
