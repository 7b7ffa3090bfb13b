package main_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// run runs a command in dir. It returns the output, and whether the command succeeded.
func run(t *testing.T, dir string, env []string, name string, args ...string) (string, bool) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// tool builds decidervet. It returns its path and the directory of the repository.
func tool(t *testing.T) (path, root string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "decidervet")
	if out, ok := run(t, ".", nil, "go", "build", "-o", path, "."); !ok {
		t.Fatalf("go build: %s", out)
	}
	work, _ := run(t, ".", nil, "go", "env", "GOWORK")
	if work = strings.TrimSpace(work); work == "" || work == "off" {
		t.Skip("this needs the other modules of the repository: unset GOWORK")
	}
	return path, filepath.Dir(work)
}

// module writes a module that uses the packages of the repository. It returns its
// directory and the environment in which it builds.
func module(t *testing.T, root, code string) (dir string, env []string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range map[string]string{
		"go.mod":    "module example.com/counter\n\ngo 1.26.0\n",
		"go.work":   "go 1.26.0\n\nuse (\n\t.\n\t" + root + "\n)\n",
		"c.go":      code,
		"c_test.go": test,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, []string{"GOWORK=" + filepath.Join(dir, "go.work")}
}

// code is a decider with mistakes, all but one of which have fixes.
const code = `package counter

import (
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
)

type Command interface{ isCommand() }

type (
	Add  struct{ Name string }
	Undo struct{}
)

func (Add) isCommand()  {}
func (Undo) isCommand() {}

type Event interface{ isEvent() }

type (
	Added  struct{ Name string }
	Undone struct{ At time.Time }
)

func (Added) isEvent()  {}
func (Undone) isEvent() {}

type State struct{ Names map[string]int }

func Decider() decider.Decider[Command, State, Event] { return decider.New(Decide, Evolve) }

func Decide(cmd Command, s State) ([]Event, error) {
	switch c := cmd.(type) {
	case Add:
		return []Event{Added{c.Name}}, nil
	case Undo:
		return []Event{Undone{time.Now()}}, nil
	}
	return nil, decider.ErrUnhandled
}

func Evolve(s State, event Event) State {
	switch e := event.(type) {
	case Added:
		s.Names[e.Name]++
	}
	return s
}

func Codec() codec.Codec[Event] {
	return codec.JSON(map[string]Event{
		"Added": Added{},
	})
}
`

// test has a decider with a mistake, which must not be reported.
const test = `package counter

import (
	"testing"

	"github.com/evolvego/evolve/decider"
)

func TestDecider(t *testing.T) {
	d := decider.New(Decide, Evolve)
	d.Evolve = func(s State, event Event) State {
		s.Names["planted"] = 1
		return s
	}
}
`

// found returns the findings in out, without their files.
func found(out string) []string {
	var all []string
	for line := range strings.Lines(out) {
		if at := regexp.MustCompile(`c\.go:\d+:\d+: `).FindStringIndex(line); at != nil {
			all = append(all, strings.TrimSpace(line[at[1]:]))
		}
	}
	slices.Sort(all)
	return all
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	path, root := tool(t)
	dir, env := module(t, root, code)
	clock := "Decide must be pure, but calls time.Now"
	want := []string{
		clock,
		"Evolve misses cases of Event: Undone",
		"Evolve must not change the state, but writes to s.Names",
		"the codec does not have all of Event: Undone",
	}
	commands := map[string][]string{
		"go vet":      {"go", "vet", "-vettool=" + path, "./..."},
		"stand-alone": {path, "./..."},
	}
	for name, c := range commands {
		if out, ok := run(t, dir, env, c[0], c[1:]...); ok || !slices.Equal(found(out), want) {
			t.Errorf("%s: succeeded: %v, findings:\n%s\nwant %q", name, ok, out, want)
		}
	}
	if out, ok := run(t, dir, env, path, "-impure=false", "-fix", "./..."); !ok {
		t.Errorf("-fix: %s", out)
	}
	if out, ok := run(t, dir, env, "go", "vet", "-vettool="+path, "./..."); ok || !slices.Equal(found(out), []string{clock}) {
		t.Errorf("after -fix: succeeded: %v, findings:\n%s\nwant %q", ok, out, clock)
	}
}

// TestMadeInTest checks that functions are found if only a test makes a decider of
// them.
func TestMadeInTest(t *testing.T) {
	t.Parallel()
	path, root := tool(t)
	unused := regexp.MustCompile(`func Decider.*\n`).ReplaceAllString(code, "")
	dir, env := module(t, root, unused)
	want := []string{
		"Decide must be pure, but calls time.Now",
		"Evolve misses cases of Event: Undone",
		"Evolve must not change the state, but writes to s.Names",
		"the codec does not have all of Event: Undone",
	}
	if out, ok := run(t, dir, env, "go", "vet", "-vettool="+path, "./..."); ok || !slices.Equal(found(out), want) {
		t.Errorf("succeeded: %v, findings:\n%s\nwant %q", ok, out, want)
	}
}
