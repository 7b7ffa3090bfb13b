package evolve_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTestingCode checks that the Go code in docs/testing.md is code that runs: each
// block stands word for word in a test of props.
func TestTestingCode(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("docs", "testing.md"))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join("props", "testing_doc_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	indent := regexp.MustCompile(`(?m)^\t+`)
	all := indent.ReplaceAllString(string(source), "")
	code := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllSubmatch(page, -1)
	if len(code) < 8 {
		t.Errorf("docs/testing.md has %d blocks of Go, want 8 or more", len(code))
	}
	for _, block := range code {
		if !strings.Contains(all, indent.ReplaceAllString(string(block[1]), "")) {
			t.Errorf("this code of docs/testing.md is in no test:\n%s", block[1])
		}
	}
}
