package check

import (
	"go/ast"
	"go/token"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// directive silences every finding on its line. If it is alone on its line, it silences
// the next one.
const directive = "//decidervet:ignore"

// Ignore finds the directives for the other analyzers, and reports those without a
// reason.
var Ignore = &analysis.Analyzer{
	Name:       "ignore",
	Doc:        "find " + directive + " comments that do not say why\n\nSuch a comment suppresses the findings on its line, or on the next line if it stands\nalone. It needs a reason:\n\n    all[key] = value " + directive + " this view is folded once and thrown away",
	Run:        runIgnore,
	ResultType: reflect.TypeFor[ignored](),
}

// line is a line of a file.
type line struct {
	file   string
	number int
}

// ignored are the lines on which nothing is reported.
type ignored map[line]bool

func runIgnore(pass *analysis.Pass) (any, error) {
	found := ignored{}
	for _, file := range pass.Files {
		for _, group := range file.Comments {
			for _, comment := range group.List {
				reason, ok := strings.CutPrefix(comment.Text, directive)
				if !ok || reason != "" && !strings.HasPrefix(reason, " ") {
					continue
				}
				at := pass.Fset.Position(comment.Pos())
				if strings.TrimSpace(reason) == "" {
					pass.ReportRangef(comment, "%s needs a reason", directive)
					continue
				}
				found[line{at.Filename, at.Line}] = true
				if alone(pass.Fset, file, comment) {
					found[line{at.Filename, at.Line + 1}] = true
				}
			}
		}
	}
	return found, nil
}

// alone reports whether comment is the only thing on its line.
func alone(fset *token.FileSet, file *ast.File, comment *ast.Comment) bool {
	at, only := fset.Position(comment.Pos()), true
	ast.Inspect(file, func(n ast.Node) bool {
		switch n.(type) {
		case nil, *ast.Comment, *ast.CommentGroup:
			return false
		case *ast.File:
			return true
		}
		first, last := fset.Position(n.Pos()).Line, fset.Position(n.End()).Line
		if first == at.Line || last == at.Line {
			only = false
		}
		return only && first <= at.Line && at.Line <= last
	})
	return only
}

// reporter reports the findings of an analyzer.
type reporter struct {
	*analysis.Pass

	ignored ignored
	tests   bool // the package is for tests
	seen    map[token.Pos]bool
}

func newReporter(pass *analysis.Pass) reporter {
	//nolint:errcheck // by ResultType
	r := reporter{Pass: pass, ignored: pass.ResultOf[Ignore].(ignored), seen: map[token.Pos]bool{}}
	r.tests = slices.ContainsFunc(pass.Files, func(f *ast.File) bool { return !r.silent(f.Package) && importsTesting(f) })
	return r
}

// importsTesting reports whether f, which is not a test file, imports testing and so is
// for tests.
func importsTesting(f *ast.File) bool {
	return slices.ContainsFunc(f.Imports, func(s *ast.ImportSpec) bool { return s.Path.Value == `"testing"` })
}

// silent reports whether findings at pos are suppressed. They are if the line is
// ignored, or if pos is in a test or in a package for tests, because planted mistakes
// and spies are there.
func (r reporter) silent(pos token.Pos) bool {
	at := r.Fset.Position(pos)
	return r.ignored[line{at.Filename, at.Line}] || strings.HasSuffix(at.Filename, "_test.go") || r.tests
}

// report reports message at node, once, with fixes.
func (r reporter) report(node analysis.Range, message string, fixes ...analysis.SuggestedFix) {
	if r.seen[node.Pos()] || r.silent(node.Pos()) {
		return
	}
	r.seen[node.Pos()] = true
	r.Report(analysis.Diagnostic{Pos: node.Pos(), End: node.End(), Message: message, SuggestedFixes: fixes})
}
