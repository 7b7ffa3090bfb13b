package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// unoptimized code compiles in half of the time.
const unoptimized = "-gcflags=-N -l"

// tests are the tests that can notice a mutant.
type tests struct {
	settings

	w     io.Writer
	tmp   string // for binaries, notes and what the tests leave; the overlay is there too
	own   testPackage
	users []testPackage // packages that import own
	known bool          // users has been measured, and packages that cannot help are removed
}

// testPackage is a package with tests.
type testPackage struct {
	name    string // its import path
	dir     string
	binary  string
	took    time.Duration // how long the tests take without a mutant
	reaches map[int]bool  // the numbers of the mutants that the tests reach
}

// testsOf finds the tests for mutants of the package in dir, and runs the package's own
// tests once.
func testsOf(ctx context.Context, w io.Writer, dir, tmp string, mutants []mutant, s settings) (*tests, error) {
	own, users, err := packagesOf(ctx, dir)
	if err != nil {
		return nil, err
	}
	t := &tests{settings: s, w: w, tmp: tmp, own: own, users: users, known: s.alone}
	if s.alone {
		t.users = nil
	}
	t.users = slices.DeleteFunc(t.users, func(p testPackage) bool { return s.chosen != nil && !s.chosen.MatchString(p.name) })
	red, err := t.measure(ctx, &t.own, 30*time.Minute)
	if err != nil || red != "" {
		return nil, cmp.Or(err, fmt.Errorf("%s fails without any change, so it says nothing", red))
	}
	fmt.Fprintf(w, "%s: the tests take %v and reach %d of %d mutants\n", dir, t.own.took.Round(time.Second/10), len(t.own.reaches), len(mutants))
	return t, nil
}

// others returns the other packages that can notice a mutant, the fastest first.
func (t *tests) others(ctx context.Context) ([]testPackage, error) {
	if t.known {
		return t.users, nil
	}
	var fit []testPackage
	for _, p := range t.users {
		red, err := t.measure(ctx, &p, t.slow)
		if err != nil {
			return nil, err
		}
		if red != "" {
			fmt.Fprintf(t.w, "left out: %s: %s\n", p.name, red)
			continue
		}
		fit = append(fit, p)
	}
	slices.SortStableFunc(fit, func(a, b testPackage) int { return cmp.Compare(a.took, b.took) })
	t.users, t.known = fit, true
	return fit, nil
}

// measure compiles the tests of p and runs them without a mutant. It returns the name
// of a test that fails.
func (t *tests) measure(ctx context.Context, p *testPackage, limit time.Duration) (red string, err error) {
	p.binary = filepath.Join(t.tmp, strings.ReplaceAll(p.name, "/", ".")+".test")
	overlay := "-overlay=" + filepath.Join(t.tmp, "overlay.json")
	if out, err := goTool(ctx, p.dir, "test", "-c", "-vet=off", unoptimized, "-ldflags=-s -w", overlay, "-o", p.binary, "."); err != nil {
		return "", fmt.Errorf("compile the tests of %s: %w\n%s", p.name, err, out)
	}
	notes := p.binary + ".notes"
	start := time.Now() //nolint:forbidigo // only to measure how long tests take
	red, err = t.run(ctx, *p, limit, "MUTANT_NOTES="+notes)
	p.took = time.Since(start)
	if err != nil || red != "" {
		return red, err
	}
	text, err := os.ReadFile(notes) //nolint:gosec // ours
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	p.reaches = map[int]bool{}
	for line := range strings.FieldsSeq(string(text)) {
		number, err := strconv.Atoi(line)
		if err != nil {
			return "", fmt.Errorf("what the tests of %s reach: %w", p.name, err)
		}
		p.reaches[number] = true
	}
	return "", nil
}

// try returns the name of the test that notices m, or how m is noticed otherwise. It
// returns "" if m survives.
func (t *tests) try(ctx context.Context, m mutant) (by string, err error) {
	if by, err = t.noticed(ctx, t.own, m); by != "" || err != nil {
		return by, err
	}
	users, err := t.others(ctx)
	for _, p := range users {
		if by, err = t.noticed(ctx, p, m); by != "" || err != nil {
			return by, err
		}
	}
	return "", err
}

// noticed is try for the tests of one package. They may take much longer than without a
// mutant, because the machine may be busy.
func (t *tests) noticed(ctx context.Context, p testPackage, m mutant) (by string, err error) {
	if !p.reaches[m.number] {
		return "", nil
	}
	return t.run(ctx, p, time.Minute+5*p.took, "MUTANT="+strconv.Itoa(m.number))
}

var (
	failed  = regexp.MustCompile(`^\s*--- FAIL: (\S+)`)
	crashed = regexp.MustCompile(`^(panic|fatal error): .*`)
)

// run runs the tests of p until the first failure and returns the name of the failed
// test, or "" if all pass.
func (t *tests) run(whole context.Context, p testPackage, limit time.Duration, environment string) (red string, err error) {
	ctx, cancel := context.WithTimeout(whole, limit)
	defer cancel()
	args := []string{"-test.v", "-test.timeout=0"}
	if t.short {
		args = append(args, "-test.short")
	}
	if t.skip != "" {
		args = append(args, "-test.skip="+t.skip)
	}
	cmd := exec.CommandContext(ctx, p.binary, args...) //nolint:gosec // compiled above
	cmd.Dir, cmd.Env, cmd.WaitDelay = p.dir, append(os.Environ(), environment, "TMPDIR="+t.tmp, "GOTMPDIR="), time.Second
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	_ = w.Close() // the tests have their own copy
	if err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { _ = r.Close() }) // even if a child of the tests keeps the other end open
	defer stop()
	red = firstFailure(r, path.Base(p.name))
	late := ctx.Err() != nil
	if red != "" {
		cancel() // one failure is enough
	}
	switch err := cmd.Wait(); {
	case whole.Err() != nil:
		return "", whole.Err()
	case red != "" || err == nil:
		return red, nil
	case late:
		return fmt.Sprintf("%s, which takes longer than %v", path.Base(p.name), limit.Round(time.Second)), nil
	default:
		return path.Base(p.name) + ", " + err.Error(), nil
	}
}

// firstFailure reads the output of tests, and returns the first failure in it.
func firstFailure(r io.Reader, name string) string {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		if m := failed.FindStringSubmatch(lines.Text()); m != nil {
			return name + "." + m[1]
		}
		if crashed.MatchString(lines.Text()) {
			return name + ", " + lines.Text()
		}
	}
	return ""
}

// packagesOf returns the package in dir, and those of its module that import it and
// have tests.
func packagesOf(ctx context.Context, dir string) (own testPackage, users []testPackage, err error) {
	list, err := goList(ctx, dir, ".")
	if err != nil {
		return own, nil, err
	}
	own = testPackage{name: list[0].ImportPath, dir: list[0].Dir}
	all, err := goList(ctx, dir, list[0].Module.Path+"/...")
	for _, p := range all {
		tests := slices.Concat(p.TestImports, p.XTestImports)
		if p.ImportPath != own.name && len(tests) > 0 && slices.Contains(slices.Concat(p.Imports, tests), own.name) {
			users = append(users, testPackage{name: p.ImportPath, dir: p.Dir})
		}
	}
	return own, users, err
}

// listed is what go list reports about a package.
type listed struct {
	ImportPath, Dir                    string
	Module                             struct{ Path string }
	Imports, TestImports, XTestImports []string
}

func goList(ctx context.Context, dir, pattern string) (all []listed, err error) {
	out, err := goTool(ctx, dir, "list", "-json=ImportPath,Dir,Module,Imports,TestImports,XTestImports", pattern)
	if err != nil {
		return nil, fmt.Errorf("go list %s in %s: %w\n%s", pattern, dir, err, out)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p listed
		if err := d.Decode(&p); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// goTool runs the go command in dir.
func goTool(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // on our own code
	cmd.Dir = dir
	return cmd.CombinedOutput()
}
