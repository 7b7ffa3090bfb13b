package check

import (
	"go/ast"
	"go/token"
	"go/types"
)

// block follows the statements in a list.
func (t *tracer) block(list []ast.Stmt) {
	for _, s := range list {
		if t.m.dead {
			return
		}
		before := t.stmt
		t.stmt = s
		t.follow(s)
		t.stmt = before
	}
}

// follow follows s, which may be nil.
func (t *tracer) follow(s ast.Stmt) {
	t.steps++
	switch s := s.(type) {
	case *ast.BlockStmt:
		t.block(s.List)
	case *ast.LabeledStmt:
		t.follow(s.Stmt)
	case *ast.ExprStmt:
		t.expr(s.X)
	case *ast.DeferStmt:
		t.expr(s.Call)
	case *ast.GoStmt:
		t.expr(s.Call)
	case *ast.SendStmt:
		t.expr(s.Value)
	case *ast.AssignStmt:
		t.assignment(s)
	case *ast.IncDecStmt:
		t.write(s, s.X)
	case *ast.DeclStmt:
		t.declaration(s)
	case *ast.ReturnStmt:
		t.leave(s)
	case *ast.BranchStmt:
		t.branch(s)
	case *ast.IfStmt:
		t.condition(s)
	case *ast.ForStmt:
		t.loop(s)
	case *ast.RangeStmt:
		t.ranging(s)
	case *ast.SwitchStmt:
		t.follow(s.Init)
		if s.Tag != nil {
			t.expr(s.Tag)
		}
		t.clauses(s.Body, nil)
	case *ast.TypeSwitchStmt:
		t.typeSwitch(s)
	case *ast.SelectStmt:
		t.clauses(s.Body, nil)
	}
}

func (t *tracer) assignment(s *ast.AssignStmt) {
	if s.Tok != token.ASSIGN && s.Tok != token.DEFINE {
		t.expr(s.Rhs[0])
		t.write(s, s.Lhs[0])
		return
	}
	t.assign(s, s.Lhs, s.Rhs)
}

// assign follows lhs = rhs in node.
func (t *tracer) assign(node ast.Node, lhs, rhs []ast.Expr) {
	values := make([]tree, len(lhs))
	if call, ok := ast.Unparen(rhs[0]).(*ast.CallExpr); ok && len(lhs) > len(rhs) {
		copy(values, t.call(call))
	} else {
		for i := range rhs {
			values[i] = t.expr(rhs[i])
		}
	}
	for i := range lhs {
		t.write(node, lhs[i])
		t.store(lhs[i], values[i])
		if len(lhs) == len(rhs) {
			t.aliased(lhs[i], rhs[i])
		}
	}
}

// write records that node writes to lhs.
func (t *tracer) write(node ast.Node, lhs ast.Expr) {
	t.mutated(t.within(lhs), node, t.holder(lhs), "writes to")
}

// store records v as the value of lhs.
func (t *tracer) store(lhs ast.Expr, v tree) {
	typ := t.TypesInfo.TypeOf(lhs)
	if id, ok := ast.Unparen(lhs).(*ast.Ident); ok {
		obj := t.TypesInfo.ObjectOf(id)
		if local, ok := obj.(*types.Var); ok && !isPackageLevel(local) {
			t.m.set(place{obj, ""}, v)
		}
		return
	}
	if !hasMemory(typ) {
		return
	}
	if p, ok := t.place(lhs); ok {
		t.m.set(p, v)
		return
	}
	if p, ok := t.place(t.holder(lhs)); ok { // an element without a name
		known := t.at(p)
		known.deep |= v.whole(typ).all()
		t.m.set(p, known)
	}
}

// aliased records that lhs points to a variable, if rhs does.
func (t *tracer) aliased(lhs, rhs ast.Expr) {
	id, isName := ast.Unparen(lhs).(*ast.Ident)
	of, isAddress := ast.Unparen(rhs).(*ast.UnaryExpr)
	if isName && isAddress && of.Op == token.AND {
		t.alias(t.TypesInfo.ObjectOf(id), of.X, false)
	}
}

// alias records that v points to e or, if pointer is set, to what e points to.
func (t *tracer) alias(v types.Object, e ast.Expr, pointer bool) {
	if p, ok := t.place(e); ok && v != nil && t.within(e) == 0 && p.variable != v {
		if id, ok := ast.Unparen(e).(*ast.Ident); ok {
			if a, ok := t.m.aliases[t.TypesInfo.ObjectOf(id)]; ok {
				pointer = a.pointer
			}
		}
		t.m.aliases[v] = alias{p, pointer}
	}
}

func (t *tracer) declaration(s *ast.DeclStmt) {
	gen, ok := s.Decl.(*ast.GenDecl)
	if !ok {
		return
	}
	for _, spec := range gen.Specs {
		v, ok := spec.(*ast.ValueSpec)
		if !ok {
			continue
		}
		names := make([]ast.Expr, len(v.Names))
		for i, name := range v.Names {
			names[i] = name
			t.store(name, tree{})
		}
		if len(v.Values) > 0 {
			t.assign(s, names, v.Values)
		}
	}
}

// leave follows a return.
func (t *tracer) leave(s *ast.ReturnStmt) {
	var results []tree
	if len(s.Results) == 1 {
		if call, ok := ast.Unparen(s.Results[0]).(*ast.CallExpr); ok {
			results = t.call(call)
		} else {
			results = []tree{t.expr(s.Results[0])}
		}
	} else {
		for _, e := range s.Results {
			results = append(results, t.expr(e))
		}
	}
	if len(s.Results) == 0 {
		for _, v := range t.frame.results {
			results = append(results, t.m.vars[v])
		}
	}
	for i, r := range results {
		if i < len(t.frame.returned) {
			t.frame.returned[i] = t.frame.returned[i].join(r)
		} else {
			t.frame.returned = append(t.frame.returned, r)
		}
	}
	t.frame.end.join(t.m)
	t.m.dead = true
}

func (t *tracer) branch(s *ast.BranchStmt) {
	if s.Tok == token.FALLTHROUGH {
		return // as if it left the switch
	}
	if s.Tok == token.BREAK {
		t.frame.breaks = append(t.frame.breaks, t.m.clone())
	}
	if s.Tok == token.CONTINUE {
		t.frame.continues = append(t.frame.continues, t.m.clone())
	}
	t.m.dead = true
}

func (t *tracer) condition(s *ast.IfStmt) {
	t.follow(s.Init)
	t.expr(s.Cond)
	otherwise := t.m.clone()
	t.known(s.Cond, token.EQL)
	t.block(s.Body.List)
	then := t.m
	t.m = otherwise
	t.known(s.Cond, token.NEQ)
	t.follow(s.Else)
	t.m.join(then)
}

// known records that something is nil, if cond compares it with nil by op.
func (t *tracer) known(cond ast.Expr, op token.Token) {
	c, ok := ast.Unparen(cond).(*ast.BinaryExpr)
	if !ok || c.Op != op || !t.TypesInfo.Types[c.Y].IsNil() {
		return
	}
	if p, ok := t.place(c.X); ok && t.within(c.X) == 0 {
		t.m.set(p, tree{})
	}
}

// repeat follows a body that runs any number of times.
func (t *tracer) repeat(body func()) {
	breaks, continues := t.frame.breaks, t.frame.continues
	out := t.m.clone()
	for turn := range 2 { // the second pass sees the results of the first
		if turn > 0 && t.steps > maxSteps {
			break
		}
		t.frame.breaks, t.frame.continues = nil, nil
		body()
		for _, m := range t.frame.continues {
			t.m.join(m)
		}
		out.join(t.m)
		for _, m := range t.frame.breaks {
			out.join(m)
		}
		t.m = out.clone()
	}
	t.frame.breaks, t.frame.continues = breaks, continues
}

func (t *tracer) loop(s *ast.ForStmt) {
	t.follow(s.Init)
	t.repeat(func() {
		if s.Cond != nil {
			t.expr(s.Cond)
		}
		t.block(s.Body.List)
		if !t.m.dead {
			t.follow(s.Post)
		}
	})
}

func (t *tracer) ranging(s *ast.RangeStmt) {
	known := t.expr(s.X)
	v := tree{value: known.load()}
	if _, array := t.TypesInfo.TypeOf(s.X).Underlying().(*types.Array); array {
		v = tree{value: known.value}
	}
	t.repeat(func() {
		for _, e := range []ast.Expr{s.Key, s.Value} {
			if e == nil || isBlank(e) {
				continue
			}
			if s.Tok == token.ASSIGN {
				t.write(s, e)
			}
			if hasMemory(t.TypesInfo.TypeOf(e)) {
				t.store(e, v)
			}
		}
		t.block(s.Body.List)
	})
}

func isBlank(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "_"
}

// clauses follows the clauses of a switch. It calls bind for each.
func (t *tracer) clauses(body *ast.BlockStmt, bind func(*ast.CaseClause)) {
	breaks := t.frame.breaks
	t.frame.breaks = nil
	before, after, covered := t.m, &memory{dead: true}, false
	for _, s := range body.List {
		t.m = before.clone()
		switch s := s.(type) {
		case *ast.CaseClause:
			covered = covered || s.List == nil
			if bind != nil {
				bind(s)
			} else {
				for _, e := range s.List {
					t.expr(e)
				}
			}
			t.block(s.Body)
		case *ast.CommClause:
			t.follow(s.Comm)
			t.block(s.Body)
		}
		after.join(t.m)
	}
	for _, m := range t.frame.breaks {
		after.join(m)
	}
	if !covered {
		after.join(before)
	}
	t.m, t.frame.breaks = after, breaks
}

func (t *tracer) typeSwitch(s *ast.TypeSwitchStmt) {
	t.follow(s.Init)
	known := tree{}
	switch a := s.Assign.(type) {
	case *ast.ExprStmt:
		t.expr(a.X)
	case *ast.AssignStmt:
		known = t.expr(a.Rhs[0])
	}
	t.clauses(s.Body, func(c *ast.CaseClause) {
		if v := t.TypesInfo.Implicits[c]; v != nil && hasMemory(v.Type()) {
			t.m.set(place{v, ""}, known)
		}
	})
}
