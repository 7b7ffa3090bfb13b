package check

import (
	"go/ast"
	"go/token"
	"go/types"
)

// expr returns the value of e, and follows its side effects.
func (t *tracer) expr(e ast.Expr) tree {
	known := t.evaluate(e)
	if tv, ok := t.TypesInfo.Types[e]; ok && !tv.IsVoid() && !hasMemory(tv.Type) {
		return tree{}
	}
	return known
}

func (t *tracer) evaluate(e ast.Expr) tree {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return t.expr(e.X)
	case *ast.Ident:
		return t.ident(e)
	case *ast.SelectorExpr:
		known, _ := t.selector(e)
		return known
	case *ast.IndexExpr:
		known, _ := t.located(e)
		return known
	case *ast.SliceExpr:
		return t.slice(e)
	case *ast.StarExpr:
		return t.star(e)
	case *ast.UnaryExpr:
		return t.unary(e)
	case *ast.BinaryExpr:
		t.expr(e.X)
		t.expr(e.Y)
	case *ast.TypeAssertExpr:
		return t.expr(e.X)
	case *ast.CompositeLit:
		return t.literal(e)
	case *ast.CallExpr:
		if results := t.call(e); len(results) > 0 {
			return results[0]
		}
	case *ast.FuncLit:
		t.closure(e)
	}
	return tree{}
}

func (t *tracer) ident(id *ast.Ident) tree {
	obj := t.TypesInfo.ObjectOf(id)
	a, ok := t.m.aliases[obj]
	switch {
	case !ok:
		return t.m.vars[obj]
	case a.pointer:
		return t.at(a.place)
	}
	return address(t.at(a.place), 0)
}

// at returns the value of p.
func (t *tracer) at(p place) tree {
	known := t.m.vars[p.variable]
	if p.path == "" {
		return known
	}
	part := known.part(p.path, false)
	part.value = known.at(p.path)
	return part
}

// address is the pointer to a value known as t, in the memory of whose.
func address(t tree, whose params) tree {
	return tree{value{ref: whose, deep: t.all()}, t.sub}
}

// step is one field on the way of a selector.
type step struct {
	path    string
	pointer bool // it is reached through a pointer
}

// path returns the fields that e selects, including those of embedded structs, or nil
// if e is not a field. It leaves out the last step of a method.
func (t *tracer) path(e *ast.SelectorExpr) []step {
	sel := t.TypesInfo.Selections[e]
	if sel == nil {
		return nil
	}
	index := sel.Index()
	if sel.Kind() != types.FieldVal {
		index = index[:len(index)-1]
	}
	var all []step
	typ := sel.Recv()
	for _, i := range index {
		p, pointer := typ.Underlying().(*types.Pointer)
		if pointer {
			typ = p.Elem()
		}
		fields, ok := typ.Underlying().(*types.Struct)
		if !ok {
			return nil
		}
		all = append(all, step{"." + fields.Field(i).Name(), pointer})
		typ = fields.Field(i).Type()
	}
	return all
}

// located returns the value of e, and whose memory the variable e is in.
func (t *tracer) located(e ast.Expr) (tree, params) {
	switch e := ast.Unparen(e).(type) {
	case *ast.SelectorExpr:
		return t.selector(e)
	case *ast.StarExpr:
		return t.star(e), t.expr(e.X).ref
	case *ast.IndexExpr:
		return t.index(e)
	}
	return t.expr(e), 0
}

// within returns whose memory the variable e is in.
func (t *tracer) within(e ast.Expr) params {
	switch e := ast.Unparen(e).(type) {
	case *ast.SelectorExpr, *ast.StarExpr, *ast.IndexExpr:
		_, whose := t.located(e)
		return whose
	}
	return 0
}

// selector returns the value of e, and whose memory it is in.
func (t *tracer) selector(e *ast.SelectorExpr) (tree, params) {
	if t.TypesInfo.Selections[e] == nil {
		return tree{}, 0 // of a package
	}
	known, whose := t.located(e.X)
	for _, s := range t.path(e) {
		if s.pointer {
			whose = known.ref
		}
		known = known.part(s.path, s.pointer)
	}
	return known, whose
}

func (t *tracer) index(e *ast.IndexExpr) (tree, params) {
	if _, ok := t.TypesInfo.TypeOf(e.X).Underlying().(*types.Signature); ok || !t.TypesInfo.Types[e.X].IsValue() {
		return tree{}, 0 // a generic function or type
	}
	known, whose := t.located(e.X)
	t.expr(e.Index)
	if _, array := t.TypesInfo.TypeOf(e.X).Underlying().(*types.Array); array {
		return known.part(element(e.Index), false), whose
	}
	return known.part(element(e.Index), true), known.ref
}

// element is the step to the element at index.
func element(index ast.Expr) string {
	switch index := ast.Unparen(index).(type) {
	case *ast.Ident, *ast.BasicLit:
		return "[" + types.ExprString(index) + "]"
	case *ast.SelectorExpr:
		if id, ok := index.X.(*ast.Ident); ok {
			return "[" + id.Name + "/" + index.Sel.Name + "]" // no dot: it is one step
		}
	}
	return "[]"
}

func (t *tracer) slice(e *ast.SliceExpr) tree {
	known := t.expr(e.X)
	for _, i := range []ast.Expr{e.Low, e.High, e.Max} {
		if i != nil {
			t.expr(i)
		}
	}
	if _, array := t.TypesInfo.TypeOf(e.X).Underlying().(*types.Array); array {
		return address(known, t.within(e.X))
	}
	known.clip = e.Slice3 && types.ExprString(e.High) == types.ExprString(e.Max)
	return known
}

func (t *tracer) star(e *ast.StarExpr) tree {
	if tv := t.TypesInfo.Types[e.X]; tv.IsType() {
		return tree{}
	}
	if id, ok := ast.Unparen(e.X).(*ast.Ident); ok {
		if a, ok := t.m.aliases[t.TypesInfo.ObjectOf(id)]; ok && !a.pointer {
			return t.at(a.place)
		}
	}
	known := t.expr(e.X)
	return tree{known.load(), known.sub}
}

func (t *tracer) unary(e *ast.UnaryExpr) tree {
	known, whose := t.located(e.X)
	if e.Op != token.AND {
		return tree{}
	}
	if _, ok := ast.Unparen(e.X).(*ast.CompositeLit); ok {
		return known
	}
	return address(known, whose)
}

func (t *tracer) literal(e *ast.CompositeLit) tree {
	known := tree{}
	typ := t.TypesInfo.TypeOf(e).Underlying()
	if p, ok := typ.(*types.Pointer); ok { // &T is left out in a literal of []*T
		typ = p.Elem().Underlying()
	}
	fields, isStruct := typ.(*types.Struct)
	_, isArray := typ.(*types.Array)
	for i, elt := range e.Elts {
		kv, keyed := elt.(*ast.KeyValueExpr)
		if keyed {
			elt = kv.Value
		}
		v := t.expr(elt)
		switch {
		case isStruct && keyed:
			known = known.with("."+kv.Key.(*ast.Ident).Name, v) //nolint:errcheck // the key of a field is a name
		case isStruct:
			known = known.with("."+fields.Field(i).Name(), v)
		case isArray:
			known.value = known.value.join(v.whole(t.TypesInfo.TypeOf(elt)))
		default:
			known.deep |= v.whole(t.TypesInfo.TypeOf(elt)).all()
		}
	}
	return known
}

// closure follows a function literal as if it were called here.
func (t *tracer) closure(e *ast.FuncLit) {
	before, around, in := t.m, t.frame, t.stmt
	t.m, t.frame = t.m.clone(), &frame{end: &memory{dead: true}}
	t.block(e.Body.List)
	t.m, t.frame, t.stmt = before, around, in
}

// holder returns the expression whose memory an assignment to e writes to.
func (t *tracer) holder(e ast.Expr) ast.Expr {
	switch x := ast.Unparen(e).(type) {
	case *ast.SelectorExpr:
		if _, pointer := t.TypesInfo.TypeOf(x.X).Underlying().(*types.Pointer); !pointer {
			return t.holder(x.X)
		}
		return x.X
	case *ast.StarExpr:
		return x.X
	case *ast.IndexExpr:
		if _, array := t.TypesInfo.TypeOf(x.X).Underlying().(*types.Array); array {
			return t.holder(x.X)
		}
		return x.X
	}
	return e
}

// place returns the variable, or the part of one, that e is.
func (t *tracer) place(e ast.Expr) (place, bool) {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		obj := t.TypesInfo.ObjectOf(e)
		if a, ok := t.m.aliases[obj]; ok {
			return a.place, true
		}
		v, ok := obj.(*types.Var)
		return place{obj, ""}, ok && !isPackageLevel(v)
	case *ast.SelectorExpr:
		if star, ok := ast.Unparen(e.X).(*ast.StarExpr); ok {
			e = &ast.SelectorExpr{X: star.X, Sel: e.Sel}
			p, ok := t.place(star.X)
			p.path += "." + e.Sel.Name
			return p, ok
		}
		p, ok := t.place(e.X)
		steps := t.path(e)
		for _, s := range steps {
			p.path += s.path
		}
		return p, ok && steps != nil
	case *ast.IndexExpr:
		p, ok := t.place(e.X)
		p.path += element(e.Index)
		return p, ok && element(e.Index) != "[]"
	case *ast.StarExpr:
		if id, ok := ast.Unparen(e.X).(*ast.Ident); ok {
			a, ok := t.m.aliases[t.TypesInfo.ObjectOf(id)]
			return a.place, ok && !a.pointer
		}
	}
	return place{}, false
}
