package model

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"path/filepath"

	"golang.org/x/tools/go/packages"
	"golang.org/x/tools/go/types/typeutil"

	"github.com/evolvego/evolve/cmd/vsa/internal/edit"
)

// Source returns the file that contains pos, ready for insertions. Its name is relative
// to Dir.
func (p *Project) Source(pkg *packages.Package, pos token.Pos) (*edit.Source, error) {
	for _, file := range pkg.Syntax {
		if file.FileStart <= pos && pos <= file.FileEnd {
			name := p.At(pos).Filename
			text, err := os.ReadFile(filepath.Join(p.Dir, filepath.FromSlash(name)))
			if err != nil {
				return nil, err
			}
			return &edit.Source{Name: name, Text: text, Fset: p.Fset, File: file}, nil
		}
	}
	return nil, fmt.Errorf("no file of %s has position %d", pkg.PkgPath, pos)
}

// CodecOf returns the codec whose events are those of a, or the reason why nothing can
// be added to it.
func (p *Project) CodecOf(a *Aggregate) (*Codec, error) {
	var found *Codec
	for _, c := range p.Codecs {
		if c.Event == nil || !types.Identical(c.Event, a.Event) || c.Pkg != a.Pkg {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%s has two codecs of %s", a.Pkg.PkgPath, a.Event.Obj().Name())
		}
		found = c
	}
	switch {
	case found == nil:
		return nil, fmt.Errorf("%s has no codec.JSON or codec.Proto of %s", a.Pkg.PkgPath, a.Event.Obj().Name())
	case !found.Literal:
		return nil, fmt.Errorf("the names of the codec at %s are not a literal map", p.At(found.Call.Pos()))
	}
	return found, nil
}

// NamesLit returns the literal map of the names of a codec, or nil.
func (c *Codec) NamesLit() *ast.CompositeLit {
	lit, _ := ast.Unparen(c.Call.Args[0]).(*ast.CompositeLit)
	return lit
}

// SamplesOf returns the call of Any, in a test, that has the samples of a's commands.
func (p *Project) SamplesOf(a *Aggregate) (*packages.Package, *ast.CallExpr, error) {
	var found *ast.CallExpr
	var in *packages.Package
	many := false
	for _, pkg := range p.Tests {
		if pkg.ForTest != a.Pkg.PkgPath {
			continue
		}
		inspect(pkg, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || call.Ellipsis.IsValid() {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Any" || !isSuite(pkg.TypesInfo.TypeOf(sel.X), a) {
				return true
			}
			many = many || found != nil && found.Pos() != call.Pos()
			found, in = call, pkg
			return true
		})
	}
	switch {
	case found == nil:
		return nil, nil, fmt.Errorf("no test of %s calls Any on a suite of props", a.Pkg.PkgPath)
	case many:
		return nil, nil, fmt.Errorf("several tests of %s call Any on a suite of props", a.Pkg.PkgPath)
	}
	return in, found, nil
}

// isSuite reports whether t is a props.Suite for a's types. The test may have loaded
// the package a second time, so isSuite compares names.
func isSuite(t types.Type, a *Aggregate) bool {
	if ptr, ok := types.Unalias(t).(*types.Pointer); ok {
		t = ptr.Elem()
	}
	n := named(t)
	if n == nil || n.Obj().Name() != "Suite" || n.Obj().Pkg() == nil || n.Obj().Pkg().Path() != PropsPath || n.TypeArgs().Len() != 3 {
		return false
	}
	c := named(n.TypeArgs().At(0))
	return c != nil && c.Obj().Name() == a.Command.Obj().Name() && c.Obj().Pkg().Path() == a.Pkg.PkgPath
}

// Method returns the declaration of a function or method of pkg that is called name and
// whose signature is accepts.
func (p *Project) Method(pkg *packages.Package, name string, is func(*types.Signature) bool) *ast.FuncDecl {
	for _, file := range pkg.Syntax {
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Name.Name != name || fn.Body == nil {
				continue
			}
			if obj, ok := pkg.TypesInfo.Defs[fn.Name].(*types.Func); ok && is(obj.Signature()) {
				return fn
			}
		}
	}
	return nil
}

// RoutesOf returns the method Routes(*http.ServeMux) of a context.
func (p *Project) RoutesOf(c *Context) *ast.FuncDecl {
	if c == nil || c.API == nil {
		return nil
	}
	return p.Method(c.API, "Routes", func(s *types.Signature) bool {
		return s.Recv() != nil && s.Params().Len() == 1 && s.Params().At(0).Type().String() == "*net/http.ServeMux"
	})
}

// CallIn returns the only call in fn of a function called name.
func (p *Project) CallIn(pkg *packages.Package, fn *ast.FuncDecl, name string) *ast.CallExpr {
	var found *ast.CallExpr
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if callee := typeutil.StaticCallee(pkg.TypesInfo, call); callee != nil && callee.Name() == name && !call.Ellipsis.IsValid() {
				found = call
			}
		}
		return true
	})
	return found
}

// SwitchOf returns the only type switch of a's package over sum, and its function.
func (p *Project) SwitchOf(a *Aggregate, sum types.Type) *ast.TypeSwitchStmt {
	var found []*ast.TypeSwitchStmt
	for _, d := range p.sortedDecls(a.Pkg) {
		ast.Inspect(d.node.Body, func(n ast.Node) bool {
			if sw, ok := n.(*ast.TypeSwitchStmt); ok && types.Identical(a.Pkg.TypesInfo.TypeOf(Subject(sw)), sum) {
				found = append(found, sw)
			}
			return true
		})
	}
	if len(found) != 1 {
		return nil
	}
	return found[0]
}

// ContextNamed returns the context called name, or nil.
func (p *Project) ContextNamed(name string) *Context {
	for _, c := range p.Contexts {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// Schema returns the schema version in which a codec writes the event called name.
func (c *Codec) Schema(name string) int {
	version := 1
	for _, u := range c.Upcasters {
		if u.Name == name {
			version = max(version, u.Schema+1)
		}
	}
	return version
}

// FuncOf returns the function that an expression names, if it belongs to the project.
func (p *Project) FuncOf(pkg *packages.Package, e ast.Expr) *ast.FuncDecl {
	var id *ast.Ident
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		id = e
	case *ast.SelectorExpr:
		id = e.Sel
	default:
		return nil
	}
	if fn, ok := pkg.TypesInfo.Uses[id].(*types.Func); ok && p.decls[fn] != nil {
		return p.decls[fn].node
	}
	return nil
}
