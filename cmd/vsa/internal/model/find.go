package model

import (
	"cmp"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
	"golang.org/x/tools/go/types/typeutil"
)

// instance returns the name and the type arguments of an instance of a type of package
// decider.
func instance(t types.Type) (string, []types.Type) {
	if t == nil {
		return "", nil
	}
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	n, ok := types.Unalias(t).(*types.Named)
	if !ok || n.Obj().Pkg() == nil || n.Obj().Pkg().Path() != DeciderPath {
		return "", nil
	}
	return n.Obj().Name(), slices.Collect(n.TypeArgs().Types())
}

func named(t types.Type) *types.Named {
	n, _ := types.Unalias(t).(*types.Named)
	return n
}

// inspect visits the nodes of a package.
func inspect(pkg *packages.Package, visit func(ast.Node) bool) {
	for _, file := range pkg.Syntax {
		ast.Inspect(file, visit)
	}
}

// findContexts finds the directories under the root.
func (p *Project) findContexts() {
	byName := map[string]*Context{}
	for _, pkg := range p.Packages {
		name := p.ContextOf(pkg.PkgPath)
		if name == "" {
			continue
		}
		c := byName[name]
		if c == nil {
			c = &Context{Name: name}
			byName[name], p.Contexts = c, append(p.Contexts, c)
		}
		c.Packages = append(c.Packages, pkg)
		if p.Inner(pkg.PkgPath) == "" {
			c.API = pkg
		}
	}
	slices.SortFunc(p.Contexts, func(a, b *Context) int { return strings.Compare(a.Name, b.Name) })
}

// findAggregates finds the deciders that a package makes from its own commands.
func (p *Project) findAggregates(pkg *packages.Package) {
	inspect(pkg, func(n ast.Node) bool {
		var e ast.Expr
		switch n := n.(type) {
		case *ast.CallExpr:
			e = n
		case *ast.CompositeLit:
			e = n
		default:
			return true
		}
		name, args := instance(pkg.TypesInfo.TypeOf(e))
		if name != "Decider" {
			return true
		}
		c, ev := named(args[0]), named(args[2])
		if c == nil || ev == nil || c.Obj().Pkg() != pkg.Types || p.aggregateOfEvent(ev) != nil {
			return true
		}
		a := &Aggregate{Pkg: pkg, Command: c, Event: ev, State: args[1], Pos: e.Pos()}
		p.Aggregates = append(p.Aggregates, a)
		a.Events, a.Commands = p.members(ev), p.members(c)
		p.findDecisions(a)
		p.findEvolutions(a)
		a.StreamType = p.streamType(a)
		return true
	})
}

func (p *Project) aggregateOfEvent(event types.Type) *Aggregate {
	for _, a := range p.Aggregates {
		if types.Identical(a.Event, event) {
			return a
		}
	}
	return nil
}

// members returns the types that implement a sealed interface. For an open interface,
// it returns the types that the type switches over it name.
func (p *Project) members(sum *types.Named) []*Message {
	i, ok := sum.Underlying().(*types.Interface)
	if !ok {
		return nil
	}
	var all []*Message
	if i.NumMethods() == 0 {
		for _, d := range p.decls {
			if d.pkg.Types == sum.Obj().Pkg() {
				p.switches(d, sum, func(clause *ast.CaseClause, t *types.Named) {
					if find(all, t.Obj()) == nil {
						all = append(all, &Message{Obj: t.Obj()})
					}
				})
			}
		}
	} else {
		scope := sum.Obj().Pkg().Scope()
		for _, name := range scope.Names() {
			obj, ok := scope.Lookup(name).(*types.TypeName)
			if ok && !obj.IsAlias() && !types.IsInterface(obj.Type()) && types.Implements(obj.Type(), i) {
				all = append(all, &Message{Obj: obj})
			}
		}
	}
	slices.SortFunc(all, func(a, b *Message) int { return p.compare(a.Obj.Pos(), b.Obj.Pos()) })
	return all
}

// compare orders by file and offset, which do not depend on the order of loading.
func (p *Project) compare(a, b token.Pos) int {
	x, y := p.Fset.Position(a), p.Fset.Position(b)
	return cmp.Or(strings.Compare(x.Filename, y.Filename), cmp.Compare(x.Offset, y.Offset))
}

// switches calls visit for each case of the type switches in d over a value of type sum.
func (p *Project) switches(d *decl, sum types.Type, visit func(*ast.CaseClause, *types.Named)) {
	info := d.pkg.TypesInfo
	ast.Inspect(d.node.Body, func(n ast.Node) bool {
		sw, ok := n.(*ast.TypeSwitchStmt)
		if !ok || !types.Identical(info.TypeOf(Subject(sw)), sum) {
			return true
		}
		for _, s := range sw.Body.List {
			clause, ok := s.(*ast.CaseClause)
			if !ok {
				continue
			}
			for _, e := range clause.List {
				if t := named(info.TypeOf(e)); t != nil {
					visit(clause, t)
				}
			}
		}
		return true
	})
}

// Subject is the expression that a type switch switches over.
func Subject(sw *ast.TypeSwitchStmt) ast.Expr {
	var x ast.Expr
	switch s := sw.Assign.(type) {
	case *ast.AssignStmt:
		x = s.Rhs[0]
	case *ast.ExprStmt:
		x = s.X
	}
	if assert, ok := x.(*ast.TypeAssertExpr); ok {
		return assert.X
	}
	return x
}

// behaviour returns the methods of t that implement methods of sum with want results: 2
// for a decision, 1 for an evolution.
func (p *Project) behaviour(sum *types.Named, t *types.TypeName, want int) []*decl {
	i, ok := sum.Underlying().(*types.Interface)
	if !ok {
		return nil
	}
	var found []*decl
	for m := range i.Methods() {
		obj, _, _ := types.LookupFieldOrMethod(t.Type(), true, t.Pkg(), m.Name())
		if fn, ok := obj.(*types.Func); ok && p.decls[fn] != nil && fn.Signature().Results().Len() == want {
			found = append(found, p.decls[fn])
		}
	}
	return found
}

// findDecisions finds the code that decides each command, and the events and rejections
// that it may produce.
func (p *Project) findDecisions(a *Aggregate) {
	for _, c := range a.Commands {
		for _, d := range p.behaviour(a.Command, c.Obj, 2) {
			c.Handled = d.node.Name.Pos()
			p.reach(d, d.node.Body, a, c, map[ast.Node]bool{})
		}
	}
	for _, d := range p.sortedDecls(a.Pkg) {
		p.switches(d, a.Command, func(clause *ast.CaseClause, t *types.Named) {
			c := a.command(t.Obj())
			if c == nil {
				return
			}
			if !c.Handled.IsValid() {
				c.Handled = clause.Pos()
			}
			for _, s := range clause.Body {
				p.reach(d, s, a, c, map[ast.Node]bool{})
			}
		})
		ast.Inspect(d.node.Body, func(n ast.Node) bool {
			if s, ok := n.(*ast.IfStmt); ok {
				if c := a.command(asserted(d.pkg.TypesInfo, s.Init)); c != nil {
					if !c.Handled.IsValid() {
						c.Handled = s.Pos()
					}
					p.reach(d, s.Body, a, c, map[ast.Node]bool{})
				}
			}
			return true
		})
	}
}

// sortedDecls returns the functions of a package in source order.
func (p *Project) sortedDecls(pkg *packages.Package) []*decl {
	var all []*decl
	for _, d := range p.decls {
		if d.pkg == pkg {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b *decl) int { return p.compare(a.node.Pos(), b.node.Pos()) })
	return all
}

// asserted returns T of an init statement x, ok := y.(T).
func asserted(info *types.Info, init ast.Stmt) *types.TypeName {
	assign, ok := init.(*ast.AssignStmt)
	if !ok || len(assign.Rhs) != 1 {
		return nil
	}
	assert, ok := assign.Rhs[0].(*ast.TypeAssertExpr)
	if !ok || assert.Type == nil {
		return nil
	}
	if t := named(info.TypeOf(assert.Type)); t != nil {
		return t.Obj()
	}
	return nil
}

// reach adds to c the events that node may create, itself or through calls, and the
// errors that it names.
func (p *Project) reach(d *decl, node ast.Node, a *Aggregate, c *Message, seen map[ast.Node]bool) {
	if seen[node] {
		return
	}
	seen[node] = true
	info := d.pkg.TypesInfo
	add := func(t types.Type) {
		if n := named(t); n != nil && a.event(n.Obj()) != nil && !slices.Contains(c.Emits, n.Obj()) {
			c.Emits = append(c.Emits, n.Obj())
		}
	}
	ast.Inspect(node, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			add(info.TypeOf(n))
		case *ast.Ident:
			if v, ok := info.Uses[n].(*types.Var); ok && v.Pkg() != nil && v.Parent() == v.Pkg().Scope() && v.Type().String() == "error" && !slices.Contains(c.Errors, v) {
				c.Errors = append(c.Errors, v)
			}
		case *ast.CallExpr:
			if info.Types[n.Fun].IsType() {
				add(info.TypeOf(n))
			} else if fn := typeutil.StaticCallee(info, n); fn != nil && p.decls[fn.Origin()] != nil {
				p.reach(p.decls[fn.Origin()], p.decls[fn.Origin()].node.Body, a, c, seen)
			}
		}
		return true
	})
}

// findEvolutions finds the code that applies each event.
func (p *Project) findEvolutions(a *Aggregate) {
	for _, e := range a.Events {
		for _, d := range p.behaviour(a.Event, e.Obj, 1) {
			e.Handled = d.node.Name.Pos()
		}
	}
	for _, d := range p.sortedDecls(a.Pkg) {
		p.switches(d, a.Event, func(clause *ast.CaseClause, t *types.Named) {
			if e := a.event(t.Obj()); e != nil && !e.Handled.IsValid() {
				e.Handled = clause.Pos()
			}
		})
	}
}

// streamType returns the stream type of a runner of a, or the constant StreamType of
// its package.
func (p *Project) streamType(a *Aggregate) string {
	for _, pkg := range p.Packages {
		found := ""
		inspect(pkg, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 || found != "" {
				return true
			}
			fn := typeutil.StaticCallee(pkg.TypesInfo, call)
			if fn == nil || fn.Pkg() == nil || fn.Pkg().Path() != RunnerPath || fn.Name() != "New" {
				return true
			}
			if name, args := instance(pkg.TypesInfo.TypeOf(call.Args[1])); name == "Decider" && types.Identical(args[2], a.Event) {
				if v := pkg.TypesInfo.Types[call.Args[0]].Value; v != nil && v.Kind() == constant.String {
					found = constant.StringVal(v)
				}
			}
			return true
		})
		if found != "" {
			return found
		}
	}
	if c, ok := a.Pkg.Types.Scope().Lookup("StreamType").(*types.Const); ok && c.Val().Kind() == constant.String {
		return constant.StringVal(c.Val())
	}
	return ""
}
