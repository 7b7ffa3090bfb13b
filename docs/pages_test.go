// Package docs_test holds the pages of the repository to what they show: their code is
// code that is compiled and run, and their links lead somewhere.
package docs_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = ".."

// pages returns the text of every Markdown page of the repository, by its path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := texts(t, ".md")
	if found[filepath.Join(root, "README.md")] == "" {
		t.Fatal("README.md was not found")
	}
	return found
}

// texts returns the files of the repository whose names end in ext, by their paths.
func texts(t *testing.T, ext string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && strings.HasPrefix(d.Name(), "."), d.Name() == "testdata":
			return fs.SkipDir
		case filepath.Ext(path) == ext:
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			found[path] = string(text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// blocks returns the fenced blocks of a page in a language.
func blocks(page, language string) []string {
	var found []string
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		found = append(found, match[1])
	}
	return found
}

// flat returns code without its indentation, so that a page can show the inside of a
// function at the margin. The module of a reader stands for that of the tutorial, so
// imports are sorted again. Comments for linters are left out.
func flat(code string) string {
	code = strings.ReplaceAll(code, "example.com/orders/", "github.com/evolvego/evolve/examples/tutorial/")
	code = regexp.MustCompile(`(?m)(^\t"github.com/.*\n)+`).ReplaceAllStringFunc(code, func(imports string) string {
		return strings.Join(slices.Sorted(strings.Lines(imports)), "")
	})
	return regexp.MustCompile(`(?m)^\t+| //nolint:.*$`).ReplaceAllString(code, "")
}

// TestCode checks that each block of Go in a page stands word for word in a Go file of
// the repository, where the compiler and the tests see it.
func TestCode(t *testing.T) {
	t.Parallel()
	var sources strings.Builder
	for _, source := range texts(t, ".go") {
		sources.WriteString(flat(source))
	}
	all, count := sources.String(), 0
	for path, page := range pages(t) {
		for _, block := range blocks(page, "go") {
			count++
			if !strings.Contains(all, flat(block)) {
				t.Errorf("%s shows code that is in no Go file:\n%s", path, block)
			}
		}
	}
	if count < 10 {
		t.Errorf("found %d blocks of Go in all pages, want 10 or more: are the pages read?", count)
	}
}

// TestTutorial checks that somebody who copies the code of the tutorial, block after block,
// has all of its program.
func TestTutorial(t *testing.T) {
	t.Parallel()
	files, last := map[string]string{}, ""
	names := []string{"order/order.go", "order/order_test.go", "open.go", "handlers.go", "main.go"}
	for _, block := range blocks(pages(t)[filepath.Join(root, "docs", "tutorial.md")], "go") {
		if strings.HasPrefix(block, "package ") {
			last, names = names[0], names[1:]
		}
		if !strings.HasPrefix(block, "\t") { // else it is a part of a function
			files[last] += "\n" + flat(block)
		}
	}
	for name, got := range files {
		text, err := os.ReadFile(filepath.Join(root, "examples", "tutorial", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		_, want, _ := strings.Cut("\n"+string(text), "\npackage ")
		want = "\npackage " + flat(want)
		if strings.HasSuffix(name, "_test.go") && strings.HasPrefix(want, got) { // there are more tests
			continue
		}
		if got != want {
			t.Errorf("the blocks of the tutorial do not make the whole of %s:\n%s\nwant\n%s", name, got, want)
		}
	}
	if len(names) > 0 {
		t.Errorf("the tutorial does not show %v", names)
	}
}

// TestLinks checks that each link from a page to a file of the repository leads to one.
func TestLinks(t *testing.T) {
	t.Parallel()
	count := 0
	fenced := regexp.MustCompile("(?ms)^```.*?^```$|`[^`\n]*`")
	for path, page := range pages(t) {
		for _, match := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(fenced.ReplaceAllString(page, "``"), -1) {
			target, _, _ := strings.Cut(match[1], "#")
			if target == "" || strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			count++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), target)); err != nil {
				t.Errorf("%s links to %s: %v", path, match[1], err)
			}
		}
	}
	if count < 20 {
		t.Errorf("found %d links, want 20 or more: are the pages read?", count)
	}
}

// TestReadmeProgram runs the program of the README and compares what it prints.
func TestReadmeProgram(t *testing.T) {
	t.Parallel()
	readme := pages(t)[filepath.Join(root, "README.md")]
	program, err := os.ReadFile(filepath.Join(root, "examples", "quickstart", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	if _, whole, _ := strings.Cut(string(program), "\npackage main"); blocks(readme, "go")[0] != "package main"+whole {
		t.Error("the first program of README.md is not the whole of examples/quickstart/main.go")
	}
	out, err := exec.CommandContext(t.Context(), "go", "run", root+"/examples/quickstart").CombinedOutput()
	if want := blocks(readme, "text")[0]; err != nil || string(out) != want {
		t.Errorf("the program prints\n%s(%v), and README.md says\n%s", out, err, want)
	}
}

// TestReadmeFailure runs the test of the README, which fails, and checks that the report
// is the one that the README shows.
func TestReadmeFailure(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-tags", "readme", "-run", "^TestAccount$",
		root+"/examples/quickstart", "-rapid.nofailfile", "-rapid.seed=2")
	cmd.Env = append(os.Environ(), "EVOLVE_ARTIFACTS="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("the test passes, but README.md says that it fails:\n%s", out)
	}
	reports := blocks(pages(t)[filepath.Join(root, "README.md")], "text")
	if got, want := stable(string(out)), stable(reports[1]); !strings.Contains(got, want) {
		t.Errorf("go test says\n%s\nand README.md shows\n%s", got, want)
	}
}

// stable returns a report without what differs from run to run, and without its
// indentation.
func stable(report string) string {
	for _, differs := range []string{`\d+(\.\d+)?(ns|µs|ms|s)\b`, `history \d+, after`, `from \d+ steps?`, `\(\d+ runs\)`, `seed=\d+`, `(?m)^\s+`} {
		report = regexp.MustCompile(differs).ReplaceAllString(report, "")
	}
	return report
}

// TestPerformance checks that the page about speed shows the results of the last comparison that was written down, and
// no others.
func TestPerformance(t *testing.T) {
	t.Parallel()
	results, err := os.ReadFile(filepath.Join(root, "bench", "peers", "results.md"))
	if err != nil {
		t.Fatal(err)
	}
	const begins, ends = "<!-- results: make bench-peers WRITE=1 -->\n", "<!-- end of results -->\n"
	page := pages(t)[filepath.Join(root, "docs", "performance.md")]
	_, rest, _ := strings.Cut(page, begins)
	if shown, _, found := strings.Cut(rest, ends); !found || shown != "\n"+string(results)+"\n" {
		t.Errorf("docs/performance.md does not show bench/peers/results.md between %q and %q: make bench-peers WRITE=1 writes both", begins, ends)
	}
	if !strings.Contains(string(results), "\n| replay-10k |") {
		t.Error("bench/peers/results.md has no tables")
	}
}
