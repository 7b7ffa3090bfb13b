package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// stranger gets, builds and installs every module at version, each from an empty
// directory, through a proxy of files. It uses the last commit, not the working tree.
func stranger(tree, version string, update bool) error {
	work, err := os.MkdirTemp("", "stranger")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	all, err := parts(tree)
	if err != nil {
		return err
	}
	files := filepath.Join(work, "proxy")
	if err := publish(tree, filepath.Join(work, "tree"), files, version, all); err != nil {
		return err
	}
	s := &visitor{version: version, work: work}
	if s.env, err = visitorEnv(tree, files); err != nil {
		return err
	}
	var adds strings.Builder
	for _, p := range all {
		began := time.Now()
		added, err := s.get(p)
		if err != nil {
			return err
		}
		fmt.Printf("%-50s %2d modules, %s\n", p.path+"@"+version, len(added), time.Since(began).Round(time.Second/10))
		fmt.Fprintf(&adds, "%s %d\n", p.path, len(added))
		for _, m := range added {
			fmt.Fprintf(&adds, "\t%s\n", m)
		}
	}
	for _, path := range []string{root + "/cmd/decidervet", root + "/cmd/vsa"} {
		added, err := s.tool(path)
		if err != nil {
			return err
		}
		fmt.Printf("%-50s %2d modules, as a tool\n", path+"@"+version, len(added))
		fmt.Fprintf(&adds, "-tool %s %d\n", path, len(added))
		for _, m := range added {
			fmt.Fprintf(&adds, "\t%s\n", m)
		}
	}
	if err := compare(filepath.Join(tree, ".ci", "release", "adds.txt"), adds.String(), update); err != nil {
		return err
	}
	return errors.Join(s.readme(tree), s.install())
}

// proxy writes a module proxy with all modules at version to a directory, and prints
// how to use it.
func proxy(tree, dir, version string) error {
	all, err := parts(tree)
	if err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "stranger")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := publish(tree, filepath.Join(work, "tree"), dir, version, all); err != nil {
		return err
	}
	usual, err := output(tree, nil, "go", "env", "GOPROXY")
	if err != nil {
		return err
	}
	fmt.Printf("export GOWORK=off GOPROXY=file://%s,%s GONOSUMDB='%s' GOMODCACHE=%s\n", dir, usual, ours, filepath.Join(dir, "cache"))
	return nil
}

// ours are our modules, which no checksum database knows yet.
const ours = "github.com/evolvego/*"

// publish makes a copy of tree that says version everywhere, and packs its modules into
// a directory that serves as a module proxy.
func publish(tree, copied, proxy, version string, all []part) error {
	if err := command(tree, nil, "git", "clone", "-q", "--no-local", "--depth=1", "file://"+tree, copied); err != nil {
		return err
	}
	if err := rewrite(copied, version); err != nil {
		return err
	}
	if err := command(copied, nil, "git", "-c", "user.name=stranger", "-c", "user.email=stranger@example.com", "commit", "-qam", version); err != nil {
		return err
	}
	for _, p := range all {
		if err := pack(copied, proxy, version, p); err != nil {
			return fmt.Errorf("pack %s: %w", p.path, err)
		}
	}
	return nil
}

// pack writes the files of the proxy for p at version.
func pack(tree, proxy, version string, p part) error {
	path, err := escaped(p.path)
	if err != nil {
		return err
	}
	dir := filepath.Join(proxy, path, "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // readers need it
		return err
	}
	mod, err := os.ReadFile(filepath.Join(tree, p.dir, "go.mod"))
	if err != nil {
		return err
	}
	info, err := json.Marshal(map[string]any{"Version": version, "Time": time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{"list": []byte(version + "\n"), version + ".info": info, version + ".mod": mod} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil { //nolint:gosec // readers need it
			return err
		}
	}
	out, err := os.Create(filepath.Join(dir, version+".zip"))
	if err != nil {
		return err
	}
	return errors.Join(zip.CreateFromVCS(out, module.Version{Path: p.path, Version: version}, tree, "HEAD", p.dir), out.Close())
}

// visitor is a stranger, who knows only the names of the modules.
type visitor struct {
	version, work string
	env           []string
	visits        int
}

// visitorEnv returns the environment of a visitor. The modules of others stay cached
// from one run to the next; ours are new each time.
func visitorEnv(tree, proxy string) ([]string, error) {
	usual, err := output(tree, nil, "go", "env", "GOPROXY")
	if err != nil {
		return nil, err
	}
	cache := filepath.Join(tree, ".bin", "stranger")
	for _, old := range []string{"github.com/evolvego", "cache/download/github.com/evolvego"} {
		if err := os.RemoveAll(filepath.Join(cache, filepath.FromSlash(old))); err != nil {
			return nil, err
		}
	}
	return []string{
		"GOPROXY=file://" + proxy + "," + usual, "GONOSUMDB=" + ours, "GOFLAGS=-modcacherw", "GOWORK=off", "GOMODCACHE=" + cache,
		"GODEBUG=goindex=0", // the go command would remember what the modules imported in the last run
	}, nil
}

// enter returns an empty directory with a module.
func (s *visitor) enter() (dir string, err error) {
	s.visits++
	dir = filepath.Join(s.work, fmt.Sprint("visit", s.visits))
	if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // a directory of this run
		return "", err
	}
	return dir, command(dir, s.env, "go", "mod", "init", "example.com/stranger")
}

// get adds only p to a module, builds its packages, and returns the requirements of a
// program that imports them all.
func (s *visitor) get(p part) (added []string, err error) {
	dir, err := s.enter()
	if err != nil {
		return nil, err
	}
	if err := command(dir, s.env, "go", "get", p.path+"@"+s.version); err != nil {
		return nil, err
	}
	if err := command(dir, s.env, "go", "build", "-mod=mod", p.path+"/..."); err != nil {
		return nil, err
	}
	if err := s.importAll(dir, p); err != nil {
		return nil, err
	}
	return requires(dir)
}

// tool adds the command path as a tool to an empty module, runs it, and returns what
// the module then requires.
func (s *visitor) tool(path string) (added []string, err error) {
	dir, err := s.enter()
	if err != nil {
		return nil, err
	}
	if err := command(dir, s.env, "go", "get", "-tool", path+"@"+s.version); err != nil {
		return nil, err
	}
	if err := command(dir, s.env, "go", "mod", "tidy"); err != nil {
		return nil, err
	}
	if err := command(dir, s.env, "go", "tool", filepath.Base(path), "-V=full"); err != nil {
		return nil, err
	}
	return requires(dir)
}

// requires returns the modules that the go.mod in dir requires.
func requires(dir string) (added []string, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return nil, err
	}
	mod, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		return nil, err
	}
	for _, r := range mod.Require {
		added = append(added, r.Mod.Path)
	}
	slices.Sort(added)
	return added, nil
}

// importAll writes a program that imports all packages of p that are not commands, and
// tidies.
func (s *visitor) importAll(dir string, p part) error {
	packages, err := output(dir, s.env, "go", "list", "-mod=mod", "-f", "{{if ne .Name \"main\"}}{{.ImportPath}}{{end}}", p.path+"/...")
	if err != nil {
		return err
	}
	var code strings.Builder
	for path := range strings.Lines(packages) {
		if path = strings.TrimSpace(path); path != "" && !strings.Contains(path, "/internal/") {
			fmt.Fprintf(&code, "import _ %q\n", path)
		}
	}
	if code.Len() == 0 {
		return nil
	}
	text := "package main\n\n" + code.String() + "\nfunc main() {}\n"
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(text), 0o644); err != nil { //nolint:gosec // a file of this run
		return err
	}
	return command(dir, s.env, "go", "mod", "tidy")
}

// compare compares what each go get adds with the recorded list.
func compare(name, adds string, update bool) error {
	if update {
		return os.WriteFile(name, []byte(adds), 0o644) //nolint:gosec // the mode that git uses
	}
	want, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if string(want) != adds {
		return fmt.Errorf("go get adds other modules than %s says: if that is meant, make stranger UPDATE=-update\nnow:\n%s", name, adds)
	}
	return nil
}

var program = regexp.MustCompile("(?ms)^```go\n(package main\n.*?)^```$")

// inAFile matches the lines of the README that open a file.
var inAFile = regexp.MustCompile(`(?m)^    st, err := sqlite\.Open\((?s:.*?)^    defer st\.Close\(\)\n`)

// readme builds and runs the program of the README, with its events in memory and in a
// file.
func (s *visitor) readme(tree string) error {
	text, err := os.ReadFile(filepath.Join(tree, "README.md"))
	if err != nil {
		return err
	}
	match := program.FindSubmatch(text)
	if match == nil {
		return errors.New("README.md has no program")
	}
	inMemory := string(match[1])
	if !strings.Contains(inMemory, "memory.New()") {
		return errors.New("the program of README.md keeps no events in memory")
	}
	opening := inAFile.Find(text)
	if opening == nil {
		return errors.New("README.md does not show how to open a file")
	}
	inFile := strings.NewReplacer(
		"store/memory", "store/sqlite", "memory.New()", "st", `"fmt"`, "\"fmt\"\n\t\"log\"", "func main() {\n", "func main() {\n"+string(opening),
	).Replace(inMemory)
	var printed []string
	for _, run := range []struct {
		code string
		get  []string
	}{{inMemory, []string{root}}, {inFile, []string{root, root + "/store/sqlite"}}} {
		dir, err := s.enter()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(run.code), 0o644); err != nil { //nolint:gosec // a file of this run
			return err
		}
		args := []string{"get"}
		for _, path := range run.get {
			args = append(args, path+"@"+s.version)
		}
		if err := command(dir, s.env, "go", args...); err != nil {
			return err
		}
		if err := command(dir, s.env, "go", "mod", "tidy"); err != nil {
			return err
		}
		out, err := output(dir, s.env, "go", "run", ".")
		if err != nil {
			return err
		}
		printed = append(printed, out)
	}
	if printed[0] == "" || printed[0] != printed[1] {
		return fmt.Errorf("the program of README.md prints %q in memory, and %q with a file", printed[0], printed[1])
	}
	fmt.Printf("the program of README.md prints %q\n", printed[0])
	return nil
}

// install installs the commands and checks what each says about its version.
func (s *visitor) install() error {
	bin := filepath.Join(s.work, "bin")
	env := append(slices.Clone(s.env), "GOBIN="+bin)
	for _, path := range []string{root + "/cmd/eventstored", root + "/cmd/decidervet", root + "/cmd/vsa", root + "/examples/bank"} {
		if err := command(s.work, env, "go", "install", path+"@"+s.version); err != nil {
			return err
		}
		about, err := output(s.work, env, "go", "version", "-m", filepath.Join(bin, filepath.Base(path)))
		if err != nil {
			return err
		}
		for line := range strings.Lines(about) {
			fields := strings.Fields(line)
			if len(fields) > 2 && strings.HasPrefix(fields[1], root) && (fields[0] == "mod" || fields[0] == "dep") && fields[2] != s.version {
				return fmt.Errorf("%s was built with %s at %s", path, fields[1], fields[2])
			}
		}
	}
	said, err := output(s.work, env, filepath.Join(bin, "eventstored"), "version")
	if err != nil || !strings.Contains(said, s.version) {
		return fmt.Errorf("eventstored version prints %q, want %s: %w", said, s.version, err)
	}
	fmt.Println(said)
	return nil
}
