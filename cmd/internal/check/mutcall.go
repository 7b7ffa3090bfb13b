package check

import (
	"go/ast"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/types/typeutil"
)

// What functions of other packages do with their first argument. Functions that are not
// listed are assumed to be pure and to return new memory.
var (
	sorting    = words("sort.Slice sort.SliceStable sort.Sort sort.Stable sort.Strings sort.Ints sort.Float64s slices.Sort slices.SortFunc slices.SortStableFunc slices.Reverse")
	shrinking  = words("slices.Delete slices.DeleteFunc slices.Compact slices.CompactFunc slices.Replace")
	appending  = words("slices.Insert slices.AppendSeq")
	filling    = words("maps.Copy maps.DeleteFunc maps.Insert google.golang.org/protobuf/proto.Merge google.golang.org/protobuf/proto.Reset")
	copying    = words("maps.Clone slices.Clone slices.Concat slices.Repeat slices.Collect slices.Sorted slices.SortedFunc slices.SortedStableFunc maps.Collect")
	forwarding = words("maps.All maps.Keys maps.Values slices.All slices.Values slices.Backward slices.Grow slices.Clip")
)

func words(s string) []string { return strings.Fields(s) }

// call follows a call and returns its results.
func (t *tracer) call(call *ast.CallExpr) []tree {
	if t.TypesInfo.Types[call.Fun].IsType() {
		return []tree{t.expr(call.Args[0])}
	}
	if name := builtinName(t.TypesInfo, call); name != "" {
		return t.builtin(call, name)
	}
	if lit, ok := ast.Unparen(call.Fun).(*ast.FuncLit); ok {
		return t.inline(call, lit, lit.Type, nil, lit.Body)
	}
	if fn := typeutil.StaticCallee(t.TypesInfo, call); fn != nil {
		if decl := t.functions.declared[fn.Origin()]; decl != nil {
			return t.inline(call, decl, decl.Type, decl.Recv, decl.Body)
		}
		return t.library(call, fn.Origin().FullName())
	}
	t.expr(call.Fun)
	t.operands(call)
	return nil
}

// operands follows the arguments of call.
func (t *tracer) operands(call *ast.CallExpr) []tree {
	known := make([]tree, len(call.Args))
	for i, arg := range call.Args {
		known[i] = t.expr(arg)
	}
	return known
}

func (t *tracer) builtin(call *ast.CallExpr, name string) []tree {
	if name == "new" || name == "make" {
		return nil
	}
	known := t.operands(call)
	switch name {
	case "append":
		return []tree{t.appended(call, known)}
	case "delete":
		t.mutated(known[0].ref, call, call.Args[0], "deletes from")
	case "clear":
		t.mutated(known[0].ref, call, call.Args[0], "clears")
	case "panic":
		t.m.dead = true
	case "copy":
		t.mutated(known[0].ref, call, call.Args[0], "copies into")
	}
	return nil
}

// appended follows a call of append.
func (t *tracer) appended(call *ast.CallExpr, known []tree) tree {
	if !known[0].clip {
		t.mutated(known[0].ref, call, call.Args[0], "appends to")
	}
	result := tree{value: value{deep: known[0].whole(t.TypesInfo.TypeOf(call.Args[0])).deep}}
	for i, arg := range call.Args[1:] {
		v := known[i+1].whole(t.TypesInfo.TypeOf(arg))
		if call.Ellipsis.IsValid() {
			result.deep |= v.deep
		} else {
			result.deep |= v.all()
		}
	}
	if elem, ok := t.TypesInfo.TypeOf(call).Underlying().(*types.Slice); ok && !hasMemory(elem.Elem()) {
		result.deep = 0
	}
	return result
}

// library follows a call of a function of another package.
func (t *tracer) library(call *ast.CallExpr, name string) []tree {
	t.expr(call.Fun)
	known := t.operands(call)
	if len(known) == 0 {
		return nil
	}
	first := call.Args[0]
	if conv, ok := first.(*ast.CallExpr); ok && len(conv.Args) == 1 && t.TypesInfo.Types[conv.Fun].IsType() {
		first = conv.Args[0] // it only compares
	}
	switch {
	case slices.Contains(sorting, name):
		t.mutated(known[0].ref, call, first, "sorts")
		return nil
	case slices.Contains(shrinking, name):
		t.mutated(known[0].ref, call, first, "moves the elements of")
		return []tree{{value: value{deep: known[0].deep}, sub: known[0].sub}}
	case slices.Contains(appending, name):
		return []tree{t.appended(call, known)}
	case slices.Contains(filling, name):
		t.mutated(known[0].ref, call, first, "writes to")
		t.fill(first, known)
		return nil
	case slices.Contains(copying, name):
		return []tree{t.copied(call, known)}
	case slices.Contains(forwarding, name):
		known[0].clip = name == "slices.Clip"
		return known[:1]
	}
	return nil
}

// fill records that dst now also holds what the other arguments lead to.
func (t *tracer) fill(dst ast.Expr, known []tree) {
	if p, ok := t.place(dst); ok {
		v := t.at(p)
		for _, k := range known[1:] {
			v.deep |= k.deep
		}
		t.m.set(p, v)
	}
}

// copied describes a copy. The copy is new, but its elements may lead to old memory.
func (t *tracer) copied(call *ast.CallExpr, known []tree) tree {
	result := tree{}
	for i, arg := range call.Args {
		result.deep |= known[i].whole(t.TypesInfo.TypeOf(arg)).deep
	}
	var elem types.Type
	switch typ := t.TypesInfo.TypeOf(call).Underlying().(type) {
	case *types.Map:
		elem = typ.Elem()
	case *types.Slice:
		elem = typ.Elem()
	}
	if !hasMemory(elem) {
		result.deep = 0
	}
	return result
}

// inline follows a call into the function at node.
func (t *tracer) inline(call *ast.CallExpr, node ast.Node, typ *ast.FuncType, recv *ast.FieldList, body *ast.BlockStmt) []tree {
	known := t.operands(call)
	if slices.Contains(t.stack, node) || len(t.stack) > maxDepth || t.steps > maxSteps {
		return nil
	}
	args := call.Args
	sel, method := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	method = method && t.TypesInfo.Selections[sel] != nil
	if method && t.TypesInfo.Selections[sel].Kind() == types.MethodVal {
		t.receiver(sel, recv)
	} else if method && len(args) > 0 { // a method expression
		t.bind(recv, args[:1], known[:1], false)
		args, known = args[1:], known[1:]
	}
	t.bind(typ.Params, args, known, call.Ellipsis.IsValid())

	around, site, via, stmt, muted := t.frame, t.site, t.via, t.stmt, t.muted
	t.frame = &frame{end: &memory{dead: true}, results: t.results(typ)}
	if _, ok := node.(*ast.FuncDecl); ok && site == nil {
		t.site, t.via = call, types.ExprString(call.Fun)
	}
	t.muted = muted || t.functions.byNode[node] != nil
	t.stack = append(t.stack, node)
	t.block(body.List)
	t.stack = t.stack[:len(t.stack)-1]
	t.m.join(t.frame.end)
	t.m.dead = t.m.dead && t.frame.end.dead
	t.m.forget(node.Pos(), node.End())
	returned := t.frame.returned
	t.frame, t.site, t.via, t.stmt, t.muted = around, site, via, stmt, muted
	return returned
}

// results are the named results of a function, all zero.
func (t *tracer) results(typ *ast.FuncType) []types.Object {
	var all []types.Object
	if typ.Results != nil {
		for _, field := range typ.Results.List {
			for _, id := range field.Names {
				t.store(id, tree{})
				all = append(all, t.TypesInfo.Defs[id])
			}
		}
	}
	return all
}

// receiver records the receiver of the method that sel is.
func (t *tracer) receiver(sel *ast.SelectorExpr, recv *ast.FieldList) {
	if recv == nil || len(recv.List[0].Names) == 0 {
		t.expr(sel.X)
		return
	}
	v := t.TypesInfo.Defs[recv.List[0].Names[0]]
	if v == nil {
		return
	}
	known, whose := t.selector(sel) // of the embedded struct that has the method
	_, isPointer := v.Type().(*types.Pointer)
	steps := t.path(sel)
	if len(steps) > 0 {
		if isPointer && addressed(t.TypesInfo, sel) {
			known = address(known, whose)
		}
		t.m.set(place{v, ""}, known)
		return
	}
	_, already := t.TypesInfo.TypeOf(sel.X).Underlying().(*types.Pointer)
	switch {
	case isPointer && !already:
		t.m.set(place{v, ""}, address(known, t.within(sel.X)))
		t.alias(v, sel.X, false)
	case isPointer:
		t.m.set(place{v, ""}, known)
		t.alias(v, sel.X, true)
	case already:
		t.m.set(place{v, ""}, tree{known.load(), known.sub})
	default:
		t.m.set(place{v, ""}, known)
	}
}

// bind records the parameters in list.
func (t *tracer) bind(list *ast.FieldList, args []ast.Expr, known []tree, spread bool) {
	if list == nil {
		return
	}
	i := 0
	for _, field := range list.List {
		_, variadic := field.Type.(*ast.Ellipsis)
		for _, id := range field.Names {
			v := t.TypesInfo.Defs[id]
			switch {
			case v == nil:
			case variadic && !spread:
				rest := tree{}
				for ; i < len(args); i++ {
					rest.deep |= known[i].whole(t.TypesInfo.TypeOf(args[i])).all()
				}
				t.m.set(place{v, ""}, rest)
			case i < len(known):
				t.m.set(place{v, ""}, known[i])
				t.pointed(v, args[i])
			}
			i++
		}
		if len(field.Names) == 0 {
			i++
		}
	}
}

// pointed records what the parameter v, a pointer, points to.
func (t *tracer) pointed(v types.Object, arg ast.Expr) {
	if _, ok := v.Type().Underlying().(*types.Pointer); !ok {
		return
	}
	if of, ok := ast.Unparen(arg).(*ast.UnaryExpr); ok {
		t.alias(v, of.X, false)
		return
	}
	t.alias(v, arg, true)
}
