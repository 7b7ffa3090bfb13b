// Package model finds the vertical slices of a module in its types: the aggregates with
// their commands and events, the events and rejections of each command, what views and
// processes react to, where routes lead, and which slice uses another. It reads nothing
// from comments, and from names only what a slice is called.
package model

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// The packages of evolve whose types tell the kind of a piece of code.
const (
	EvolvePath  = "github.com/evolvego/evolve"
	DeciderPath = EvolvePath + "/decider"
	CodecPath   = DeciderPath + "/codec"
	RunnerPath  = DeciderPath + "/runner"
	PropsPath   = EvolvePath + "/props"
)

// Project describes the packages of a module under a root.
type Project struct {
	Dir    string // absolute; all file names are relative to it
	Root   string // the directory of the contexts, relative to Dir, with slashes
	Module string
	Fset   *token.FileSet

	Packages   []*packages.Package // without tests, sorted by path
	Tests      []*packages.Package
	Contexts   []*Context // sorted by name
	Aggregates []*Aggregate
	Readers    []*Reader
	Routes     []*Route
	Codecs     []*Codec

	loader *loader
	decls  map[*types.Func]*decl
	names  map[*types.TypeName]string // the stored names of events
}

// Context is a bounded context: a directory under the root.
type Context struct {
	Name     string
	Packages []*packages.Package
	API      *packages.Package // the package of the directory itself, or nil
	Imports  []Import          // imports of other contexts
}

// Import is an import of one context by another.
type Import struct {
	To     string // the other context
	Path   string
	Pkg    *packages.Package // the package that imports
	Pos    token.Pos
	Events bool // it uses only published events, their codec and their stream type
}

// Aggregate is a decider, with its state and the types of its commands and events.
type Aggregate struct {
	Pkg            *packages.Package
	Command, Event *types.Named
	State          types.Type
	Pos            token.Pos
	Commands       []*Message
	Events         []*Message
	StreamType     string // "" if it is not a constant
}

// Message is a command or an event.
type Message struct {
	Obj     *types.TypeName
	Emits   []*types.TypeName // of a command: the events that its decision may return
	Errors  []*types.Var      // of a command: the rejections that its decision names
	Handled token.Pos         // where it is decided or evolved; NoPos if nowhere
	Sent    []token.Pos       // of a command: where other packages create one
	Tested  bool
}

// Reader is a view or a process.
type Reader struct {
	Process bool
	Pkg     *packages.Package
	Pos     token.Pos
	State   types.Type
	Event   types.Type
	Events  []*types.TypeName // the events that it does something with
	Cases   int               // the number of events it has a case for, including empty cases
	Sends   []*types.TypeName
	Has     map[string]bool // the fields of the process that are set
	Tested  bool
	Used    bool // by another package, or by another exported function of its own package
}

// Route is a pattern that is registered with a mux.
type Route struct {
	Pattern string
	Pos     token.Pos
	Pkg     *packages.Package
	Func    *ast.FuncDecl // the function that registers it
	Handler ast.Expr
	Sends   []*types.TypeName
	Readers []*Reader
}

// Codec is a call of codec.JSON or codec.Proto.
type Codec struct {
	Pkg       *packages.Package
	Call      *ast.CallExpr
	Event     types.Type
	Names     []Name
	Literal   bool // its names are a literal map
	Upcasters []Upcaster
}

// Name is the stored name of an event.
type Name struct {
	Name string
	Obj  *types.TypeName
	Pos  token.Pos
}

// Upcaster is a call of codec.Up, UpMany or Drop.
type Upcaster struct {
	Name   string
	Schema int
	Old    types.Type // nil for Drop
	Pos    token.Pos
}

type decl struct {
	pkg  *packages.Package
	node *ast.FuncDecl
}

// TypesError reports code that does not type-check. Nothing can be read from it.
type TypesError struct{ Errors []packages.Error }

// Error returns the first error, with its place if it has one, and the number of other
// errors.
func (e *TypesError) Error() string {
	var left []packages.Error
	for _, e := range e.Errors {
		if !slices.ContainsFunc(left, func(k packages.Error) bool { return k.Msg == e.Msg }) {
			left = append(left, e)
		}
	}
	// The go command reports the output of the compiler as one text, without a place.
	slices.SortStableFunc(left, func(a, b packages.Error) int { return cmp.Compare(b.Kind, a.Kind) })
	text := strings.TrimPrefix(left[0].Pos+": "+left[0].Msg, ": ")
	if n := len(left) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	return text
}

// MissingError reports a package of another module that the code imports and the go
// command does not provide, because an entry is missing in go.mod or go.sum.
type MissingError struct{ Path, Why string }

// Error says which package is missing, why, and what to do.
func (e *MissingError) Error() string {
	return fmt.Sprintf("the go command does not provide %s, which is imported (%s): run go mod tidy", e.Path, e.Why)
}

// Load reads the packages under root of the module in dir. It returns a *[TypesError]
// if the code does not type-check, and a *[MissingError] if an import cannot be found.
func Load(dir, root string) (*Project, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil { // the go command resolves symbolic links too
		return nil, err
	}
	p := &Project{Dir: dir, Root: path.Clean(filepath.ToSlash(root)), Fset: token.NewFileSet(), decls: map[*types.Func]*decl{}, names: map[*types.TypeName]string{}}
	if p.loader, err = newLoader(dir, p.Fset); err != nil {
		return nil, fmt.Errorf("load the packages under %s: %w", p.Root, err)
	}
	p.Module = p.loader.module
	all, err := p.loader.under(p.Root)
	if err != nil {
		return nil, fmt.Errorf("load the packages under %s: %w", p.Root, err)
	}
	if err := p.sort(all); err != nil {
		if name, why := p.loader.missing(); name != "" {
			return nil, &MissingError{name, why}
		}
		return nil, err
	}
	p.index()
	p.findContexts()
	for _, pkg := range p.Packages {
		p.findCodecs(pkg)
		p.findAggregates(pkg)
	}
	for _, pkg := range p.Packages {
		p.findReaders(pkg)
	}
	for _, pkg := range p.Packages {
		p.findRoutes(pkg)
		p.findSenders(pkg)
	}
	p.findTests()
	p.findImports()
	return p, nil
}

// Check type-checks the project as if the files in overlay had these texts, by their
// absolute names. It returns a *[TypesError] if that fails, and a *[MissingError] if
// the only reason is that the go command does not provide an import.
func (p *Project) Check(overlay map[string][]byte) error {
	l := p.loader.with(overlay)
	all, err := l.under(p.Root)
	if err != nil {
		return err
	}
	err = new(Project).sort(all)
	broken, ok := errors.AsType[*TypesError](err)
	name, why := l.missing()
	if !ok || name == "" {
		return err
	}
	broken.Errors = slices.DeleteFunc(broken.Errors, func(e packages.Error) bool { // the others may follow from the missing package
		return e.Kind == packages.TypeError && !strings.HasPrefix(e.Msg, "undefined: ")
	})
	if len(broken.Errors) > 0 {
		return broken
	}
	return &MissingError{name, why}
}

// sort separates packages from tests, and refuses code that does not type-check.
func (p *Project) sort(all []*packages.Package) error {
	var broken TypesError
	for _, pkg := range all {
		broken.Errors = append(broken.Errors, pkg.Errors...)
		switch {
		case len(pkg.Syntax) == 0:
		case pkg.ForTest != "":
			p.Tests = append(p.Tests, pkg)
		default:
			p.Packages = append(p.Packages, pkg)
		}
	}
	if len(broken.Errors) > 0 {
		return &broken
	}
	byPath := func(a, b *packages.Package) int {
		return cmp.Or(strings.Compare(a.PkgPath, b.PkgPath), strings.Compare(a.ID, b.ID))
	}
	slices.SortFunc(p.Packages, byPath)
	slices.SortFunc(p.Tests, byPath)
	return nil
}

// index finds the declarations of functions.
func (p *Project) index() {
	for _, pkg := range p.Packages {
		for _, file := range pkg.Syntax {
			for _, d := range file.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
					if obj, ok := pkg.TypesInfo.Defs[fn.Name].(*types.Func); ok {
						p.decls[obj] = &decl{pkg, fn}
					}
				}
			}
		}
	}
}

// At returns the place of pos: a file relative to Dir with slashes, line and column.
func (p *Project) At(pos token.Pos) token.Position {
	at := p.Fset.Position(pos)
	if rel, err := filepath.Rel(p.Dir, at.Filename); err == nil {
		at.Filename = filepath.ToSlash(rel)
	}
	return at
}

// Slice returns the name of the slice at pos: open_account.go is open-account.
func (p *Project) Slice(pos token.Pos) string {
	name := strings.TrimSuffix(path.Base(p.At(pos).Filename), ".go")
	return strings.ReplaceAll(name, "_", "-")
}

// ContextOf returns the name of the context that a package is in, or "".
func (p *Project) ContextOf(pkgPath string) string {
	prefix := p.Module + "/"
	if p.Root != "." {
		prefix += p.Root + "/"
	}
	rest, ok := strings.CutPrefix(pkgPath, prefix)
	if !ok {
		return ""
	}
	first, _, _ := strings.Cut(rest, "/")
	return first
}

// Inner returns the path of a package inside its context, or "" for the context's own
// package.
func (p *Project) Inner(pkgPath string) string {
	_, inner, _ := strings.Cut(pkgPath, "/"+p.ContextOf(pkgPath)+"/")
	return inner
}

// Name returns the stored name of an event, or the name of its type.
func (p *Project) Name(event *types.TypeName) string {
	return cmp.Or(p.names[event], event.Name())
}

// Stored reports whether a codec names the event.
func (p *Project) Stored(event *types.TypeName) bool { return p.names[event] != "" }

// AggregateOf returns the aggregate for which t is a command or an event.
func (p *Project) AggregateOf(t *types.TypeName) (aggregate *Aggregate, event bool) {
	for _, a := range p.Aggregates {
		if a.command(t) != nil {
			return a, false
		}
		if a.event(t) != nil {
			return a, true
		}
	}
	return nil, false
}

func (a *Aggregate) command(t *types.TypeName) *Message { return find(a.Commands, t) }
func (a *Aggregate) event(t *types.TypeName) *Message   { return find(a.Events, t) }

func find(all []*Message, t *types.TypeName) *Message {
	for _, m := range all {
		if m.Obj == t {
			return m
		}
	}
	return nil
}

// SliceFiles returns the files of a's package that are slices. A slice declares a
// command. There are none if a file declares two commands, or one together with the
// command interface.
func (p *Project) SliceFiles(a *Aggregate) map[string]*Message {
	found := map[string]*Message{}
	for _, c := range a.Commands {
		file := p.At(c.Obj.Pos()).Filename
		if file == p.At(a.Command.Obj().Pos()).Filename || found[file] != nil {
			return nil
		}
		found[file] = c
	}
	return found
}

// CommandName is the unique name of a command: the name of its slice, or if a file has
// several commands, the names of its type and aggregate.
func (p *Project) CommandName(command *types.TypeName) string {
	a, _ := p.AggregateOf(command)
	if a != nil && p.SliceFiles(a) == nil {
		return command.Name() + Pascal(a.Pkg.Types.Name())
	}
	return Pascal(p.Slice(command.Pos()))
}

// Pascal turns open-account and open_account into OpenAccount.
func Pascal(s string) string {
	var b strings.Builder
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return r == '-' || r == '_' }) {
		b.WriteString(strings.ToUpper(w[:1]) + w[1:])
	}
	return b.String()
}
