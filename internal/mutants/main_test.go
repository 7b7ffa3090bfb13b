package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// module writes a package m, and a package user that tests a part of it.
func module(t *testing.T, mTest string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, code := range map[string]string{
		"go.mod": "module example.com/m\n\ngo 1.26.0\n",
		"m.go": "package m\n\nfunc Tested(a int) bool { return a < 3 }\n\n" +
			"func Untested(a int) bool { return a > 10 }\n\n" +
			"func Used(a int) bool { return a == a*a }\n",
		"m_test.go": "package m\n\nimport \"testing\"\n\nfunc TestTested(t *testing.T) {\n" + mTest + "}\n",
		"user/user_test.go": "package user\n\nimport (\n\t\"testing\"\n\n\t\"example.com/m\"\n)\n\nfunc TestUser(t *testing.T) {\n" +
			"\tt.Run(\"one\", func(t *testing.T) {\n\t\tif m.Used(2) {\n\t\t\tselect {}\n\t\t}\n\t})\n}\n",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestTry checks that a mutant is killed if a test notices it, even a test of another
// package, and that all others survive.
func TestTry(t *testing.T) {
	t.Parallel()
	dir := module(t, "\tif Tested(3) || !Tested(2) {\n\t\tt.Fatal(\"wrong\")\n\t}\n")
	var out strings.Builder
	survived, err := try(t.Context(), &out, dir, settings{n: 100, seed: 1, slow: time.Minute})
	if err != nil || survived != 1 {
		t.Fatalf("%d survived, want 1: %v\n%s", survived, err, out.String())
	}
	for _, want := range []string{
		"and reach 1 of 3 mutants\n",
		"killed    m.go:3  `a < 3`: < becomes <=  by m.TestTested\n",
		"SURVIVED  m.go:5  `a > 10`: > becomes >=\n",
		"killed    m.go:7  `a == a*a`: == becomes !=  by user, fatal error: all goroutines are asleep - deadlock!\n",
		"1 of 3 mutants survived",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

// TestTry_users checks that only the chosen packages are asked.
func TestTry_users(t *testing.T) {
	t.Parallel()
	dir := module(t, "\tif Tested(3) || !Tested(2) {\n\t\tt.Fatal(\"wrong\")\n\t}\n")
	for pattern, want := range map[string]int{"/user$": 1, "/none$": 2} {
		s := settings{n: 100, seed: 1, slow: time.Minute, chosen: regexp.MustCompile(pattern)}
		if survived, err := try(t.Context(), io.Discard, dir, s); err != nil || survived != want {
			t.Errorf("with %s %d survived, want %d: %v", pattern, survived, want, err)
		}
	}
}

// TestLeavesNothing checks that the files which killed tests leave are removed.
func TestLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	dir := module(t, "\tt.TempDir()\n\tif Tested(3) || !Tested(2) {\n\t\tselect {}\n\t}\n")
	t.Setenv("TMPDIR", tmp)
	t.Setenv("GOTMPDIR", tmp) // which t.TempDir prefers
	if survived, err := try(t.Context(), io.Discard, dir, settings{n: 100, seed: 1, alone: true}); err != nil || survived != 2 {
		t.Fatalf("%d survived, want 2: %v", survived, err)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}

// TestChanges checks each kind of change, with tests that notice everything.
func TestChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, code := range map[string]string{
		"go.mod": "module example.com/m\n\ngo 1.26.0\n",
		"m.go": `package m

import "errors"

// Sum adds the elements of all up to most, except 3.
func Sum(all []int, most int) (sum int, err error) {
	defer func() { sum *= 2 }()
	for _, n := range all {
		if n == 3 || n > most {
			continue
		}
		sum += n
	}
	if err := check(sum); err != nil {
		return 0, err
	}
	switch {
	case sum == 4:
		sum++
	}
	return sum, nil
}

var calls int

func count() {
	calls++
}

type tb struct{}

func (tb) Helper() {}

func check(sum int) error {
	tb{}.Helper() // no mutant: it makes no difference
	if sum > 6 {
		return errors.New("too much")
	}
	return nil
}
`,
		"m_test.go": `package m

import "testing"

func TestSum(t *testing.T) {
	for _, tt := range []struct{ most, want int }{{0, 0}, {1, 2}, {2, 6}, {3, 6}, {4, 0}} {
		sum, err := Sum([]int{1, 2, 3, 4}, tt.most)
		if sum != tt.want || (err != nil) != (tt.most == 4) {
			t.Fatal(tt, sum, err)
		}
	}
	if sum, _ := Sum([]int{4}, 4); sum != 10 {
		t.Fatal(sum)
	}
	if sum, err := Sum([]int{2, 4}, 4); sum != 12 || err != nil {
		t.Fatal(sum, err)
	}
	if count(); calls != 1 {
		t.Fatal(calls)
	}
}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	survived, err := try(t.Context(), &out, dir, settings{n: 100, seed: 1, alone: true})
	if err != nil || survived != 0 || !strings.Contains(out.String(), "0 of 21 mutants survived") {
		t.Fatalf("%d survived, want none of 21: %v\n%s", survived, err, out.String())
	}
}

// TestTry_red checks that nothing is concluded from tests that fail without any change.
func TestTry_red(t *testing.T) {
	t.Parallel()
	dir := module(t, "\tt.Fatal(\"always\")\n")
	_, err := try(context.WithoutCancel(t.Context()), t.Output(), dir, settings{n: 1, alone: true})
	if err == nil || !strings.Contains(err.Error(), "m.TestTested fails without any change") {
		t.Fatalf("got %v, want the name of the test", err)
	}
}
