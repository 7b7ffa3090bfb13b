package check

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"

	"golang.org/x/tools/go/types/typeutil"
)

const processPath = "github.com/evolvego/evolve/decider/process"

// timers returns the parts of the package in which a codec is made that only stores
// timers: the arguments of WithTimers, and the functions and variables that the package
// uses nowhere else. Such a codec need not have the events of other streams.
func (s sealed) timers() []analysisRange {
	var args []analysisRange
	for _, file := range s.Files {
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && len(call.Args) == 1 {
				fn := typeutil.StaticCallee(s.TypesInfo, call)
				if fn != nil && fn.Name() == "WithTimers" && fn.Pkg() != nil && fn.Pkg().Path() == processPath {
					args = append(args, analysisRange{call.Args[0].Pos(), call.Args[0].End()})
				}
			}
			return true
		})
	}
	only := map[types.Object]bool{} // whether an object is used by args only
	for id, obj := range s.TypesInfo.Uses {
		if obj.Pkg() != s.Pkg {
			continue
		}
		if was, known := only[obj]; was || !known {
			only[obj] = within(args, id.Pos())
		}
	}
	return slices.Concat(args, s.definitions(only))
}

// definitions returns where the objects of the set are defined: the bodies of functions
// and the values of variables.
func (s sealed) definitions(of map[types.Object]bool) (all []analysisRange) {
	add := func(id *ast.Ident, n ast.Node) {
		if of[s.TypesInfo.Defs[id]] {
			all = append(all, analysisRange{n.Pos(), n.End()})
		}
	}
	for _, file := range s.Files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				add(n.Name, n)
			case *ast.ValueSpec:
				for i := range min(len(n.Names), len(n.Values)) {
					add(n.Names[i], n.Values[i])
				}
			case *ast.AssignStmt:
				for i := range min(len(n.Lhs), len(n.Rhs)) {
					if id, ok := n.Lhs[i].(*ast.Ident); ok {
						add(id, n.Rhs[i])
					}
				}
			}
			return true
		})
	}
	return all
}

func within(ranges []analysisRange, pos token.Pos) bool {
	return slices.ContainsFunc(ranges, func(r analysisRange) bool { return r.pos <= pos && pos < r.end })
}
