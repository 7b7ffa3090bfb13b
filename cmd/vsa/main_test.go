package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"pgregory.net/rapid"

	"github.com/evolvego/evolve/cmd/vsa/internal/vsatest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// binary returns the path of vsa, which is built once. It is a separate program and not
// the test binary, because vsa passes its own path to go vet.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "vsa-test-*")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", dir, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return filepath.Join(dir, "vsa"), nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// TestScript runs the transcripts: what a person types, and what vsa prints.
func TestScript(t *testing.T) { //nolint:paralleltest // testscript.Run makes its subtests parallel
	root := vsatest.Root(t)
	goenv := func(name string) string {
		out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		return name + "=" + strings.TrimSpace(string(out))
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=" + filepath.Dir(path) + string(filepath.ListSeparator) + os.Getenv("PATH"), goenv("GOCACHE"), goenv("GOMODCACHE"), goenv("GOPROXY"), goenv("GOSUMDB"), "GOFLAGS=", "EVOLVE=" + root}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update, RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, env...)
			work := "go 1.26.0\n\nuse (\n\t.\n\t" + root + "\n)\n\nreplace github.com/evolvego/evolve v0.0.0 => " + root + "\n"
			if err := os.WriteFile(filepath.Join(e.WorkDir, "go.work"), []byte(work), 0o600); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(e.WorkDir, "go.mod"), []byte("module example.com/bank\n\ngo 1.26.0\n\nrequire github.com/evolvego/evolve v0.0.0\n"), 0o600)
		},
	})
}

// program returns a command that runs vsa in dir.
func program(tb testing.TB, dir string, args ...string) *exec.Cmd {
	tb.Helper()
	path, err := binary()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(tb.Context(), path, args...)
	cmd.Dir = dir
	return cmd
}

// vsa runs vsa in dir and returns its status and output.
func vsa(tb testing.TB, dir, stdin string, args ...string) (status int, stdout, stderr string) {
	tb.Helper()
	cmd := program(tb, dir, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	_ = cmd.Run()
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// must runs vsa and fails the test unless it succeeds.
func must(tb testing.TB, dir string, args ...string) string {
	tb.Helper()
	status, stdout, stderr := vsa(tb, dir, "", args...)
	if status != 0 {
		tb.Fatalf("vsa %s: status %d\n%s%s", strings.Join(args, " "), status, stdout, stderr)
	}
	return stdout
}

// gocmd runs the go command in dir.
func gocmd(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestSteps writes a service step by step. It compares the output of each command with
// a golden diff, byte for byte. Then it writes the files, and the module must build and
// pass its tests and its validation. Steps without a command are edits that a person
// would make.
func TestSteps(t *testing.T) {
	t.Parallel()
	steps, err := filepath.Glob("testdata/steps/*.diff")
	if err != nil || len(steps) < 10 {
		t.Fatalf("testdata/steps has %d diffs, %v", len(steps), err)
	}
	dir := vsatest.Module(t, "example.com/bank")
	for _, step := range steps {
		text, err := os.ReadFile(step)
		if err != nil {
			t.Fatal(err)
		}
		first, diff, _ := strings.Cut(string(text), "\n")
		args, made := strings.CutPrefix(first, "vsa ")
		if !made {
			cmd := exec.CommandContext(t.Context(), "git", "apply", "-")
			cmd.Dir, cmd.Stdin = dir, strings.NewReader(diff)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", step, err, out)
			}
		} else {
			got := must(t, dir, append(strings.Fields(args), "--dry-run")...)
			if *update {
				if err := os.WriteFile(step, []byte(first+"\n"+got), 0o600); err != nil {
					t.Fatal(err)
				}
			} else if got != diff {
				t.Errorf("%s: vsa %s would write\n%s\nwant\n%s", step, args, got, diff)
			}
			must(t, dir, strings.Fields(args)...)
			if again := must(t, dir, strings.Fields(args)...); !strings.HasPrefix(again, "nothing to do\n") && !strings.Contains(args, "init") {
				t.Errorf("%s: the second time, vsa %s prints\n%s", step, args, again)
			}
		}
		gocmd(t, dir, "build", "./...")
		if step != steps[0] {
			if out := must(t, dir, "validate", "--strict", "--vet=false"); !strings.Contains(out, ": 0 errors, 0 warnings, 0 known") {
				t.Errorf("%s: %s", step, out)
			}
		}
	}
	gocmd(t, dir, "vet", "./...")
	gocmd(t, dir, "test", "-short", "./...")
	must(t, dir, "validate", "--strict")
	lint(t, dir)
	compare(t, dir, filepath.Join(vsatest.Root(t), "examples", "slices"))
}

// lint runs the default linters of golangci-lint in dir, where make has installed it.
func lint(t *testing.T, dir string) {
	t.Helper()
	installed, err := filepath.Glob(filepath.Join(vsatest.Root(t), ".bin", "golangci-lint-v*"))
	if err != nil || len(installed) == 0 {
		t.Logf("golangci-lint is not in .bin: run make setup; the output of vsa is not linted (%v)", err)
		return
	}
	cmd := exec.CommandContext(t.Context(), installed[len(installed)-1], "run", "--no-config", "--allow-parallel-runners", "./...")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("golangci-lint: %v\n%s", err, out)
	}
}

// compare checks that an example of the repository is the result of the steps.
func compare(t *testing.T, dir, example string) {
	t.Helper()
	read := func(root string) map[string]string {
		all := map[string]string{}
		_ = filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(name) != ".go" && filepath.Base(name) != "vsa.yaml" {
				return err
			}
			text, err := os.ReadFile(name)
			rel, _ := filepath.Rel(root, name)
			all[rel] = strings.ReplaceAll(string(text), "github.com/evolvego/evolve/examples/slices", "example.com/bank")
			return err
		})
		return all
	}
	want, got := read(dir), read(example)
	if *update {
		for name, text := range want {
			file := filepath.Join(example, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			text = strings.ReplaceAll(text, "example.com/bank", "github.com/evolvego/evolve/examples/slices")
			text = strings.ReplaceAll(text, "Command bank ", "Command slices ")
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	squeeze := func(s string) string { // its imports are grouped differently
		return strings.Join(strings.Fields(strings.ReplaceAll(s, "slices", "bank")), " ")
	}
	for name, text := range want {
		if squeeze(got[name]) != squeeze(text) {
			t.Errorf("examples/slices/%s differs from the result of vsa and the manual steps: run go test ./cmd/vsa -run TestSteps -update", name)
		}
	}
	if len(got) != len(want) {
		t.Errorf("examples/slices has %d files, want %d", len(got), len(want))
	}
}

// TestAnyFeature generates features with random names, fields and order, in both styles
// of aggregates. It checks that the result validates, and that a second run changes
// nothing. RAPID_CHECKS=1000 tries fifty.
func TestAnyFeature(t *testing.T) {
	t.Parallel()
	checks := 3
	if n, err := strconv.Atoi(os.Getenv("RAPID_CHECKS")); err == nil {
		checks = n / 20
	}
	for seed := range checks {
		f := rapid.Custom(drawFeatures).Example(seed)
		t.Run(strings.ReplaceAll(fmt.Sprint(f), " ", "_"), func(t *testing.T) {
			t.Parallel()
			f.check(t)
		})
	}
}

// features are commands for vsa, and the style of the aggregate that exists first.
type features struct {
	Switches bool
	Commands [][]string
}

func drawFeatures(t *rapid.T) features {
	verbs := []string{"open", "credit", "withdraw", "change-owner", "carry-over", "ship", "freeze", "set-limit", "mark-as-test", "move-windows", "approve", "re-open"}
	types := []string{"string", "int64", "bool", "time.Time", "[]string", "map[string]int", "float64", "string[]", "Date"}
	f := features{Switches: rapid.Bool().Draw(t, "switches")}
	for range rapid.IntRange(1, 4).Draw(t, "features") {
		args := []string{"generate", "accounts", rapid.SampledFrom(verbs).Draw(t, "verb") + "-account"}
		for n := range rapid.IntRange(0, 3).Draw(t, "fields") {
			field := "f" + string(rune('a'+n)) + ":" + rapid.SampledFrom(types).Draw(t, "type")
			if rapid.Bool().Draw(t, "required") && !strings.Contains(field, "bool") {
				field += ",required"
			}
			args = append(args, "--field", field)
		}
		f.Commands = append(f.Commands, args)
	}
	if rapid.Bool().Draw(t, "query") {
		f.Commands = append(f.Commands, []string{"generate", "accounts", "get-total", "--feature-type", "query", "--aggregate", "account", "--field", "fa:string"})
	}
	if rapid.Bool().Draw(t, "list") { // with switches, the store of the context has no transactions
		f.Commands = append(f.Commands, []string{"generate", "accounts", "list-totals", "--feature-type", "query", "--list", "--aggregate", "account", "--field", "fa:string"})
	}
	return f
}

func (f features) check(t *testing.T) {
	t.Helper()
	dir := vsatest.Module(t, "example.com/bank")
	if f.Switches {
		vsatest.Switches(t, dir)
	}
	must(t, dir, "init")
	for _, args := range f.Commands {
		must(t, dir, args...)
	}
	for _, args := range f.Commands {
		if out := must(t, dir, args...); !strings.HasPrefix(out, "nothing to do\n") {
			t.Fatalf("the second time, vsa %s prints\n%s", strings.Join(args, " "), out)
		}
	}
	must(t, dir, "validate", "--vet=false")
	gocmd(t, dir, "vet", "./...")
}

// TestRefusedPlan checks that a plan that would not compile writes nothing.
func TestRefusedPlan(t *testing.T) {
	t.Parallel()
	dir := vsatest.Module(t, "example.com/bank")
	must(t, dir, "init")
	must(t, dir, "generate", "accounts", "open-account")
	before := snapshot(t, dir)
	status, stdout, stderr := vsa(t, dir, "", "generate", "accounts", "credit-account", "--field", "amount:Money")
	if status != 1 || !strings.Contains(stderr, "nothing was written, because the result would not compile") || !strings.Contains(stderr, "undefined: Money") {
		t.Errorf("status %d\n%s%s", status, stdout, stderr)
	}
	if !slices.Equal(before, snapshot(t, dir)) {
		t.Error("something was written")
	}
}

// snapshot returns the names and texts of all files below dir.
func snapshot(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		all = append(all, name+"\n"+string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
