// Command release makes releases of the modules of this repository, and proves beforehand
// that they work for a stranger, who has nothing but their names.
//
//	release stranger [-version V] [-update]   get, build and install every module as V, from empty directories
//	release proxy [-version V] DIR            only write that proxy into DIR, to try it by hand
//	release check -version V [-update]        what must hold before a release: all is committed, licences,
//	                                          vulnerabilities, exported names, and stranger
//	release write -version V                  one commit that says V everywhere, and a tag for each module
//	release docs                              write docs/cli.md and llms.txt; documented: check that they are up to date
//
// All modules have one version, and all tags of a version are on one commit: a nested
// go.mod requires its siblings at the version that it has itself, and go.work replaces
// that version with the tree. Go.sum says nothing about siblings.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

const root = "github.com/evolvego/evolve"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("say stranger, proxy, check, write, docs or documented")
	}
	f := flag.NewFlagSet(args[0], flag.ExitOnError)
	version := f.String("version", "v0.0.0-ci", "the `version`, such as v0.1.0")
	update := f.Bool("update", false, "write down licences and what each go get adds, instead of comparing them")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	if !semver.IsValid(*version) || semver.Canonical(*version) != *version {
		return fmt.Errorf("%q is not a version such as v0.1.0", *version)
	}
	tree, err := output(".", nil, "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	switch args[0] {
	case "stranger":
		return stranger(tree, *version, *update)
	case "proxy":
		if f.NArg() != 1 {
			return errors.New("proxy: name the directory to write")
		}
		return proxy(tree, f.Arg(0), *version)
	case "check":
		return check(tree, *version, *update)
	case "docs":
		return docs(tree, false)
	case "documented":
		return docs(tree, true)
	case "write":
		return write(tree, *version)
	}
	return fmt.Errorf("unknown command %q", args[0])
}

// part is a module of the repository.
type part struct {
	path, dir string // dir is below the tree, "" for the root
}

// parts returns the modules of tree that are released.
func parts(tree string) ([]part, error) {
	files, err := output(tree, nil, "git", "ls-files", "*go.mod")
	if err != nil {
		return nil, err
	}
	var all []part
	for file := range strings.Lines(files) {
		dir := filepath.Dir(strings.TrimSpace(file))
		if strings.HasPrefix(dir+"/", "bench/") || strings.HasPrefix(dir, ".ci") || strings.Contains(dir, "testdata") {
			continue
		}
		p := part{root + "/" + dir, dir}
		if dir == "." {
			p = part{root, ""}
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b part) int { return strings.Compare(a.path, b.path) })
	return all, nil
}

// tag returns the tag of p at version.
func (p part) tag(version string) string {
	if p.dir == "" {
		return version
	}
	return p.dir + "/" + version
}

var (
	required = regexp.MustCompile(`(?m)^((?:require )?\s*` + regexp.QuoteMeta(root) + `(?:/\S+)?) v\S+`)
	replaced = regexp.MustCompile(`(?m)^(\s*` + regexp.QuoteMeta(root) + `(?:/\S+)?) v\S+ =>`)
)

// rewrite makes every module of tree require its siblings at version.
func rewrite(tree, version string) error {
	files, err := output(tree, nil, "git", "ls-files", "*go.mod")
	if err != nil {
		return err
	}
	for file := range strings.Lines(files) {
		name := filepath.Join(tree, strings.TrimSpace(file))
		if err := edit(name, func(text string) string { return required.ReplaceAllString(text, "$1 "+version) }); err != nil {
			return err
		}
	}
	return edit(filepath.Join(tree, "go.work"), func(text string) string { return replaced.ReplaceAllString(text, "$1 "+version+" =>") })
}

// edit rewrites a file.
func edit(name string, change func(string) string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return os.WriteFile(name, []byte(change(string(text))), 0o644) //nolint:gosec // the mode that git uses
}

// command runs a program in dir, with env added to the environment. It shows the output
// only if the program fails.
func command(dir string, env []string, name string, args ...string) error {
	_, err := output(dir, env, name, args...)
	return err
}

// output returns the output of a program.
func output(dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s in %s: %w\n%s%s", name, strings.Join(args, " "), dir, err, out, &stderr)
	}
	return strings.TrimSpace(string(out)), nil
}

// escaped returns the path of a file in the module proxy.
func escaped(path string) (string, error) {
	return module.EscapePath(path)
}
