// Package edit adds code to Go files and leaves the rest as it is. Each edit inserts
// bytes at a place that the syntax tree gives, so comments and layout stay as they were
// written.
package edit

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// Insert is text to insert into a file, at an offset in bytes of the original file.
type Insert struct {
	File   string `json:"file"`
	Offset int    `json:"offset"`
	Text   string `json:"insert"`
}

// Source is a Go file and its syntax tree.
type Source struct {
	Name string
	Text []byte
	Fset *token.FileSet
	File *ast.File
}

// Parse returns the file called name, whose content is text.
func Parse(name string, text []byte) (*Source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", name, err)
	}
	return &Source{name, text, fset, file}, nil
}

func (s *Source) at(pos token.Pos) token.Position { return s.Fset.PositionFor(pos, false) }

// lineStart returns the offset at which the line with offset begins.
func (s *Source) lineStart(offset int) int { return bytes.LastIndexByte(s.Text[:offset], '\n') + 1 }

// blank reports whether there is only white space between two offsets.
func (s *Source) blank(from, to int) bool { return len(bytes.TrimSpace(s.Text[from:to])) == 0 }

// Element adds an element to the end of a list between parentheses or braces.
func (s *Source) Element(list []ast.Expr, opener, closer token.Pos, element string) Insert {
	end := s.at(closer)
	line := s.lineStart(end.Offset)
	switch {
	case len(list) == 0 && s.at(opener).Line == end.Line: // on one line
		return Insert{s.Name, end.Offset, "\n" + element + ",\n"}
	case len(list) == 0 || s.at(list[len(list)-1].End()).Line < end.Line && s.blank(line, end.Offset):
		indent := string(s.Text[line:end.Offset]) + "\t"
		return Insert{s.Name, line, indent + element + ",\n"}
	default:
		return Insert{s.Name, s.at(list[len(list)-1].End()).Offset, ", " + element}
	}
}

// Composite adds an element to the end of a composite literal.
func (s *Source) Composite(lit *ast.CompositeLit, element string) Insert {
	return s.Element(lit.Elts, lit.Lbrace, lit.Rbrace, element)
}

// Argument adds an argument to the end of a call. Do not use it for a call that ends
// with ….
func (s *Source) Argument(call *ast.CallExpr, arg string) Insert {
	return s.Element(call.Args, call.Lparen, call.Rparen, arg)
}

// Statement adds a statement to the end of a body, before its final return.
func (s *Source) Statement(body *ast.BlockStmt, stmt string) Insert {
	at := s.at(body.Rbrace).Offset
	if n := len(body.List); n > 0 {
		if ret, ok := body.List[n-1].(*ast.ReturnStmt); ok {
			at = s.at(ret.Pos()).Offset
		}
	}
	line := s.lineStart(at)
	if !s.blank(line, at) { // as in func f() { return }
		return Insert{s.Name, at, "\n\t" + stmt + "\n"}
	}
	return Insert{s.Name, line, "\t" + stmt + "\n"}
}

// Case adds a clause to a type switch, before its default.
func (s *Source) Case(sw *ast.TypeSwitchStmt, clause string) Insert {
	at := sw.Body.Rbrace
	for _, stmt := range sw.Body.List {
		if c, ok := stmt.(*ast.CaseClause); ok && c.List == nil {
			at = c.Pos()
		}
	}
	offset := s.at(at).Offset
	line := s.lineStart(offset)
	if !s.blank(line, offset) {
		return Insert{s.Name, offset, "\n" + clause + "\n"}
	}
	return Insert{s.Name, line, clause + "\n"}
}

// Import adds an import of path to the last group of imports that has a path with this
// prefix, or to a group of its own. It returns false if the file already imports path.
func (s *Source) Import(path, prefix string) (Insert, bool) {
	line := "\t" + strconv.Quote(path) + "\n"
	var before *ast.ImportSpec // the last one of the group that sorts before path
	var first *ast.ImportSpec  // the first of the group
	var paren *ast.GenDecl
	for _, d := range s.File.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok || gen.Tok != token.IMPORT {
			continue
		}
		if gen.Rparen.IsValid() {
			paren = gen
		}
		for _, spec := range gen.Specs {
			spec, ok := spec.(*ast.ImportSpec)
			if !ok {
				continue
			}
			p, _ := strconv.Unquote(spec.Path.Value)
			switch {
			case p == path:
				return Insert{}, false
			case !gen.Rparen.IsValid() || p != prefix && !strings.HasPrefix(p, prefix+"/"):
			case first == nil:
				first = spec
				fallthrough
			default:
				if p < path {
					before = spec
				}
			}
		}
	}
	switch {
	case before != nil:
		end := s.at(before.End()).Offset
		return Insert{s.Name, end + bytes.IndexByte(s.Text[end:], '\n') + 1, line}, true
	case first != nil:
		return Insert{s.Name, s.lineStart(s.at(first.Pos()).Offset), line}, true
	case paren != nil && s.at(paren.Lparen).Line < s.at(paren.Rparen).Line:
		return Insert{s.Name, s.lineStart(s.at(paren.Rparen).Offset), "\n" + line}, true
	default:
		end := s.at(s.File.Name.End()).Offset
		if n := len(s.File.Imports); n > 0 {
			for _, d := range s.File.Decls {
				if gen, ok := d.(*ast.GenDecl); ok && gen.Tok == token.IMPORT {
					end = s.at(gen.End()).Offset
				}
			}
		}
		return Insert{s.Name, end, "\n\nimport (\n" + line + ")"}, true
	}
}

// Apply returns text with all inserts. They must be sorted, or be for different places.
// If text was formatted, the result is formatted. Apply returns an error if the result
// is not Go.
func Apply(name string, text []byte, inserts []Insert) ([]byte, error) {
	inserts = slices.Clone(inserts)
	slices.SortStableFunc(inserts, func(a, b Insert) int { return cmp.Compare(a.Offset, b.Offset) })
	var out bytes.Buffer
	at := 0
	for _, i := range inserts {
		out.Write(text[at:i.Offset])
		out.WriteString(i.Text)
		at = i.Offset
	}
	out.Write(text[at:])
	if formatted, err := format.Source(text); err == nil && bytes.Equal(formatted, text) {
		result, err := format.Source(out.Bytes())
		if err != nil {
			return nil, fmt.Errorf("insert into %s: %w", name, err)
		}
		return result, nil
	}
	if _, err := parser.ParseFile(token.NewFileSet(), name, out.Bytes(), parser.SkipObjectResolution); err != nil {
		return nil, fmt.Errorf("insert into %s: %w", name, err)
	}
	return out.Bytes(), nil
}
