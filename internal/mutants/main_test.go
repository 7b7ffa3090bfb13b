package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTry checks, on a package of its own, that what a test notices is killed, and what
// none does survives.
func TestTry(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, code := range map[string]string{
		"go.mod": "module example.com/m\n\ngo 1.26.0\n",
		"m.go": "package m\n\nfunc Tested(a int) bool { return a < 3 }\n\n" +
			"func Untested(a int) bool { return a > 10 }\n",
		"m_test.go": "package m\n\nimport \"testing\"\n\nfunc TestTested(t *testing.T) {\n" +
			"\tif Tested(3) || !Tested(2) {\n\t\tt.Fatal(\"wrong\")\n\t}\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("all", func(t *testing.T) {
		var out strings.Builder
		survived, err := try(t.Context(), &out, dir, 100, 1, time.Minute)
		if err != nil || survived != 2 {
			t.Fatalf("%d survived, want 2: %v\n%s", survived, err, out.String())
		}
		for _, want := range []string{
			"killed    " + filepath.Join(dir, "m.go") + ":3  < becomes <=", ":3  3 becomes 4",
			"SURVIVED  " + filepath.Join(dir, "m.go") + ":5  > becomes >=", "2 of 4 mutants survived",
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q is missing in\n%s", want, out.String())
			}
		}
	})
}
