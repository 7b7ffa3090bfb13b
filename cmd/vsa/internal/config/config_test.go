package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/cmd/vsa/internal/config"
)

func read(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), config.FileName)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Read(file)
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing\n", "version: 2\n", "slices:\n  query: {}\n"} {
		got, err := read(t, text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		want := config.Default()
		want.File, want.Dir = got.File, got.Dir
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read as %+v, want the defaults %+v", text, got, want)
		}
	}
}

func TestWhole(t *testing.T) {
	t.Parallel()
	got, err := read(t, `version: 2
root: internal/contexts
contexts:
  billing: {depends_on: [accounts]}
  accounts: {depends_on: []}
validation: {require_tests: false, max_nesting_depth: 5, exclude_from_isolation: [a/...]}
slices: {query: {max_lines: 7}}
rules: {VSA011: "off"}
exceptions:
  - {rule: VSA031, slice: open-account, budget: 2, issue: "#7"}
generate: {http: false}
`)
	if err != nil {
		t.Fatal(err)
	}
	if *got.Contexts["billing"].DependsOn == nil || len(*got.Contexts["accounts"].DependsOn) != 0 {
		t.Errorf("contexts = %+v", got.Contexts)
	}
	if got.Slices.Query.MaxLines != 7 || got.Slices.Command.MaxLines != 50 {
		t.Errorf("slices = %+v, want 7 lines for a query and the default of 50 for a command", got.Slices)
	}
	if e := got.Exceptions[0]; e.Line != 10 || e.Budget != 2 {
		t.Errorf("exception = %+v, want line 10", e)
	}
	if got.Generate != (config.Generate{HTTP: false, Tests: true}) || got.Validation.RequireTests || got.Line("rules", "VSA011") != 8 {
		t.Errorf("read as %+v", got)
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"verson: 2\n":                                  `vsa.yaml:1: there is no key "verson": did you mean "version"?`,
		"version: 2\ndecorators: {}\n":                 `vsa.yaml:2: there is no key "decorators": vsa explain config lists them`,
		"validation:\n  require_test: true\n":          `vsa.yaml:2: there is no key "validation.require_test": did you mean "require_tests"?`,
		"contexts:\n  a:\n    depend_on: []\n":         `vsa.yaml:3: there is no key "contexts.a.depend_on": did you mean "depends_on"?`,
		"exceptions:\n  - {rul: VSA001}\n":             `vsa.yaml:2: there is no key "exceptions.rul": did you mean "rule"?`,
		"version: 3\n":                                 "vsa.yaml:1: version is 3, want 2",
		"language: python\n":                           `vsa.yaml:1: language is "python", but this vsa supports only go`,
		"root: ../x\n":                                 `vsa.yaml:1: root is "../x", want a directory below the one of vsa.yaml`,
		"rules: {VSA001: no}\n":                        "rule VSA001",
		"exceptions:\n  - {rule: VSA001, slice: a}\n":  "vsa.yaml:2: an exception needs a budget of 1 or more",
		"exceptions:\n  - {rule: VSA001, budget: 1}\n": "vsa.yaml:2: an exception needs either a slice or a file",
		"exceptions:\n  - {slice: a, budget: 1}\n":     "vsa.yaml:2: an exception needs a rule",
		"slices: {saga: {max_lines: 1}}\n":             `there is no key "slices.saga"`,
		"version: [\n":                                 "vsa.yaml: line",
		"version: two\n":                               "cannot unmarshal",
	} {
		_, err := read(t, text)
		var mistake *config.Error
		if !errors.As(err, &mistake) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want a *config.Error with %q", text, err, want)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inner := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(inner, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Find(inner, ""); !errors.Is(err, config.ErrNotFound) {
		t.Errorf("Find without a file = %v, want ErrNotFound", err)
	}
	if err := os.WriteFile(filepath.Join(dir, config.FileName), []byte("root: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := config.Find(inner, ""); err != nil || got.Root != "x" || got.Dir != dir {
		t.Errorf("Find from below = %+v, %v, want the file in %s", got, err, dir)
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-z]{0,8}`)
		a, b, c := word.Draw(t, "a"), word.Draw(t, "b"), word.Draw(t, "c")
		switch ab := config.Distance(a, b); {
		case ab != config.Distance(b, a):
			t.Errorf("the distance of %q and %q depends on their order", a, b)
		case (ab == 0) != (a == b):
			t.Errorf("the distance of %q and %q is %d", a, b, ab)
		case ab > config.Distance(a, c)+config.Distance(c, b):
			t.Errorf("%q is nearer to %q by way of %q", a, b, c)
		}
	})
}

// FuzzRead checks that no text makes Read panic.
func FuzzRead(f *testing.F) {
	f.Add("version: 2\nexceptions:\n  - {rule: VSA001, slice: a, budget: 1}\n")
	f.Add("contexts: &a\n  b: *a\n")
	f.Add("exceptions: {}\nslices: []\n")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := read(t, text); err == nil && c.Root == "" {
			t.Errorf("%q is accepted with no root", text)
		}
	})
}
