package check

import (
	"go/ast"
	"go/token"
	"go/types"

	"golang.org/x/tools/go/analysis"
)

// imported returns the name that the file uses at pos for the package path, called
// name, and the edits that import it. It returns false if the name means something else
// there.
func (r reporter) imported(pos token.Pos, path, name string) (string, []analysis.TextEdit, bool) {
	for _, file := range r.Files {
		if pos < file.FileStart || pos >= file.FileEnd {
			continue
		}
		for _, spec := range file.Imports {
			if spec.Path.Value == `"`+path+`"` && (spec.Name == nil || spec.Name.Name != "_" && spec.Name.Name != ".") {
				if spec.Name != nil {
					name = spec.Name.Name
				}
				return name, nil, r.means(pos, name, path)
			}
		}
		if !r.means(pos, name, "") {
			return "", nil, false
		}
		at, text := file.Name.End(), "\n\nimport \""+path+"\""
		for _, decl := range file.Decls {
			if gen, ok := decl.(*ast.GenDecl); ok && gen.Tok == token.IMPORT && gen.Lparen.IsValid() {
				at, text = gen.Lparen+1, "\n\t\""+path+"\""
				break
			}
		}
		return name, []analysis.TextEdit{{Pos: at, End: at, NewText: []byte(text)}}, true
	}
	return "", nil, false
}

// means reports whether name refers at pos to the package path, or to nothing if path
// is "".
func (r reporter) means(pos token.Pos, name, path string) bool {
	_, obj := r.Pkg.Scope().Innermost(pos).LookupParent(name, pos)
	if path == "" {
		return obj == nil
	}
	pkg, ok := obj.(*types.PkgName)
	return ok && pkg.Imported().Path() == path
}
