package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/token"
	"strconv"
	"strings"
)

// change is one way to break the code. It is compiled in under a number, and takes
// effect only in a process that selects that number.
type change struct {
	at   token.Pos
	what string
	make func(number int)
}

// flipped maps operators to those that are confused with them.
var flipped = map[token.Token]token.Token{ //nolint:gochecknoglobals // a table
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.EQL: token.NEQ, token.NEQ: token.EQL, token.LAND: token.LOR, token.LOR: token.LAND,
}

// changes returns the ways to break node: another operator, a negated condition, an
// error that is not returned, a missing statement, or an early return.
func changes(node ast.Node) []change {
	switch n := node.(type) {
	case *ast.BinaryExpr:
		if to, ok := flipped[n.Op]; ok {
			return []change{{n.OpPos, fmt.Sprintf("%#q: %v becomes %v", code(n), n.Op, to), func(number int) { flip(n, to, number) }}}
		}
	case *ast.IfStmt:
		return []change{{n.Pos(), fmt.Sprintf("%#q is negated", "if "+code(n.Cond)), func(number int) {
			n.Cond = &ast.BinaryExpr{X: &ast.ParenExpr{X: n.Cond}, Op: token.NEQ, Y: on(number)}
		}}}
	case *ast.ReturnStmt:
		if last := len(n.Results) - 1; last >= 0 && isName(n.Results[last], "err") {
			return []change{{n.Pos(), fmt.Sprintf("%#q: err becomes nil", code(n)), func(number int) {
				n.Results[last] = &ast.CallExpr{Fun: ast.NewIdent("switchedErr"), Args: []ast.Expr{literal(number), n.Results[last]}}
			}}}
		}
	case *ast.BlockStmt:
		return dropped(n.List)
	case *ast.CaseClause:
		return dropped(n.Body)
	case *ast.CommClause:
		return dropped(n.Body)
	case *ast.FuncDecl:
		return empty(n)
	}
	return nil
}

// flip gives n, which is boolean, the operator to. It evaluates one of the two forms.
func flip(n *ast.BinaryExpr, to token.Token, number int) {
	was, is := *n, *n
	is.Op = to
	and := func(a, b ast.Expr) ast.Expr {
		return &ast.BinaryExpr{X: a, Op: token.LAND, Y: &ast.ParenExpr{X: b}}
	}
	*n = ast.BinaryExpr{X: and(off(number), &was), Op: token.LOR, Y: and(on(number), &is)}
}

// dropped returns a change for each statement that can be left out.
func dropped(statements []ast.Stmt) (all []change) {
	for i, s := range statements {
		switch s := s.(type) {
		case *ast.ExprStmt:
			if isHelper(s.X) {
				continue
			}
		case *ast.IncDecStmt, *ast.DeferStmt, *ast.BranchStmt, *ast.SendStmt, *ast.RangeStmt:
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE {
				continue
			}
		case *ast.IfStmt:
			if s.Else != nil {
				continue
			}
		case *ast.ForStmt:
			if s.Cond == nil {
				continue
			}
		default:
			continue
		}
		all = append(all, change{s.Pos(), fmt.Sprintf("%#q is dropped", code(s)), func(number int) {
			statements[i] = &ast.IfStmt{Cond: off(number), Body: &ast.BlockStmt{List: []ast.Stmt{statements[i]}}}
		}})
	}
	return all
}

// empty returns the change that makes a function without results do nothing.
func empty(f *ast.FuncDecl) []change {
	if f.Body == nil || f.Type.Results.NumFields() > 0 || len(f.Body.List) == 0 {
		return nil
	}
	return []change{{f.Pos(), f.Name.Name + " returns at once", func(number int) {
		f.Body = &ast.BlockStmt{Lbrace: f.Body.Lbrace, Rbrace: f.Body.Rbrace, List: []ast.Stmt{
			&ast.IfStmt{Cond: on(number), Body: &ast.BlockStmt{List: []ast.Stmt{&ast.ReturnStmt{}}}},
			f.Body, // as it is, because other changes change its statements
		}}
	}}}
}

// on is the condition that the process has selected that number, and off the condition
// that it has not.
func on(number int) ast.Expr {
	return &ast.CallExpr{Fun: ast.NewIdent("switchedOn"), Args: []ast.Expr{literal(number)}}
}

func off(number int) ast.Expr { return &ast.UnaryExpr{Op: token.NOT, X: on(number)} }

func literal(number int) ast.Expr { return ast.NewIdent(strconv.Itoa(number)) }

func isName(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// isHelper reports whether e is a call of testing.TB.Helper, which changes no more than the
// line that a failure names.
func isHelper(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	return ok && method.Sel.Name == "Helper"
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

// switches is the file that tells the code which change is selected. If none is, it
// records which changes the tests reach.
const switches = `package %s

import (
	"os"
	"strconv"
	"sync/atomic"
)

var (
	switchedNow, _ = strconv.Atoi(os.Getenv("MUTANT"))
	switchedNotes = os.Getenv("MUTANT_NOTES")
	switchedNoted [%d]atomic.Bool
)

func switchedOn(number int) bool {
	if switchedNow == 0 && switchedNotes != "" && switchedNoted[number].CompareAndSwap(false, true) {
		if f, err := os.OpenFile(switchedNotes, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
			_, _ = f.WriteString(strconv.Itoa(number) + "\n")
			_ = f.Close()
		}
	}
	return switchedNow == number
}

func switchedErr[E error](number int, err E) E {
	if switchedOn(number) {
		return *new(E)
	}
	return err
}
`
