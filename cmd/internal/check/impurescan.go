package check

import (
	"go/ast"
	"go/token"
	"go/types"
)

// scan returns the uses in node, a function or the value of a variable, in order.
func (p *purity) scan(node ast.Node) []use {
	s := scanner{purity: p, node: node, assigned: map[*ast.Ident]bool{}}
	ast.Inspect(node, s.visit)
	return s.uses
}

type scanner struct {
	*purity

	node     ast.Node
	assigned map[*ast.Ident]bool // variables that are reported as written
	uses     []use
}

func (s *scanner) add(n ast.Node, what string) {
	s.append(use{node: n, effect: effect{what, true}})
}

func (s *scanner) append(u use) {
	if !s.silent(u.node.Pos()) {
		s.uses = append(s.uses, u)
	}
}

func (s *scanner) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		s.add(n, "starts a goroutine")
	case *ast.SendStmt:
		s.add(n, "sends on a channel")
	case *ast.SelectStmt:
		s.add(n, "selects")
		return false
	case *ast.RangeStmt:
		if _, ok := s.TypesInfo.TypeOf(n.X).Underlying().(*types.Chan); ok {
			s.add(n, "receives from a channel")
		}
		s.write(n.Key)
		s.write(n.Value)
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			s.add(n, "receives from a channel")
		}
	case *ast.AssignStmt:
		for _, lhs := range n.Lhs {
			s.write(lhs)
		}
	case *ast.IncDecStmt:
		s.write(n.X)
	case *ast.CallExpr:
		s.builtin(n)
	case *ast.Ident:
		s.ident(n)
	}
	return true
}

// builtin examines a call of print, close, make, delete, clear or copy.
func (s *scanner) builtin(call *ast.CallExpr) {
	name := builtinName(s.TypesInfo, call)
	switch name {
	case "print", "println":
		s.add(call, "prints")
	case "close":
		s.add(call, "closes a channel")
	case "make":
		if _, ok := s.TypesInfo.TypeOf(call).Underlying().(*types.Chan); ok {
			s.add(call, "makes a channel")
		}
	case "delete", "clear", "copy":
		s.write(&ast.IndexExpr{X: call.Args[0]})
	}
}

// builtinName returns the name of the built-in function that is called, or "".
func builtinName(info *types.Info, call *ast.CallExpr) string {
	if id, ok := ast.Unparen(call.Fun).(*ast.Ident); ok {
		if b, ok := info.Uses[id].(*types.Builtin); ok {
			return b.Name()
		}
	}
	return ""
}

// write examines an assignment to a package variable, to a variable of the function
// around node, or to a part of one.
func (s *scanner) write(lhs ast.Expr) {
	id := base(s.TypesInfo, lhs)
	if id == nil {
		return
	}
	v, ok := s.TypesInfo.Uses[id].(*types.Var)
	if !ok || v.IsField() {
		return
	}
	switch {
	case isPackageLevel(v):
		s.assigned[id] = true
		s.add(id, "writes the package variable "+v.Name())
	case v.Pos() < s.node.Pos() || v.Pos() >= s.node.End():
		s.assigned[id] = true
		s.add(id, "writes "+v.Name()+", a variable outside of it")
	}
}

// base returns the variable that lhs is part of, possibly through pointers, maps and
// slices, or nil.
func base(info *types.Info, lhs ast.Expr) *ast.Ident {
	switch e := lhs.(type) {
	case *ast.Ident:
		return e
	case *ast.ParenExpr:
		return base(info, e.X)
	case *ast.SelectorExpr:
		if id, ok := e.X.(*ast.Ident); ok {
			if _, ok := info.Uses[id].(*types.PkgName); ok {
				return e.Sel
			}
		}
		return base(info, e.X)
	case *ast.IndexExpr:
		return base(info, e.X)
	case *ast.StarExpr:
		return base(info, e.X)
	case *ast.SliceExpr:
		return base(info, e.X)
	}
	return nil
}

// ident examines the use of a name.
func (s *scanner) ident(id *ast.Ident) {
	switch obj := s.TypesInfo.Uses[id].(type) {
	case *types.Func:
		if _, ok := s.functions.declared[obj.Origin()]; ok {
			s.append(use{node: id, callee: obj.Origin()})
		} else if e := s.outside(obj.Origin()); e.what != "" {
			s.append(use{node: id, effect: e})
		}
	case *types.Var:
		if isPackageLevel(obj) && !s.assigned[id] {
			s.read(id, obj)
		}
	}
}

// read examines the use of a package variable.
func (s *scanner) read(id *ast.Ident, v *types.Var) {
	name, _ := ours(v.Type())
	switch {
	case v.Pkg() != s.Pkg:
		if e := s.outside(v); e.what != "" && !isError(v.Type()) {
			s.append(use{node: id, effect: e})
		}
	case s.effects[0][v] != "":
		s.append(use{node: id, effect: effect{what: s.effects[0][v]}})
	case s.written[v]:
		s.add(id, "reads the package variable "+v.Name()+", which changes")
	case isRandom(v.Type()):
		s.add(id, "reads the package variable "+v.Name()+", a source of random numbers")
	case v.Exported() && !isError(v.Type()) && name == "":
		s.add(id, "reads the package variable "+v.Name()+", which anyone can change")
	}
}

// isRandom reports whether t, or the type that it points to, is a source of random
// numbers. Each use changes it, although nothing is assigned.
func isRandom(t types.Type) bool {
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	named, ok := types.Unalias(t).(*types.Named)
	if !ok || named.Obj().Pkg() == nil {
		return false
	}
	path := named.Obj().Pkg().Path()
	return path == "math/rand" || path == "math/rand/v2"
}

// isPackageLevel reports whether v is a package variable.
func isPackageLevel(v *types.Var) bool {
	return v.Pkg() != nil && v.Parent() == v.Pkg().Scope()
}

func isError(t types.Type) bool {
	return types.Implements(t, types.Universe.Lookup("error").Type().Underlying().(*types.Interface)) //nolint:errcheck // it is one
}

// changing returns the package variables that are written outside of their declaration
// and init. Variables whose address is taken count too.
func (p *purity) changing() map[types.Object]bool {
	written := map[types.Object]bool{}
	mark := func(e ast.Expr) {
		if id := base(p.TypesInfo, e); id != nil {
			if v, ok := p.TypesInfo.Uses[id].(*types.Var); ok && isPackageLevel(v) {
				written[v] = true
			}
		}
	}
	visit := func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			return n.Recv != nil || n.Name.Name != "init"
		case *ast.AssignStmt:
			for _, lhs := range n.Lhs {
				mark(lhs)
			}
		case *ast.IncDecStmt:
			mark(n.X)
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				mark(n.X)
			}
		case *ast.CallExpr:
			switch builtinName(p.TypesInfo, n) {
			case "delete", "clear", "copy":
				mark(n.Args[0])
			}
		case *ast.SelectorExpr:
			if addressed(p.TypesInfo, n) {
				mark(n.X)
			}
		}
		return true
	}
	for _, file := range p.Files {
		ast.Inspect(file, visit)
	}
	return written
}

// addressed reports whether n is a method that takes the address of n.X, a value.
func addressed(info *types.Info, n *ast.SelectorExpr) bool {
	sel := info.Selections[n]
	if sel == nil || sel.Kind() != types.MethodVal {
		return false
	}
	_, pointer := sel.Obj().(*types.Func).Signature().Recv().Type().(*types.Pointer)
	_, already := sel.Recv().Underlying().(*types.Pointer)
	return pointer && !already
}
