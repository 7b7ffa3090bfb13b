package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
)

// change is one way to make a node wrong.
type change struct {
	what string
	make func()
}

// flipped are the operators that are taken for each other.
var flipped = map[token.Token]token.Token{ //nolint:gochecknoglobals // a table
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.EQL: token.NEQ, token.NEQ: token.EQL, token.LAND: token.LOR, token.LOR: token.LAND,
	token.ADD: token.SUB, token.SUB: token.ADD,
}

// changes returns the ways to make node wrong: another operator or number, a condition
// that is negated, arguments in another order, a statement that is not there, or a return
// before its time.
func changes(node ast.Node) (all []change) {
	switch n := node.(type) {
	case *ast.BinaryExpr:
		if to, ok := flipped[n.Op]; ok {
			all = append(all, change{fmt.Sprintf("%v becomes %v", n.Op, to), func() { n.Op = to }})
		}
	case *ast.IfStmt:
		all = append(all, change{"the condition is negated", func() {
			n.Cond = &ast.UnaryExpr{OpPos: n.Cond.Pos(), Op: token.NOT, X: &ast.ParenExpr{X: n.Cond}}
		}})
	case *ast.BasicLit:
		if i, err := strconv.Atoi(n.Value); n.Kind == token.INT && err == nil {
			all = append(all, change{fmt.Sprintf("%d becomes %d", i, i+1), func() { n.Value = strconv.Itoa(i + 1) }})
		}
	case *ast.CallExpr:
		if len(n.Args) > 1 && !n.Ellipsis.IsValid() {
			all = append(all, change{"the first two arguments are swapped", func() { n.Args[0], n.Args[1] = n.Args[1], n.Args[0] }})
		}
	case *ast.BlockStmt:
		for i, s := range n.List {
			switch s.(type) {
			case *ast.ExprStmt, *ast.AssignStmt, *ast.IncDecStmt, *ast.DeferStmt, *ast.IfStmt, *ast.BranchStmt:
				all = append(all, change{fmt.Sprintf("statement %d of the block is dropped", i+1), func() { n.List = slices.Delete(n.List, i, i+1) }})
			}
		}
	case *ast.FuncDecl:
		if n.Body != nil && n.Type.Results.NumFields() == 0 && len(n.Body.List) > 0 {
			all = append(all, change{n.Name.Name + " returns at once", func() {
				n.Body.List = append([]ast.Stmt{&ast.IfStmt{
					Cond: ast.NewIdent("true"), Body: &ast.BlockStmt{List: []ast.Stmt{&ast.ReturnStmt{}}},
				}}, n.Body.List...)
			}})
		}
	}
	return all
}
