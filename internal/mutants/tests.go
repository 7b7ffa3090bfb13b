package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/format"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// tests are those that can notice a mutant.
type tests struct {
	settings

	w     io.Writer
	tmp   string // a directory for binaries, overlays and profiles
	own   testPackage
	users []testPackage // that import own
	known bool          // users have been run without a mutant, and those that are of no use left out
}

// testPackage is a package with tests.
type testPackage struct {
	name string // its import path
	dir  string
	took time.Duration // how long the tests take when nothing is wrong
	runs *profile      // the lines of the mutated package that the tests run; nil: not known
}

// testsOf finds the tests for mutants of the package in dir, and runs its own once.
func testsOf(ctx context.Context, w io.Writer, dir, tmp string, s settings) (*tests, error) {
	own, users, err := packagesOf(ctx, dir)
	if err != nil {
		return nil, err
	}
	t := &tests{settings: s, w: w, tmp: tmp, own: own, users: users, known: s.alone}
	if s.alone {
		t.users = nil
	}
	took, red, err := t.measure(ctx, own, "", 30*time.Minute)
	if err != nil || red != "" {
		return nil, cmp.Or(err, fmt.Errorf("%s fails without any change, so it says nothing", red))
	}
	t.own.took = took
	return t, nil
}

// others returns the other packages that can notice a mutant, the quickest first.
func (t *tests) others(ctx context.Context) ([]testPackage, error) {
	if t.known {
		return t.users, nil
	}
	var fit []testPackage
	for _, p := range t.users {
		took, red, err := t.measure(ctx, p, t.own.name, t.slow)
		if err != nil {
			return nil, err
		}
		if red != "" {
			fmt.Fprintf(t.w, "left out: %s: %s\n", p.name, red)
			continue
		}
		p.took = took
		if p.runs, err = readProfile(filepath.Join(t.tmp, "profile")); err != nil {
			return nil, err
		}
		fit = append(fit, p)
	}
	slices.SortStableFunc(fit, func(a, b testPackage) int { return cmp.Compare(a.took, b.took) })
	t.users, t.known = fit, true
	return fit, nil
}

// measure runs the tests of p on code that is not changed. It records which lines of the
// package named covered they run, if that is not empty.
func (t *tests) measure(ctx context.Context, p testPackage, covered string, limit time.Duration) (time.Duration, string, error) {
	build, run := []string(nil), []string(nil)
	if covered != "" {
		build = []string{"-cover", "-coverpkg=" + covered}
		run = []string{"-test.coverprofile=" + filepath.Join(t.tmp, "profile")}
	}
	if out, err := t.compile(ctx, p, build...); err != nil {
		return 0, "", fmt.Errorf("compile the tests of %s: %w\n%s", p.name, err, out)
	}
	start := time.Now() //nolint:forbidigo // how long tests take
	red, err := t.run(ctx, p, limit, run...)
	return time.Since(start), red, err
}

// try tells what becomes of m.
func (t *tests) try(ctx context.Context, m mutant) (fate, error) {
	line := m.set.Position(m.at).Line
	m.make()
	var changed bytes.Buffer
	if err := format.Node(&changed, m.set, m.tree); err != nil {
		return fate{invalid: true}, nil //nolint:nilerr // there is no such program
	}
	file, overlay := filepath.Join(t.tmp, "changed.go"), filepath.Join(t.tmp, "overlay.json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{m.file: file}})
	if err != nil {
		return fate{}, err
	}
	if err := errors.Join(os.WriteFile(file, changed.Bytes(), 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		return fate{}, err
	}
	if _, err := t.compile(ctx, t.own, "-overlay="+overlay); err != nil {
		return fate{invalid: true}, nil //nolint:nilerr // so are many
	}
	by, err := t.run(ctx, t.own, limit(t.own))
	if by != "" || err != nil {
		return fate{by: by}, err
	}
	users, err := t.others(ctx)
	if err != nil {
		return fate{}, err
	}
	for _, p := range users {
		if !p.runs.has(filepath.Base(m.file), line) {
			continue
		}
		if out, err := t.compile(ctx, p, "-overlay="+overlay); err != nil {
			return fate{}, fmt.Errorf("compile the tests of %s: %w\n%s", p.name, err, out)
		}
		if by, err := t.run(ctx, p, limit(p)); by != "" || err != nil {
			return fate{by: by}, err
		}
	}
	return fate{}, nil
}

// limit returns how long the tests of p may take: much longer than they did, because the
// machine may be busy.
func limit(p testPackage) time.Duration { return time.Minute + 5*p.took }

// compile makes the test binary of p, without optimization, which takes half of the time.
func (t *tests) compile(ctx context.Context, p testPackage, flags ...string) (out []byte, err error) {
	args := append([]string{"test", "-c", "-gcflags=-N -l", "-ldflags=-s -w", "-o", filepath.Join(t.tmp, "tests")}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, ".")...) //nolint:gosec // on our own code
	cmd.Dir = p.dir
	return cmd.CombinedOutput()
}

var (
	failed  = regexp.MustCompile(`^\s*--- FAIL: (\S+)`)
	crashed = regexp.MustCompile(`^(panic|fatal error): .*`)
)

// run runs the tests of p until the first of them fails, and names it. It returns an
// empty name if all pass.
func (t *tests) run(ctx context.Context, p testPackage, limit time.Duration, flags ...string) (red string, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	args := append([]string{"-test.v", "-test.timeout=0"}, flags...)
	if t.short {
		args = append(args, "-test.short")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(t.tmp, "tests"), args...) //nolint:gosec // compiled above
	cmd.Dir, cmd.WaitDelay = p.dir, time.Second
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	_ = w.Close() // the tests have it
	if err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { _ = r.Close() }) // also if a child of the tests holds the other end
	defer stop()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<24)
	for red == "" && lines.Scan() {
		if m := failed.FindStringSubmatch(lines.Text()); m != nil {
			red = path.Base(p.name) + "." + m[1]
		} else if crashed.MatchString(lines.Text()) {
			red = path.Base(p.name) + ", " + lines.Text()
		}
	}
	late := ctx.Err() != nil
	if red != "" {
		cancel() // one failure says enough
	}
	switch err := cmd.Wait(); {
	case red != "" || err == nil:
		return red, nil
	case late:
		return fmt.Sprintf("%s, which takes longer than %v", path.Base(p.name), limit.Round(time.Second)), nil
	default:
		return path.Base(p.name) + ", " + err.Error(), nil
	}
}

// packagesOf returns the package in dir, and those of its module that import it and have
// tests.
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

// listed is what go list tells of a package.
type listed struct {
	ImportPath, Dir                    string
	Module                             struct{ Path string }
	Imports, TestImports, XTestImports []string
}

func goList(ctx context.Context, dir, pattern string) (all []listed, err error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-json=ImportPath,Dir,Module,Imports,TestImports,XTestImports", pattern) //nolint:gosec // on our own code
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s in %s: %w", pattern, dir, err)
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

// profile holds the lines that tests run: of each block of statements, by the name of
// its file, the first and last line and whether it runs.
type profile map[string][]block

type block struct {
	from, to int
	runs     bool
}

func readProfile(name string) (*profile, error) {
	data, err := os.ReadFile(name) //nolint:gosec // written above
	if err != nil {
		return nil, err
	}
	p := profile{}
	for line := range strings.Lines(string(data)) {
		file, rest, ok := strings.Cut(line, ".go:")
		if !ok {
			continue // the mode
		}
		var b block
		var c1, c2, n, count int
		if _, err := fmt.Sscanf(rest, "%d.%d,%d.%d %d %d", &b.from, &c1, &b.to, &c2, &n, &count); err != nil {
			return nil, fmt.Errorf("profile line %q: %w", line, err)
		}
		b.runs = count > 0
		file = path.Base(file) + ".go"
		p[file] = append(p[file], b)
	}
	return &p, nil
}

// has tells whether tests run a line, as far as is known.
func (p *profile) has(file string, line int) bool {
	if p == nil {
		return true
	}
	known := false
	for _, b := range (*p)[file] {
		if b.from <= line && line <= b.to {
			if b.runs {
				return true
			}
			known = true
		}
	}
	return !known
}
