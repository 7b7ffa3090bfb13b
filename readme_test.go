package evolve_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// blocks returns the fenced blocks of README.md in a language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllSubmatch(readme, -1) {
		found = append(found, string(match[1]))
	}
	return found
}

// TestReadmeCode checks that the Go code in the README is code that runs: each block
// stands word for word in one of our tests.
func TestReadmeCode(t *testing.T) {
	t.Parallel()
	var sources strings.Builder
	for _, name := range []string{"example_test.go", "account_test.go", "decider/runner/runnerhttp/example_test.go"} {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sources.Write(source)
	}
	indent := regexp.MustCompile(`(?m)^\t+`)
	all := indent.ReplaceAllString(sources.String(), "")
	code := blocks(t, "go")
	if len(code) != 3 {
		t.Errorf("README.md has %d blocks of Go, want 3", len(code))
	}
	for _, block := range code {
		if !strings.Contains(all, indent.ReplaceAllString(block, "")) {
			t.Errorf("this code of README.md is in no test:\n%s", block)
		}
	}
}

// TestReadmeFailure runs the property of the README, which fails, and checks that the
// report is the one that the README shows.
func TestReadmeFailure(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "test", "-tags", "readme", "-run", "^TestAccount$", "-rapid.nofailfile", "-rapid.seed=2", ".").CombinedOutput()
	if err == nil {
		t.Fatalf("the property holds, but the README says that it does not:\n%s", out)
	}
	reports := blocks(t, "text")
	if len(reports) != 1 {
		t.Fatalf("README.md has %d blocks of text, want 1", len(reports))
	}
	if got, want := stable(string(out)), stable(reports[0]); !strings.Contains(got, want) {
		t.Errorf("go test says\n%s\nand README.md shows\n%s", got, want)
	}
}

// stable returns a report without what differs from run to run, and without the
// indentation.
func stable(report string) string {
	for _, differs := range []string{`\d+(\.\d+)?(ns|µs|ms|s)\b`, `history \d+, after`, `from \d+ steps?`, `\(\d+ runs\)`, `seed=\d+`, `(?m)^\s+`} {
		report = regexp.MustCompile(differs).ReplaceAllString(report, "")
	}
	return report
}
