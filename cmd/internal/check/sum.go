package check

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

// isSealed reports whether t is an interface that only its own package can implement.
func isSealed(t types.Type) bool {
	i, ok := t.Underlying().(*types.Interface)
	if !ok || isParameter(t) {
		return false
	}
	for m := range i.Methods() {
		if !m.Exported() {
			return true
		}
	}
	return false
}

func isParameter(t types.Type) bool {
	_, ok := types.Unalias(t).(*types.TypeParam)
	return ok
}

// member is a type that implements a sealed interface.
type member struct {
	*types.TypeName

	pointer bool // only its pointer type does
}

// members returns the types that implement t, a sealed interface, and that code in this
// package can name.
func (r reporter) members(t types.Type) []member {
	named, ok := types.Unalias(t).(*types.Named)
	if !ok || named.Obj().Pkg() == nil || named.TypeArgs().Len() > 0 {
		return nil
	}
	sum := named.Underlying().(*types.Interface) //nolint:errcheck // it is sealed
	scope := named.Obj().Pkg().Scope()
	var all []member
	for _, name := range scope.Names() {
		obj, ok := scope.Lookup(name).(*types.TypeName)
		if !ok || obj.IsAlias() || types.IsInterface(obj.Type()) || !obj.Exported() && obj.Pkg() != r.Pkg {
			continue
		}
		if n, ok := obj.Type().(*types.Named); !ok || n.TypeParams().Len() > 0 {
			continue
		}
		if strings.HasSuffix(r.Fset.Position(obj.Pos()).Filename, "_test.go") {
			continue
		}
		if types.Implements(obj.Type(), sum) {
			all = append(all, member{obj, false})
		} else if types.Implements(types.NewPointer(obj.Type()), sum) {
			all = append(all, member{obj, true})
		}
	}
	return all
}

// is reports whether t is m, its pointer type, or an interface that it implements.
func (m member) is(t types.Type) bool {
	if i, ok := t.Underlying().(*types.Interface); ok {
		return types.Implements(types.NewPointer(m.Type()), i) && (m.pointer || types.Implements(m.Type(), i))
	}
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	return types.Identical(t, m.Type())
}

// missing returns the members that are not in types.
func missing(members []member, types []types.Type) []member {
	var all []member
	for _, m := range members {
		found := false
		for _, t := range types {
			found = found || m.is(t)
		}
		if !found {
			all = append(all, m)
		}
	}
	return all
}

// names returns the names of members for a message.
func names(members []member) string {
	all := make([]string, len(members))
	for i, m := range members {
		all[i] = m.Name()
	}
	return strings.Join(all, ", ")
}

// written returns the type that m is, as code at pos writes it. It begins with "*" or
// "&" if it is a pointer. It returns false if the package of m is not imported there.
func (r reporter) written(pos token.Pos, m member, pointer string) (string, bool) {
	if !m.pointer {
		pointer = ""
	}
	if m.Pkg() == r.Pkg {
		return pointer + m.Name(), r.Pkg.Scope().Innermost(pos) != nil
	}
	name, edits, ok := r.imported(pos, m.Pkg().Path(), m.Pkg().Name())
	return pointer + name + "." + m.Name(), ok && len(edits) == 0
}

// indent returns the white space before pos on its line.
func (r reporter) indent(pos token.Pos) string {
	return strings.Repeat("\t", r.Fset.Position(pos).Column-1)
}

// lists calls visit for each statement in a list in body, with the statements after it.
func lists(body ast.Node, visit func(s ast.Stmt, after []ast.Stmt)) {
	ast.Inspect(body, func(n ast.Node) bool {
		var list []ast.Stmt
		switch n := n.(type) {
		case *ast.BlockStmt:
			list = n.List
		case *ast.CaseClause:
			list = n.Body
		case *ast.CommClause:
			list = n.Body
		}
		for i, s := range list {
			visit(s, list[i+1:])
		}
		return true
	})
}
