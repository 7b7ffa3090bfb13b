package model

import (
	"go/ast"
	"go/constant"
	"go/types"
	"slices"

	"golang.org/x/tools/go/packages"
	"golang.org/x/tools/go/types/typeutil"
)

// findCodecs reads the names of events from calls of codec.JSON and codec.Proto.
func (p *Project) findCodecs(pkg *packages.Package) {
	inspect(pkg, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		fn := typeutil.StaticCallee(pkg.TypesInfo, call)
		if fn == nil || fn.Pkg() == nil || fn.Pkg().Path() != CodecPath || fn.Name() != "JSON" && fn.Name() != "Proto" {
			return true
		}
		c := &Codec{Pkg: pkg, Call: call}
		if m, ok := pkg.TypesInfo.TypeOf(call.Args[0]).Underlying().(*types.Map); ok {
			c.Event = m.Elem()
		}
		if lit, ok := ast.Unparen(call.Args[0]).(*ast.CompositeLit); ok {
			c.Literal = true
			p.findNames(pkg, c, lit)
		}
		for _, arg := range call.Args[1:] {
			if up, ok := ast.Unparen(arg).(*ast.CallExpr); ok {
				p.findUpcaster(pkg, c, up)
			}
		}
		p.Codecs = append(p.Codecs, c)
		return true
	})
}

func (p *Project) findNames(pkg *packages.Package, c *Codec, lit *ast.CompositeLit) {
	for _, e := range lit.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		t, v := pkg.TypesInfo.TypeOf(kv.Value), pkg.TypesInfo.Types[kv.Key].Value
		if ptr, ok := t.(*types.Pointer); ok { // a protobuf message
			t = ptr.Elem()
		}
		if n := named(t); n != nil && v != nil && v.Kind() == constant.String {
			name := constant.StringVal(v)
			c.Names = append(c.Names, Name{name, n.Obj(), kv.Pos()})
			if n.Obj().Pkg() == pkg.Types || p.names[n.Obj()] == "" {
				p.names[n.Obj()] = name
			}
		}
	}
}

func (p *Project) findUpcaster(pkg *packages.Package, c *Codec, call *ast.CallExpr) {
	fn := typeutil.StaticCallee(pkg.TypesInfo, call)
	if fn == nil || fn.Pkg() == nil || fn.Pkg().Path() != CodecPath || len(call.Args) < 2 {
		return
	}
	name, schema := pkg.TypesInfo.Types[call.Args[0]].Value, pkg.TypesInfo.Types[call.Args[1]].Value
	if name == nil || schema == nil {
		return
	}
	n, _ := constant.Int64Val(schema)
	u := Upcaster{Name: constant.StringVal(name), Schema: int(n), Pos: call.Pos()}
	if len(call.Args) > 2 {
		if sig, ok := pkg.TypesInfo.TypeOf(call.Args[2]).Underlying().(*types.Signature); ok && sig.Params().Len() == 1 {
			u.Old = sig.Params().At(0).Type()
		}
	}
	c.Upcasters = append(c.Upcasters, u)
}

// findReaders finds the views and processes that a package makes.
func (p *Project) findReaders(pkg *packages.Package) {
	inspect(pkg, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		name, args := instance(pkg.TypesInfo.TypeOf(lit))
		r := &Reader{Pkg: pkg, Pos: lit.Pos(), Has: map[string]bool{}}
		switch name {
		case "View":
			r.State, r.Event = args[0], args[1]
		case "Process":
			r.Process, r.Event, r.State = true, args[0], args[1]
		default:
			return true
		}
		seen := map[ast.Node]bool{}
		for _, e := range lit.Elts {
			kv, ok := e.(*ast.KeyValueExpr)
			if !ok {
				continue
			}
			role, ok := kv.Key.(*ast.Ident)
			if !ok {
				continue
			}
			r.Has[role.Name] = true
			p.follow(pkg, kv.Value, seen, func(info *types.Info, n ast.Node) { p.read(r, role.Name, info, n) })
		}
		p.Readers = append(p.Readers, r)
		return true
	})
}

// follow visits the nodes of a function, and of the functions of its package that it
// names.
func (p *Project) follow(pkg *packages.Package, node ast.Node, seen map[ast.Node]bool, visit func(*types.Info, ast.Node)) {
	if seen[node] {
		return
	}
	seen[node] = true
	ast.Inspect(node, func(n ast.Node) bool {
		if n == nil {
			return false
		}
		visit(pkg.TypesInfo, n)
		if id, ok := n.(*ast.Ident); ok {
			if fn, ok := pkg.TypesInfo.Uses[id].(*types.Func); ok && p.decls[fn] != nil && fn.Pkg() == pkg.Types {
				p.follow(pkg, p.decls[fn].node.Body, seen, visit)
			}
		}
		return true
	})
}

// read examines a node of a function of a view or a process.
func (p *Project) read(r *Reader, role string, info *types.Info, n ast.Node) {
	handles := func(t types.Type, acts bool) {
		n := named(t)
		if n == nil {
			return
		}
		if a, event := p.AggregateOf(n.Obj()); a == nil || !event {
			return
		}
		r.Cases++
		if acts && !slices.Contains(r.Events, n.Obj()) {
			r.Events = append(r.Events, n.Obj())
		}
	}
	switch n := n.(type) {
	case *ast.CaseClause:
		for _, t := range n.List {
			handles(info.TypeOf(t), len(n.Body) > 0 || r.Process)
		}
	case *ast.TypeAssertExpr:
		if n.Type != nil {
			handles(info.TypeOf(n.Type), true)
		}
	case *ast.CompositeLit:
		if t := named(info.TypeOf(n)); t != nil && role != "Evolve" {
			if a, event := p.AggregateOf(t.Obj()); a != nil && !event && !slices.Contains(r.Sends, t.Obj()) {
				r.Sends = append(r.Sends, t.Obj())
			}
		}
	}
}

// findRoutes finds the constant patterns that are passed to methods Handle and
// HandleFunc.
func (p *Project) findRoutes(pkg *packages.Package) {
	for _, file := range pkg.Syntax {
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) != 2 {
					return true
				}
				callee, _ := typeutil.Callee(pkg.TypesInfo, call).(*types.Func)
				v := pkg.TypesInfo.Types[call.Args[0]].Value
				if callee == nil || callee.Name() != "Handle" && callee.Name() != "HandleFunc" || v == nil || v.Kind() != constant.String {
					return true
				}
				r := &Route{Pattern: constant.StringVal(v), Pos: call.Pos(), Pkg: pkg, Func: fn, Handler: call.Args[1]}
				p.leads(r)
				p.Routes = append(p.Routes, r)
				return true
			})
		}
	}
}

// leads finds the commands and the readers that the handler of a route names.
func (p *Project) leads(r *Route) {
	ast.Inspect(r.Handler, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		if !ok {
			return true
		}
		switch obj := r.Pkg.TypesInfo.Uses[id].(type) {
		case *types.TypeName:
			t := named(obj.Type())
			if t == nil {
				return true
			}
			if a, event := p.AggregateOf(t.Obj()); a != nil && !event && !slices.Contains(r.Sends, t.Obj()) {
				r.Sends = append(r.Sends, t.Obj())
			}
		case *types.PkgName:
			for _, reader := range p.Readers {
				if reader.Pkg.Types == obj.Imported() && !slices.Contains(r.Readers, reader) {
					r.Readers = append(r.Readers, reader)
				}
			}
		}
		return true
	})
}

// findSenders finds the places that use commands outside of their package, and the
// readers that are used.
func (p *Project) findSenders(pkg *packages.Package) {
	for id, obj := range pkg.TypesInfo.Uses {
		if t, ok := obj.(*types.TypeName); ok && t.Pkg() != pkg.Types {
			if a, event := p.AggregateOf(t); a != nil && !event {
				c := a.command(t)
				c.Sent = append(c.Sent, id.Pos())
			}
		}
		if obj.Pkg() == nil || obj.Pkg() == pkg.Types {
			continue
		}
		for _, r := range p.Readers {
			if r.Pkg.Types == obj.Pkg() {
				r.Used = true
			}
		}
	}
}

// findTests finds the commands, views and processes that tests name.
func (p *Project) findTests() {
	for _, t := range p.Tests {
		for _, obj := range t.TypesInfo.Uses {
			if obj.Pkg() == nil {
				continue
			}
			for _, a := range p.Aggregates {
				for _, c := range a.Commands {
					if obj.Pkg().Path() == a.Pkg.PkgPath && obj.Name() == c.Obj.Name() {
						c.Tested = true
					}
				}
			}
			for _, r := range p.Readers {
				if obj.Pkg().Path() == r.Pkg.PkgPath {
					r.Tested = true
				}
			}
		}
	}
}

// findImports finds the imports between contexts.
func (p *Project) findImports() {
	for _, c := range p.Contexts {
		for _, pkg := range c.Packages {
			for _, file := range pkg.Syntax {
				for _, spec := range file.Imports {
					imported := pkg.TypesInfo.PkgNameOf(spec)
					if imported == nil {
						continue
					}
					to := p.ContextOf(imported.Imported().Path())
					if to == "" || to == c.Name {
						continue
					}
					c.Imports = append(c.Imports, Import{to, imported.Imported().Path(), pkg, spec.Pos(), p.onlyEvents(pkg, imported)})
				}
			}
		}
	}
}

// onlyEvents reports whether pkg uses only what the package of another context
// publishes: events, their interface, their codec and their stream type.
func (p *Project) onlyEvents(pkg *packages.Package, imported *types.PkgName) bool {
	for _, obj := range pkg.TypesInfo.Uses {
		if obj.Pkg() != imported.Imported() || obj.Parent() != obj.Pkg().Scope() {
			continue
		}
		switch obj := obj.(type) {
		case *types.Const:
		case *types.TypeName:
			t := named(obj.Type())
			if t == nil {
				return false
			}
			if _, event := p.AggregateOf(t.Obj()); !event && !types.IsInterface(t) {
				return false
			}
		case *types.Func:
			results := obj.Signature().Results()
			if results.Len() != 1 {
				return false
			}
			if t := named(results.At(0).Type()); t == nil || t.Obj().Pkg() == nil || t.Obj().Pkg().Path() != CodecPath {
				return false
			}
		default:
			return false
		}
	}
	return true
}
