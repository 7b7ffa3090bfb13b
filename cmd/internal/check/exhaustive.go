package check

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/types"

	"golang.org/x/tools/go/analysis"
)

// Exhaustive finds commands and events that are not handled.
var Exhaustive = &analysis.Analyzer{
	Name:     "exhaustive",
	Doc:      "find type switches of deciders that miss a command or an event\n\nIt reports a switch over a sealed interface if a type that implements it has no case and\nthere is no default. In Decide, the default must return an error; it may also be the\nreturn after the switch.",
	Run:      runExhaustive,
	Requires: []*analysis.Analyzer{Functions, Ignore},
}

func runExhaustive(pass *analysis.Pass) (any, error) {
	e := exhaustive{newReporter(pass), pass.ResultOf[Functions].(*functions)} //nolint:errcheck // by ResultType
	for _, f := range e.functions.pure {
		switch {
		case f.owner != "Decider":
		case f.role == "Decide" && f.command != nil && isSealed(f.command):
			e.follow(f, f.command, f.node, map[ast.Node]bool{})
		case (f.role == "Evolve" || f.role == inPlace) && f.event != nil && isSealed(f.event):
			e.follow(f, f.event, f.node, map[ast.Node]bool{})
		}
	}
	return nil, nil //nolint:nilnil // there is no result
}

type exhaustive struct {
	reporter

	functions *functions
}

// follow examines the type switches over sum in node and in the functions that it
// calls.
func (e exhaustive) follow(f *function, sum types.Type, node ast.Node, seen map[ast.Node]bool) {
	if node == nil || seen[node] {
		return
	}
	seen[node] = true
	inner := map[ast.Node]bool{} // in a case of another switch, which may leave fewer types to handle
	lists(node, func(s ast.Stmt, after []ast.Stmt) {
		sw, ok := s.(*ast.TypeSwitchStmt)
		if !ok || inner[sw] || !types.Identical(e.TypesInfo.TypeOf(subject(sw)), sum) {
			return
		}
		ast.Inspect(sw.Body, func(n ast.Node) bool { inner[n] = true; return n != nil })
		e.check(f, sum, sw, after)
	})
	ast.Inspect(node, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			if fn, ok := e.TypesInfo.Uses[id].(*types.Func); ok {
				if decl := e.functions.declared[fn.Origin()]; decl != nil {
					e.follow(f, sum, decl, seen)
				}
			}
		}
		return true
	})
}

// subject is the expression that s switches over.
func subject(s *ast.TypeSwitchStmt) ast.Expr {
	x := ast.Expr(nil)
	switch a := s.Assign.(type) {
	case *ast.ExprStmt:
		x = a.X
	case *ast.AssignStmt:
		x = a.Rhs[0]
	}
	return ast.Unparen(x).(*ast.TypeAssertExpr).X //nolint:errcheck // by the grammar
}

// check examines one type switch over sum, and the statements after it.
func (e exhaustive) check(f *function, sum types.Type, s *ast.TypeSwitchStmt, after []ast.Stmt) {
	var cases []types.Type
	var fallback *ast.CaseClause
	for _, clause := range s.Body.List {
		c := clause.(*ast.CaseClause) //nolint:errcheck // by the grammar
		if c.List == nil {
			fallback = c
		}
		for _, x := range c.List {
			cases = append(cases, e.TypesInfo.TypeOf(x))
		}
	}
	missed := missing(e.members(sum), cases)
	name := types.TypeString(sum, types.RelativeTo(e.Pkg))
	switch {
	case len(missed) == 0:
	case f.role != "Decide" && fallback != nil, f.role == "Decide" && fallback == nil && e.refuses(after):
	case fallback == nil:
		e.report(s.Assign, fmt.Sprintf("%s misses cases of %s: %s", f, name, names(missed)), e.stubs(s, missed)...)
	case !e.refuses(fallback.Body):
		e.report(s.Assign, fmt.Sprintf("%s accepts cases of %s by its default, which should be an error: %s", f, name, names(missed)))
	}
}

// refuses reports whether list ends with an error at its first return or panic.
func (e exhaustive) refuses(list []ast.Stmt) bool {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ReturnStmt:
			if len(s.Results) == 0 {
				return true // names of results, which may be set
			}
			last := s.Results[len(s.Results)-1]
			if t, ok := e.TypesInfo.TypeOf(last).(*types.Tuple); ok { // return f()
				return isError(t.At(t.Len() - 1).Type())
			}
			return !e.TypesInfo.Types[last].IsNil() && isError(e.TypesInfo.TypeOf(last))
		case *ast.ExprStmt:
			if call, ok := s.X.(*ast.CallExpr); ok && builtinName(e.TypesInfo, call) == "panic" {
				return true
			}
		}
	}
	return false
}

// stubs returns the fix that adds a case for each of missed. The cases panic, so that
// they are not mistaken for finished ones.
func (e exhaustive) stubs(s *ast.TypeSwitchStmt, missed []member) []analysis.SuggestedFix {
	end := s.Body.Rbrace
	indent := e.indent(s.Pos())
	var text bytes.Buffer
	for _, m := range missed {
		name, ok := e.written(s.Pos(), m, "*")
		if !ok {
			return nil
		}
		fmt.Fprintf(&text, "case %s:\n%s\tpanic(%q)\n%s", name, indent, "not implemented: "+m.Name(), indent)
	}
	return []analysis.SuggestedFix{{
		Message:   "Add the missing cases",
		TextEdits: []analysis.TextEdit{{Pos: end, End: end, NewText: text.Bytes()}},
	}}
}
