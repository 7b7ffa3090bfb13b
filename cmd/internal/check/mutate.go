package check

import (
	"go/ast"
	"go/types"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// Mutate finds functions that change their arguments.
var Mutate = &analysis.Analyzer{
	Name:     "mutate",
	Doc:      "find functions of deciders, views and processes that change their arguments\n\nEverybody who holds the state, the event or the command sees a write through its maps,\nslices and pointers: copy first.",
	Run:      runMutate,
	Requires: []*analysis.Analyzer{Functions, Ignore},
}

// argumentNames are the names of the parameters, by role.
var argumentNames = map[string][]string{
	"Decide":   {"the command", "the state"},
	"Evolve":   {"the state", "the event"},
	"React":    {"the state", "the event"},
	"Pending":  {"the state"},
	"Key":      {"the event"},
	"Terminal": {"the state"},

	inPlace: {"what the state refers to", "the event"},
}

// inPlace is the role of a function that may change the state that its first argument
// points to, but not the memory that the state refers to.
const inPlace = "EvolveInPlace"

const (
	maxDepth = 8    // depth of calls that are followed
	maxSteps = 3000 // statements per function; beyond that, calls are not followed, and loops only once
)

// tracer follows the memory of the arguments through one function.
type tracer struct {
	reporter

	functions *functions
	function  *function
	arguments []string // by bit of params

	m     *memory
	frame *frame
	stmt  ast.Stmt // the innermost one in a statement list
	site  ast.Node // the outermost call that is followed, or nil
	via   string   // its name
	stack []ast.Node
	muted bool // it is in a function that is checked separately
	steps int
}

// frame is a function that is being followed.
type frame struct {
	results   []types.Object // that have names
	returned  []tree
	end       *memory // the values at its returns
	breaks    []*memory
	continues []*memory
}

func runMutate(pass *analysis.Pass) (any, error) {
	r, fs := newReporter(pass), pass.ResultOf[Functions].(*functions) //nolint:errcheck // by ResultType
	for _, f := range fs.pure {
		if strings.HasPrefix(f.owner, "codec.") {
			continue // the value was decoded only for this upcaster
		}
		t := &tracer{
			reporter: r, functions: fs, function: f,
			m:     &memory{vars: map[types.Object]tree{}, aliases: map[types.Object]alias{}},
			frame: &frame{end: &memory{dead: true}},
			stack: []ast.Node{f.node},
		}
		t.parameters(f.typ.Params, argumentNames[f.role])
		t.parameters(f.recv, []string{"its receiver"})
		if f.role == inPlace {
			t.own(f.typ.Params)
		}
		t.block(f.body.List)
	}
	return nil, nil //nolint:nilnil // there is no result
}

// parameters records the parameters in list, under names, or under their own names.
func (t *tracer) parameters(list *ast.FieldList, names []string) {
	if list == nil {
		return
	}
	i := 0
	for _, field := range list.List {
		for _, id := range field.Names {
			called := "its argument " + id.Name
			if i < len(names) {
				called = names[i]
			}
			i++
			bit := params(1) << len(t.arguments)
			t.arguments = append(t.arguments, called)
			if v := t.TypesInfo.Defs[id]; v != nil && hasMemory(v.Type()) {
				t.m.vars[v] = tree{value: value{ref: bit, deep: bit}}
			}
		}
	}
}

// own makes the first parameter of list point to memory that the function may change.
func (t *tracer) own(list *ast.FieldList) {
	if len(list.List) == 0 || len(list.List[0].Names) == 0 {
		return
	}
	if v := t.TypesInfo.Defs[list.List[0].Names[0]]; v != nil {
		state := t.m.vars[v]
		state.ref = 0
		t.m.vars[v] = state
	}
}

// mutated reports that node changes memory of whose through container.
func (t *tracer) mutated(whose params, node ast.Node, container ast.Expr, how string) {
	if whose == 0 || t.silent(node.Pos()) {
		return
	}
	if p, ok := t.place(container); ok && t.within(container) == 0 { // report it once
		known := t.expr(container)
		known.ref = 0
		t.m.set(p, known)
	}
	if t.muted {
		return
	}
	var names []string
	for i, name := range t.arguments {
		if whose&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	message := t.function.String() + " must not change " + strings.Join(names, " or ") + ", but "
	if t.site != nil {
		t.report(t.site, message+"calls "+t.via+", which "+how+" "+types.ExprString(container))
		return
	}
	t.report(node, message+how+" "+types.ExprString(container), t.copyFirst(node, container)...)
}

// copyFirst returns the fix for a write by node to container: copy it first.
func (t *tracer) copyFirst(node ast.Node, container ast.Expr) []analysis.SuggestedFix {
	var pkg string
	switch t.TypesInfo.TypeOf(container).Underlying().(type) {
	case *types.Map:
		pkg = "maps"
	case *types.Slice:
		pkg = "slices"
	default:
		return nil
	}
	name, edits, ok := t.imported(node.Pos(), pkg, pkg)
	if !ok {
		return nil
	}
	text := types.ExprString(container)
	if call, ok := node.(*ast.CallExpr); ok && builtinName(t.TypesInfo, call) == "append" {
		return []analysis.SuggestedFix{{
			Message: "Let append copy " + text,
			TextEdits: append(edits,
				analysis.TextEdit{Pos: container.Pos(), End: container.Pos(), NewText: []byte(name + ".Clip(")},
				analysis.TextEdit{Pos: container.End(), End: container.End(), NewText: []byte(")")}),
		}}
	}
	p, ok := t.place(container)
	if !ok || t.stmt == nil || t.within(container) != 0 || p.variable.Pos() > t.stmt.Pos() {
		return nil
	}
	return []analysis.SuggestedFix{{
		Message: "Copy " + text + " first",
		TextEdits: append(edits, analysis.TextEdit{
			Pos: t.stmt.Pos(), End: t.stmt.Pos(),
			NewText: []byte(text + " = " + name + ".Clone(" + text + ")\n" + t.indent(t.stmt.Pos())),
		}),
	}}
}
