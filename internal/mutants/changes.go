package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// change is one way to make the code wrong.
type change struct {
	at   token.Pos
	what string
	make func()
}

// flipped are the operators that are taken for each other.
var flipped = map[token.Token]token.Token{ //nolint:gochecknoglobals // a table
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.EQL: token.NEQ, token.NEQ: token.EQL, token.LAND: token.LOR, token.LOR: token.LAND,
	token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL,
}

// opposite are the words that are taken for each other.
var opposite = map[string]string{"true": "false", "false": "true"} //nolint:gochecknoglobals // a table

// changes returns the ways to make node wrong: another operator, number or truth, a
// condition that is negated, an error that is not returned, arguments in another order, a
// statement that is not there, or a return before its time.
func changes(node ast.Node) []change {
	switch n := node.(type) {
	case *ast.BinaryExpr:
		if to, ok := flipped[n.Op]; ok {
			return []change{{n.OpPos, fmt.Sprintf("%#q: %v becomes %v", code(n), n.Op, to), func() { n.Op = to }}}
		}
	case *ast.IfStmt:
		return []change{{n.Pos(), fmt.Sprintf("%#q is negated", "if "+code(n.Cond)), func() {
			n.Cond = &ast.UnaryExpr{OpPos: n.Cond.Pos(), Op: token.NOT, X: &ast.ParenExpr{X: n.Cond}}
		}}}
	case *ast.BasicLit:
		if i, err := strconv.Atoi(n.Value); n.Kind == token.INT && err == nil {
			return []change{{n.Pos(), fmt.Sprintf("%d becomes %d", i, i+1), func() { n.Value = strconv.Itoa(i + 1) }}}
		}
	case *ast.Ident:
		if to, ok := opposite[n.Name]; ok {
			return []change{{n.Pos(), n.Name + " becomes " + to, func() { n.Name = to }}}
		}
	case *ast.ReturnStmt:
		if last := len(n.Results) - 1; last >= 0 && isName(n.Results[last], "err") {
			return []change{{n.Pos(), fmt.Sprintf("%#q: err becomes nil", code(n)), func() { n.Results[last] = ast.NewIdent("nil") }}}
		}
	case *ast.CallExpr:
		if len(n.Args) > 1 && !n.Ellipsis.IsValid() {
			return []change{{n.Pos(), fmt.Sprintf("%#q: the first two arguments are swapped", code(n)), func() {
				n.Args[0], n.Args[1] = n.Args[1], n.Args[0]
			}}}
		}
	case *ast.BlockStmt:
		return dropped(n)
	case *ast.FuncDecl:
		return empty(n)
	}
	return nil
}

// dropped returns a change for each statement of block that can be left out.
func dropped(block *ast.BlockStmt) (all []change) {
	for i, s := range block.List {
		switch s.(type) {
		case *ast.ExprStmt, *ast.AssignStmt, *ast.IncDecStmt, *ast.DeferStmt, *ast.IfStmt, *ast.BranchStmt, *ast.SendStmt, *ast.ForStmt, *ast.RangeStmt:
			all = append(all, change{s.Pos(), fmt.Sprintf("%#q is dropped", code(s)), func() {
				block.List = slices.Delete(block.List, i, i+1)
			}})
		}
	}
	return all
}

// empty returns the change of a function without results that does nothing.
func empty(f *ast.FuncDecl) []change {
	if f.Body == nil || f.Type.Results.NumFields() > 0 || len(f.Body.List) == 0 {
		return nil
	}
	return []change{{f.Pos(), f.Name.Name + " returns at once", func() {
		f.Body.List = append([]ast.Stmt{&ast.IfStmt{
			Cond: ast.NewIdent("true"), Body: &ast.BlockStmt{List: []ast.Stmt{&ast.ReturnStmt{}}},
		}}, f.Body.List...)
	}}}
}

func isName(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// code prints the first line of a node.
func code(node ast.Node) string {
	var b bytes.Buffer
	if err := format.Node(&b, token.NewFileSet(), node); err != nil {
		return "?"
	}
	line, rest, more := strings.Cut(b.String(), "\n")
	if more && rest != "" {
		line += " …"
	}
	return line
}
