package check

import (
	"go/ast"
	"go/types"
	"reflect"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/inspect"
	"golang.org/x/tools/go/ast/inspector"
	"golang.org/x/tools/go/types/typeutil"
)

const (
	deciderPath = "github.com/evolvego/evolve/decider"
	codecPath   = deciderPath + "/codec"
)

// Functions finds the functions of deciders, views and processes for the other
// analyzers. It reports nothing.
var Functions = &analysis.Analyzer{
	Name:       "functions",
	Doc:        "find the functions of deciders, views and processes",
	Run:        runFunctions,
	Requires:   []*analysis.Analyzer{inspect.Analyzer},
	ResultType: reflect.TypeFor[*functions](),
}

// functions are the pure functions that a package gives to deciders.
type functions struct {
	pure     []*function
	outside  []reference // to functions of other packages that are used as pure ones
	deciders []decider
	declared map[*types.Func]*ast.FuncDecl // all that have a body
	order    []*types.Func                 // those with a declaration

	byNode   map[ast.Node]*function
	assigned map[types.Object][]ast.Expr
	info     *types.Info
}

// function is a function that must be pure.
type function struct {
	node  ast.Node // *ast.FuncDecl or *ast.FuncLit
	typ   *ast.FuncType
	recv  *ast.FieldList // nil if it is not a method
	body  *ast.BlockStmt
	name  string
	role  string // the field of its owner, such as Evolve; "" if it is an argument of owner
	owner string // Decider, View, Process, or a function such as decider.Focus

	command, event types.Type // of its Decider; nil if there is none
}

// reference is a function of another package that must be pure.
type reference struct {
	expr ast.Expr
	fn   *types.Func
}

// decider is a place where a Decider is made.
type decider struct {
	expr  ast.Expr
	event types.Type
}

// String names f in a message.
func (f *function) String() string {
	switch {
	case f.role == "" && f.name == "":
		return "the function given to " + f.owner
	case f.role == "":
		return f.name + ", given to " + f.owner + ","
	case f.name == "", strings.EqualFold(f.name, f.role):
		return f.role
	}
	return f.name + ", the " + f.role + " of a " + f.owner + ","
}

func runFunctions(pass *analysis.Pass) (any, error) {
	fs := &functions{
		declared: map[*types.Func]*ast.FuncDecl{},
		byNode:   map[ast.Node]*function{},
		assigned: map[types.Object][]ast.Expr{},
		info:     pass.TypesInfo,
	}
	in := pass.ResultOf[inspect.Analyzer].(*inspector.Inspector) //nolint:errcheck // by ResultType
	fs.collect(in)
	kinds := []ast.Node{(*ast.CallExpr)(nil), (*ast.CompositeLit)(nil), (*ast.AssignStmt)(nil)}
	in.Preorder(kinds, func(n ast.Node) {
		switch n := n.(type) {
		case *ast.CallExpr:
			fs.call(n)
		case *ast.CompositeLit:
			fs.literal(n)
		case *ast.AssignStmt:
			fs.assign(n)
		}
	})
	return fs, nil
}

// collect finds all declarations, and the values assigned to each variable.
func (fs *functions) collect(in *inspector.Inspector) {
	kinds := []ast.Node{(*ast.FuncDecl)(nil), (*ast.ValueSpec)(nil), (*ast.AssignStmt)(nil)}
	in.Preorder(kinds, func(n ast.Node) {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if fn, ok := fs.info.Defs[n.Name].(*types.Func); ok && n.Body != nil {
				fs.declared[fn] = n
				fs.order = append(fs.order, fn)
			}
		case *ast.ValueSpec:
			for i := range n.Values {
				if len(n.Names) == len(n.Values) {
					obj := fs.info.Defs[n.Names[i]]
					fs.assigned[obj] = append(fs.assigned[obj], n.Values[i])
				}
			}
		case *ast.AssignStmt:
			for i := range n.Lhs {
				if id, ok := n.Lhs[i].(*ast.Ident); ok && len(n.Lhs) == len(n.Rhs) {
					obj := fs.info.ObjectOf(id)
					fs.assigned[obj] = append(fs.assigned[obj], n.Rhs[i])
				}
			}
		}
	})
}

// call examines a call of a function of package decider, or of codec.Up or UpMany. All
// their function arguments must be pure.
func (fs *functions) call(call *ast.CallExpr) {
	fn := typeutil.StaticCallee(fs.info, call)
	if fn == nil || fn.Pkg() == nil || fn.Signature().Recv() != nil || !fn.Exported() {
		return
	}
	owner := function{owner: fn.Pkg().Name() + "." + fn.Name()}
	path := fn.Pkg().Path()
	if path != deciderPath && (path != codecPath || fn.Name() != "Up" && fn.Name() != "UpMany") {
		return
	}
	var roles []string
	switch fn.Name() {
	case "New":
		roles = []string{"Decide", "Evolve"}
	case "Union", "Merge":
		roles = []string{"Initial"}
	}
	if name, args := ours(fs.info.TypeOf(call)); name == "Decider" && (roles != nil || fn.Name() == "Of") {
		owner.command, owner.event = args[0], args[2]
		fs.deciders = append(fs.deciders, decider{call, args[2]})
	}
	if fn.Name() == "Of" && len(call.Args) == 1 {
		fs.methods(call.Args[0], owner)
		return
	}
	for i, arg := range call.Args {
		f := owner
		if i < len(roles) {
			f.owner, f.role = "Decider", roles[i]
		}
		if _, ok := fs.info.TypeOf(arg).Underlying().(*types.Signature); ok {
			fs.add(arg, f)
		}
	}
}

// methods adds the methods of the aggregate that is given to decider.Of.
func (fs *functions) methods(aggregate ast.Expr, owner function) {
	for _, role := range []string{"Decide", "Evolve", inPlace, "Initial", "Terminal"} {
		obj, _, _ := types.LookupFieldOrMethod(fs.info.TypeOf(aggregate), true, nil, role)
		if fn, ok := obj.(*types.Func); ok {
			f := owner
			f.owner, f.role = "Decider", role
			fs.addFunc(aggregate, fn, f)
		}
	}
}

// literal examines a composite literal of a Decider, View or Process.
func (fs *functions) literal(lit *ast.CompositeLit) {
	owner, args := ours(fs.info.TypeOf(lit))
	if owner == "" {
		return
	}
	f := function{owner: owner}
	if owner == "Decider" {
		f.command, f.event = args[0], args[2]
		fs.deciders = append(fs.deciders, decider{lit, args[2]})
	}
	fields, _ := fs.info.TypeOf(lit).Underlying().(*types.Struct)
	for i, elt := range lit.Elts {
		f.role = fields.Field(i).Name()
		if kv, ok := elt.(*ast.KeyValueExpr); ok {
			f.role, elt = kv.Key.(*ast.Ident).Name, kv.Value //nolint:errcheck // the key of a field is a name
		}
		fs.add(elt, f)
	}
}

// assign examines an assignment to a field of a Decider, View or Process.
func (fs *functions) assign(n *ast.AssignStmt) {
	for i, lhs := range n.Lhs {
		sel, ok := ast.Unparen(lhs).(*ast.SelectorExpr)
		if !ok || len(n.Lhs) != len(n.Rhs) {
			continue
		}
		typ := fs.info.TypeOf(sel.X)
		if p, ok := typ.Underlying().(*types.Pointer); ok {
			typ = p.Elem()
		}
		if owner, args := ours(typ); owner != "" {
			f := function{owner: owner, role: sel.Sel.Name}
			if owner == "Decider" {
				f.command, f.event = args[0], args[2]
			}
			fs.add(n.Rhs[i], f)
		}
	}
}

// ours reports which of Decider, View and Process typ is, or "", and its type
// arguments.
func ours(typ types.Type) (name string, args []types.Type) {
	named, ok := types.Unalias(typ).(*types.Named)
	if !ok || named.Obj().Pkg() == nil || named.Obj().Pkg().Path() != deciderPath {
		return "", nil
	}
	switch name := named.Obj().Name(); name {
	case "Decider", "View", "Process":
		for t := range named.TypeArgs().Types() {
			args = append(args, t)
		}
		if len(args) == 0 { // inside its own methods
			for t := range named.TypeParams().TypeParams() {
				args = append(args, t)
			}
		}
		return name, args
	}
	return "", nil
}

// add adds the function that expr is, or the ones that it may be.
func (fs *functions) add(expr ast.Expr, f function) {
	for _, e := range fs.resolve(expr, map[ast.Expr]bool{}) {
		switch e := e.(type) {
		case *ast.FuncLit:
			f.name, f.node, f.typ, f.body = "", e, e.Type, e.Body
			fs.put(f)
		default:
			fn := fs.named(e)
			if fn == nil {
				continue
			}
			for _, m := range fs.implementations(fn) {
				fs.addFunc(expr, m, f)
			}
			if !isInterfaceMethod(fn) {
				fs.addFunc(expr, fn, f)
			}
		}
	}
}

// addFunc adds a function or method that has a name.
func (fs *functions) addFunc(expr ast.Expr, fn *types.Func, f function) {
	fn = fn.Origin()
	decl, ok := fs.declared[fn]
	if !ok {
		fs.outside = append(fs.outside, reference{expr, fn})
		return
	}
	f.name, f.node, f.typ, f.recv, f.body = fn.Name(), decl, decl.Type, decl.Recv, decl.Body
	fs.put(f)
}

func (fs *functions) put(f function) {
	if fs.byNode[f.node] == nil {
		fs.byNode[f.node] = &f
		fs.pure = append(fs.pure, &f)
		fs.dispatched(f)
	}
}

// dispatched adds the methods that f calls through a sealed interface, because they are
// part of f.
func (fs *functions) dispatched(f function) {
	ast.Inspect(f.body, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if fn, ok := typeutil.Callee(fs.info, call).(*types.Func); ok {
				for _, m := range fs.implementations(fn) {
					fs.addFunc(call.Fun, m, f)
				}
			}
		}
		return true
	})
}

// implementations returns the methods of this package that a call of fn, a method of a
// sealed interface, may reach.
func (fs *functions) implementations(fn *types.Func) []*types.Func {
	if !isInterfaceMethod(fn) || !isSealed(fn.Signature().Recv().Type()) {
		return nil
	}
	sum := fn.Signature().Recv().Type().Underlying().(*types.Interface) //nolint:errcheck // isSealed has checked it
	var all []*types.Func
	for _, m := range fs.order {
		if r := m.Signature().Recv(); r != nil && m.Name() == fn.Name() && types.Implements(r.Type(), sum) {
			all = append(all, m)
		}
	}
	return all
}

func isInterfaceMethod(fn *types.Func) bool {
	r := fn.Signature().Recv()
	return r != nil && types.IsInterface(r.Type())
}

// resolve returns the function literals and function names that expr may be. It follows
// variables, and functions of the package that return one.
func (fs *functions) resolve(expr ast.Expr, seen map[ast.Expr]bool) []ast.Expr {
	expr = ast.Unparen(expr)
	if seen[expr] {
		return nil
	}
	seen[expr] = true
	var next []ast.Expr
	switch e := expr.(type) {
	case *ast.Ident:
		if _, ok := fs.info.Uses[e].(*types.Var); !ok {
			return []ast.Expr{e}
		}
		next = fs.assigned[fs.info.Uses[e]]
	case *ast.CallExpr:
		if fs.info.Types[e.Fun].IsType() && len(e.Args) == 1 {
			next = e.Args
		} else if fn := typeutil.StaticCallee(fs.info, e); fn != nil {
			next = returned(fs.declared[fn.Origin()])
		}
	default:
		return []ast.Expr{expr}
	}
	var all []ast.Expr
	for _, e := range next {
		all = append(all, fs.resolve(e, seen)...)
	}
	return all
}

// returned returns the expressions that decl, which has one result, returns.
func returned(decl *ast.FuncDecl) []ast.Expr {
	if decl == nil || decl.Type.Results.NumFields() != 1 {
		return nil
	}
	var all []ast.Expr
	ast.Inspect(decl.Body, func(n ast.Node) bool {
		if ret, ok := n.(*ast.ReturnStmt); ok {
			all = append(all, ret.Results...)
		}
		_, lit := n.(*ast.FuncLit)
		return !lit
	})
	return all
}

// named returns the function that expr names, or nil.
func (fs *functions) named(expr ast.Expr) *types.Func {
	switch e := ast.Unparen(expr).(type) {
	case *ast.IndexExpr:
		return fs.named(e.X)
	case *ast.IndexListExpr:
		return fs.named(e.X)
	case *ast.SelectorExpr:
		return fs.named(e.Sel)
	case *ast.Ident:
		fn, _ := fs.info.Uses[e].(*types.Func)
		return fn
	}
	return nil
}
