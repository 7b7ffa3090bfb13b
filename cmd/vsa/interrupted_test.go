package main

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/evolvego/evolve/cmd/vsa/internal/scaffold"
	"github.com/evolvego/evolve/cmd/vsa/internal/vsatest"
)

// TestInterrupted stops generate before each file that it writes, as a crash would. The
// next run must produce the same result as a run without the crash.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	dir := vsatest.Module(t, "example.com/bank")
	must(t, dir, "init")
	for _, command := range []string{
		"generate accounts open-account --field owner:string,required",
		"generate reports list-owners --feature-type query --list --on accounts.Opened --publish --field owner:string",
	} {
		before := files(t, dir)
		must(t, dir, strings.Fields(command)...)
		after := files(t, dir)
		var changes []scaffold.Change
		for _, name := range slices.Sorted(maps.Keys(after)) {
			if text, ok := before[name]; !ok {
				changes = append(changes, scaffold.Change{Path: filepath.ToSlash(name), After: []byte(after[name])})
			} else if text != after[name] {
				changes = append(changes, scaffold.Change{Path: filepath.ToSlash(name), Before: []byte(text), After: []byte(after[name])})
			}
		}
		if len(changes) < 5 {
			t.Fatalf("vsa %s changes %d files", command, len(changes))
		}
		for k := range len(changes) + 1 {
			crashed := interrupted(t, before, changes, k)
			if n, err := scaffold.Finish(crashed); err != nil || n != len(changes)-k {
				t.Fatalf("Finish after %d of %d files = %d, %v", k, len(changes), n, err)
			}
			same(t, crashed, after)
		}
		crashed := interrupted(t, before, changes, len(changes)/2)
		if _, _, stderr := vsa(t, crashed, "", strings.Fields(command)...); !strings.Contains(stderr, "that an interrupted run had left") {
			t.Errorf("vsa %s prints %q after a crash", command, stderr)
		}
		same(t, crashed, after)
	}
}

// TestInterruptedAndChanged checks that files which changed since an interrupted run
// stay as they are.
func TestInterruptedAndChanged(t *testing.T) {
	t.Parallel()
	before := map[string]string{"a.go": "package a\n", "b.go": "package b\n"}
	dir := interrupted(t, before, []scaffold.Change{
		{Path: "a.go", Before: []byte("package a\n"), After: []byte("package a // new\n")},
		{Path: "b.go", Before: []byte("package b\n"), After: []byte("package b // new\n")},
		{Path: "c.go", After: []byte("package c\n")},
	}, 0)
	write(t, filepath.Join(dir, "b.go"), "package mine\n")
	write(t, filepath.Join(dir, "c.go"), "package mine\n")
	if n, err := scaffold.Finish(dir); n != 1 || err != nil {
		t.Errorf("Finish = %d, %v", n, err)
	}
	same(t, dir, map[string]string{"a.go": "package a // new\n", "b.go": "package mine\n", "c.go": "package mine\n"})
	write(t, filepath.Join(dir, scaffold.Journal), "half a journ")
	if _, err := scaffold.Finish(dir); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("a broken journal is %v", err)
	}
}

// interrupted returns a module with the files of before, to which the first k of
// changes were made. The next change is half written.
func interrupted(t *testing.T, before map[string]string, changes []scaffold.Change, k int) (dir string) {
	t.Helper()
	dir = vsatest.Module(t, "example.com/bank")
	for name, text := range before {
		write(t, filepath.Join(dir, name), text)
	}
	if err := scaffold.Begin(dir, changes); err != nil {
		t.Fatal(err)
	}
	for _, c := range changes[:k] {
		write(t, filepath.Join(dir, c.Path), string(c.After))
	}
	if k < len(changes) {
		write(t, filepath.Join(dir, filepath.Dir(changes[k].Path), ".vsa-1234"), "half a fi")
	}
	return dir
}

// same checks that the files below dir are those of want.
func same(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	got := files(t, dir)
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if text, ok := want[name]; !ok || text != got[name] {
			t.Errorf("%s is\n%s\nwant\n%s", name, got[name], cmp.Or(text, "no such file"))
		}
	}
	if len(got) != len(want) {
		t.Errorf("there are %d files, want %d", len(got), len(want))
	}
}

// files returns the texts of all files below dir by name, except those of the module
// itself.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, file := range snapshot(t, dir) {
		name, text, _ := strings.Cut(file, "\n")
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(rel, "go.") {
			all[rel] = text
		}
	}
	return all
}

// write writes a file and its directories.
func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
