package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/tools/go/gcexportdata"
	"golang.org/x/tools/go/packages"
)

// loader type-checks the packages of a module from source. It reads the types of other
// modules from what the go command has compiled. So no change to the module waits for a
// compiler; go/packages would run one for each package and each of its tests.
type loader struct {
	dir     string // absolute
	module  string
	version string // of Go
	fset    *token.FileSet

	listed  map[string]*listed         // the packages of the module, by path
	files   map[string]*parsed         // by absolute name
	exports map[string]export          // the exported names of packages of other modules, by path
	others  map[string]*types.Package  // of other modules, once imported
	checked map[unit]*packages.Package // nil while it is being checked
	reaches map[unit]bool              // whether a package imports another, even indirectly
}

// unit is a package as the test of another one sees it: with the test files of that
// one.
type unit struct{ path, forTest string }

// listed is what the go command reports about a package.
type listed struct {
	Dir, ImportPath, Name                        string
	GoFiles, CgoFiles, TestGoFiles, XTestGoFiles []string
	Export                                       string
	Module                                       *packages.Module
	Error                                        *listError
	DepsErrors                                   []listError
}

type listError struct{ Pos, Err string }

type parsed struct {
	syntax *ast.File
	err    error
}

// export is what the go command says about a package of another module.
type export struct {
	file, err string
	broken    bool // it exists, but does not compile
}

// compiling begins an error of the go command that comes from the compiler.
const compiling = "# "

// newLoader lists the packages of the module in dir.
func newLoader(dir string, fset *token.FileSet) (*loader, error) {
	l := &loader{
		dir: dir, fset: fset, listed: map[string]*listed{}, files: map[string]*parsed{}, exports: map[string]export{},
		others: map[string]*types.Package{}, checked: map[unit]*packages.Package{}, reaches: map[unit]bool{},
	}
	all, err := l.list("-find", "-json=Dir,ImportPath,Name,GoFiles,CgoFiles,TestGoFiles,XTestGoFiles,Module,Error", "./...")
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		l.listed[p.ImportPath] = p
		if p.Module != nil {
			l.module, l.version = p.Module.Path, p.Module.GoVersion
		}
	}
	return l, nil
}

// list runs go list.
func (l *loader) list(args ...string) ([]*listed, error) {
	cmd := exec.Command("go", append([]string{"list", "-e"}, args...)...) //nolint:gosec,noctx // go list ends by itself
	cmd.Dir = l.dir
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	var all []*listed
	for d := json.NewDecoder(&out); ; {
		p := new(listed)
		if err := d.Decode(p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all = append(all, p)
	}
}

// under returns the packages below a directory of the module, and their tests.
func (l *loader) under(root string) ([]*packages.Package, error) {
	dir := filepath.Join(l.dir, filepath.FromSlash(root))
	var units []unit
	for _, name := range slices.Sorted(maps.Keys(l.listed)) {
		p := l.listed[name]
		if p.Dir != dir && !strings.HasPrefix(p.Dir, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator)) {
			continue
		}
		units = append(units, unit{name, ""})
		if len(p.TestGoFiles) > 0 {
			units = append(units, unit{name, name})
		}
		if len(p.XTestGoFiles) > 0 {
			units = append(units, unit{name + "_test", name})
		}
	}
	if err := l.prepare(units); err != nil {
		return nil, err
	}
	var all []*packages.Package
	for _, u := range units {
		all = append(all, l.check(u))
	}
	return all, nil
}

// prepare parses the packages that units reach, and asks the go command for the
// packages of other modules that they import.
func (l *loader) prepare(units []unit) error {
	missing := map[string]bool{}
	seen := map[unit]bool{}
	for len(units) > 0 {
		l.parse(units)
		var next []unit
		for _, u := range units {
			for _, name := range l.imports(u) {
				v := unit{name, u.forTest}
				switch {
				case l.listed[name] != nil && !seen[v]:
					seen[v] = true
					next = append(next, v)
				case l.listed[name] == nil && name != "unsafe" && name != "C":
					if _, ok := l.exports[name]; !ok {
						missing[name] = true
					}
				}
			}
		}
		units = next
	}
	if len(missing) == 0 {
		return nil
	}
	all, err := l.list(append([]string{"-export", "-json=ImportPath,Export,Error,DepsErrors", "--"}, slices.Sorted(maps.Keys(missing))...)...)
	if err != nil {
		return err
	}
	for _, p := range all {
		e := export{file: p.Export}
		switch {
		case p.Error != nil:
			e.err = p.Error.Err
		case len(p.DepsErrors) > 0:
			e.err = p.DepsErrors[0].Err
		}
		if _, mistakes, ok := strings.Cut(e.err, "\n"); ok && strings.HasPrefix(e.err, compiling) {
			first, _, _ := strings.Cut(mistakes, "\n")
			e.err, e.broken = "it does not compile: "+first, true
		}
		l.exports[p.ImportPath] = e
	}
	return nil
}

// missing returns the first package of other modules that the go command cannot
// provide, and why.
func (l *loader) missing() (name, why string) {
	for _, name := range slices.Sorted(maps.Keys(l.exports)) {
		if e := l.exports[name]; e.file == "" && !e.broken {
			why, _, _ := strings.Cut(e.err, "\n")
			why, _, _ = strings.Cut(why, "; to add")
			return name, why
		}
	}
	return "", ""
}

// names returns the absolute names of the files of a unit.
func (l *loader) names(u unit) []string {
	p := l.listed[u.path]
	var names []string
	switch {
	case p == nil:
		p = l.listed[u.forTest]
		names = p.XTestGoFiles
	case u.path == u.forTest:
		names = slices.Concat(p.GoFiles, p.CgoFiles, p.TestGoFiles)
	default:
		names = slices.Concat(p.GoFiles, p.CgoFiles)
	}
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = filepath.Join(p.Dir, name)
	}
	return all
}

// parse parses the files of units that are not parsed yet, in parallel.
func (l *loader) parse(units []unit) {
	var group sync.WaitGroup
	limit := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, u := range units {
		for _, name := range l.names(u) {
			if l.files[name] != nil {
				continue
			}
			f := &parsed{}
			l.files[name] = f
			group.Go(func() {
				limit <- struct{}{}
				f.syntax, f.err = parser.ParseFile(l.fset, name, nil, parser.AllErrors|parser.ParseComments|parser.SkipObjectResolution)
				<-limit
			})
		}
	}
	group.Wait()
}

// imports returns the paths that the files of a unit import.
func (l *loader) imports(u unit) []string {
	var all []string
	for _, name := range l.names(u) {
		if f := l.files[name]; f != nil && f.syntax != nil {
			for _, spec := range f.syntax.Imports {
				if p, err := strconv.Unquote(spec.Path.Value); err == nil {
					all = append(all, p)
				}
			}
		}
	}
	return all
}

// as returns the package path as the tests of forTest see it. That is the plain path,
// unless the package is forTest itself, with its test files, or imports it.
func (l *loader) as(name, forTest string) unit {
	tested := l.listed[forTest]
	if forTest == "" || len(tested.TestGoFiles) == 0 || name != forTest && !l.reach(name, forTest) {
		return unit{name, ""}
	}
	return unit{name, forTest}
}

// reach reports whether the package from imports to, directly or indirectly.
func (l *loader) reach(from, to string) bool {
	key := unit{from, to}
	if yes, ok := l.reaches[key]; ok {
		return yes
	}
	l.reaches[key] = false // a cycle is an error that is reported elsewhere
	if p := l.listed[from]; p != nil {
		l.reaches[key] = slices.ContainsFunc(l.imports(unit{from, ""}), func(name string) bool { return name == to || l.reach(name, to) })
	}
	return l.reaches[key]
}

// check type-checks a unit, once.
func (l *loader) check(u unit) *packages.Package {
	if pkg, ok := l.checked[u]; ok {
		return pkg
	}
	l.checked[u] = nil
	l.parse([]unit{u})
	p := l.listed[u.path]
	id := u.path
	if u.forTest != "" {
		id += " [" + u.forTest + ".test]"
	}
	pkg := &packages.Package{
		ID: id, PkgPath: u.path, Fset: l.fset, ForTest: u.forTest, Module: &packages.Module{Path: l.module},
		TypesInfo: &types.Info{
			Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
			Implicits: map[ast.Node]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{},
			Instances: map[*ast.Ident]types.Instance{}, Scopes: map[ast.Node]*types.Scope{},
		},
	}
	if p != nil && p.Error != nil {
		pkg.Errors = append(pkg.Errors, packages.Error{Pos: p.Error.Pos, Msg: p.Error.Err, Kind: packages.ListError})
	}
	for _, name := range l.names(u) {
		f := l.files[name]
		if f.err != nil {
			pkg.Errors = append(pkg.Errors, packages.Error{Pos: name, Msg: f.err.Error(), Kind: packages.ParseError})
		}
		if f.syntax != nil {
			pkg.GoFiles, pkg.Syntax = append(pkg.GoFiles, name), append(pkg.Syntax, f.syntax)
		}
	}
	pkg.CompiledGoFiles = pkg.GoFiles
	config := types.Config{
		Importer: importer(func(name string) (*types.Package, error) { return l.load(name, u.forTest) }),
		Sizes:    types.SizesFor("gc", runtime.GOARCH), FakeImportC: true,
		Error: func(err error) {
			e := packages.Error{Msg: err.Error(), Kind: packages.TypeError}
			if t, ok := errors.AsType[types.Error](err); ok {
				e.Pos, e.Msg = t.Fset.Position(t.Pos).String(), t.Msg
			}
			pkg.Errors = append(pkg.Errors, e)
		},
	}
	if l.version != "" {
		config.GoVersion = "go" + l.version
	}
	pkg.Types, _ = config.Check(u.path, l.fset, pkg.Syntax, pkg.TypesInfo)
	pkg.Name = pkg.Types.Name()
	l.checked[u] = pkg
	return pkg
}

type importer func(name string) (*types.Package, error)

func (f importer) Import(name string) (*types.Package, error) { return f(name) }

// load returns the types of a package that the tests of forTest import.
func (l *loader) load(name, forTest string) (*types.Package, error) {
	if name == "unsafe" {
		return types.Unsafe, nil
	}
	if l.listed[name] != nil {
		pkg := l.check(l.as(name, forTest))
		if pkg == nil {
			return nil, errors.New("import cycle")
		}
		return pkg.Types, nil
	}
	if p := l.others[name]; p != nil && p.Complete() {
		return p, nil
	}
	e, ok := l.exports[name]
	switch {
	case !ok:
		return nil, errors.New("the go command does not know it")
	case e.file == "":
		return nil, errors.New(e.err)
	}
	f, err := os.Open(e.file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := gcexportdata.NewReader(f) //nolint:staticcheck // up to Go 1.28, go list -export names an archive
	if err != nil {
		return nil, err
	}
	return gcexportdata.Read(r, l.fset, l.others, name)
}

// with returns l with other texts for some files, by their absolute names. Packages
// that do not depend on these files are not checked again.
func (l *loader) with(overlay map[string][]byte) *loader {
	w := *l
	w.listed, w.files, w.exports = maps.Clone(l.listed), maps.Clone(l.files), maps.Clone(l.exports)
	w.checked, w.reaches = map[unit]*packages.Package{}, map[unit]bool{}
	changed := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(overlay)) {
		syntax, err := parser.ParseFile(l.fset, name, overlay[name], parser.AllErrors|parser.ParseComments|parser.SkipObjectResolution)
		w.files[name] = &parsed{syntax, err}
		dir, base := filepath.Split(name)
		rel, err := filepath.Rel(l.dir, filepath.Clean(dir))
		if err != nil {
			continue
		}
		importPath := path.Join(l.module, filepath.ToSlash(rel))
		changed[importPath] = true
		p := &listed{Dir: filepath.Clean(dir), ImportPath: importPath}
		if old := w.listed[importPath]; old != nil {
			*p = *old
		}
		w.listed[importPath] = p
		of := &p.GoFiles
		switch {
		case strings.HasSuffix(base, "_test.go") && syntax != nil && strings.HasSuffix(syntax.Name.Name, "_test"):
			of = &p.XTestGoFiles
		case strings.HasSuffix(base, "_test.go"):
			of = &p.TestGoFiles
		}
		if !slices.Contains(*of, base) {
			*of = append(slices.Clone(*of), base)
		}
	}
	for u, pkg := range l.checked {
		if pkg == nil || changed[u.path] || changed[u.forTest] {
			continue
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(changed)), func(to string) bool {
			return slices.ContainsFunc(w.imports(u), func(name string) bool { return name == to || w.reach(name, to) })
		}) {
			w.checked[u] = pkg
		}
	}
	return &w
}
