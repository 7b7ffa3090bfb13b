package rules

import (
	"go/ast"
	"go/types"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/evolvego/evolve/cmd/vsa/internal/model"
)

func requireTests(r *checker) {
	if !r.c.Validation.RequireTests {
		return
	}
	for _, a := range r.p.Aggregates {
		for _, c := range a.Commands {
			if c.Tested {
				continue
			}
			f := r.at(a.Pkg, c.Obj.Pos(), c.Obj.Name(), "no test names the command %s", c.Obj.Name())
			if pkg, call, err := r.p.SamplesOf(a); err == nil {
				if s, err := r.p.Source(pkg, call.Pos()); err == nil {
					f.Fix = append(f.Fix, s.Argument(call, a.Pkg.Types.Name()+"."+c.Obj.Name()+"{}"))
				}
			}
		}
	}
	for _, reader := range r.p.Readers {
		if !reader.Tested {
			r.at(reader.Pkg, reader.Pos, "", "no test names the %s of %s", kind(reader), reader.Pkg.Types.Name())
		}
	}
}

func kind(r *model.Reader) string {
	if r.Process {
		return "process"
	}
	return "view"
}

func requireHandler(r *checker) {
	for _, a := range r.p.Aggregates {
		for _, c := range a.Commands {
			if !c.Handled.IsValid() {
				r.at(a.Pkg, c.Obj.Pos(), c.Obj.Name(), "nothing decides %s: add a case to Decide", c.Obj.Name())
			}
		}
	}
}

func requireEvent(r *checker) {
	for _, a := range r.p.Aggregates {
		for _, c := range a.Commands {
			if c.Handled.IsValid() && len(c.Emits) == 0 && len(a.Events) > 0 {
				r.at(a.Pkg, c.Obj.Pos(), c.Obj.Name(), "deciding %s leads to no event", c.Obj.Name())
			}
		}
	}
}

func naming(r *checker) {
	for _, a := range r.p.Aggregates {
		for file, c := range r.p.SliceFiles(a) {
			words := strings.Split(strings.TrimSuffix(path.Base(file), ".go"), "_")
			if !namedAfter(words, c.Obj.Name()) {
				r.at(a.Pkg, c.Obj.Pos(), c.Obj.Name(), "the file %s is not named after its command %s", path.Base(file), c.Obj.Name())
			}
		}
		for _, c := range a.Commands {
			if PastTense(c.Obj.Name()) {
				r.at(a.Pkg, c.Obj.Pos(), c.Obj.Name(), "the command %s is named like an event: commands are imperative", c.Obj.Name())
			}
		}
		for _, e := range a.Events {
			if !PastTense(e.Obj.Name()) {
				r.at(a.Pkg, e.Obj.Pos(), e.Obj.Name(), "the event %s is not in the past tense", e.Obj.Name())
			}
		}
	}
	for _, c := range r.p.Contexts {
		for _, pkg := range c.Packages {
			if dir := path.Base(pkg.PkgPath); pkg.Types.Name() != dir && pkg.Types.Name() != "main" && r.p.Inner(pkg.PkgPath) != "" {
				r.at(pkg, pkg.Syntax[0].Name.Pos(), pkg.Types.Name(), "package %s is in a directory called %s", pkg.Types.Name(), dir)
			}
		}
	}
}

// namedAfter reports whether the name of a file contains the words of a command, in
// order: credit_account.go and Credit, change_owner.go and ChangeOwner.
func namedAfter(file []string, command string) bool {
	whole := strings.Join(file, "")
	for _, word := range Words(command) {
		i := slices.Index(file, strings.ToLower(word))
		if i < 0 {
			return strings.EqualFold(whole, command)
		}
		file = file[i+1:]
	}
	return true
}

func maxNesting(r *checker) {
	for _, c := range r.p.Contexts {
		for _, pkg := range c.Packages {
			if inner := r.p.Inner(pkg.PkgPath); inner != "" && strings.Count(inner, "/")+2 > r.c.Validation.MaxNesting {
				r.at(pkg, pkg.Syntax[0].Name.Pos(), "", "%s lies %d directories below %s, and validation.max_nesting_depth is %d", pkg.PkgPath, strings.Count(inner, "/")+2, r.p.Root, r.c.Validation.MaxNesting)
			}
		}
	}
}

func sharedFolder(r *checker) {
	root := filepath.Join(r.p.Dir, filepath.FromSlash(r.p.Root))
	_ = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".go" {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		for dir := range strings.SplitSeq(filepath.ToSlash(filepath.Dir(rel)), "/") {
			if dir != "." && (dir[0] == '_' || dir[0] == '.') {
				r.file(path.Join(r.p.Root, filepath.ToSlash(rel)), 1, r.severity, "the go command ignores %s: give the directory a name that does not begin with _ or .", dir)
				break
			}
		}
		return nil
	})
}

// readersOf returns the readers of a package.
func (r *checker) readersOf(pkg *packages.Package) []*model.Reader {
	var all []*model.Reader
	for _, reader := range r.p.Readers {
		if reader.Pkg == pkg {
			all = append(all, reader)
		}
	}
	return all
}

// aggregateIn returns the aggregate of a package, or nil.
func (r *checker) aggregateIn(pkg *packages.Package) *model.Aggregate {
	for _, a := range r.p.Aggregates {
		if a.Pkg == pkg {
			return a
		}
	}
	return nil
}

func queryView(r *checker) {
	for _, route := range r.p.Routes {
		context := r.p.ContextOf(route.Pkg.PkgPath)
		if !strings.HasPrefix(route.Pattern, "GET ") || len(route.Readers) > 0 || context == "" {
			continue
		}
		ast.Inspect(route.Handler, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			name, ok := route.Pkg.TypesInfo.Uses[id].(*types.PkgName)
			if !ok || r.p.ContextOf(name.Imported().Path()) != context {
				return true
			}
			for _, pkg := range r.p.Packages {
				if pkg.Types == name.Imported() && r.aggregateIn(pkg) == nil && len(r.readersOf(pkg)) == 0 {
					r.at(route.Pkg, route.Pos, pkg.Types.Name(), "%s is answered by package %s, which has no View", route.Pattern, pkg.Types.Name())
				}
			}
			return true
		})
	}
}

func unreadView(r *checker) {
	for _, reader := range r.p.Readers {
		if !reader.Process && !reader.Used && r.aggregateIn(reader.Pkg) == nil && reader.Pkg.Types.Name() != "main" {
			r.at(reader.Pkg, reader.Pos, "", "no other package uses the view of %s", reader.Pkg.Types.Name())
		}
	}
}

func subscription(r *checker) {
	for _, reader := range r.p.Readers {
		n := namedType(reader.Event)
		if reader.Cases > 0 || n == nil || n.Obj().Pkg() == nil || !within(n.Obj().Pkg().Path(), []string{r.p.Module}) {
			continue
		}
		r.at(reader.Pkg, reader.Pos, "", "the %s of %s has no case for any event", kind(reader), reader.Pkg.Types.Name())
	}
}

func namedType(t types.Type) *types.Named {
	n, _ := types.Unalias(t).(*types.Named)
	return n
}

func crossSliceImport(r *checker) {
	slice := map[*types.Package]bool{}
	for _, reader := range r.p.Readers {
		if r.aggregateIn(reader.Pkg) == nil && r.p.Inner(reader.Pkg.PkgPath) != "" {
			slice[reader.Pkg.Types] = true
		}
	}
	for _, pkg := range r.p.Packages {
		if !slice[pkg.Types] || !r.isolated(pkg.PkgPath) {
			continue
		}
		for _, file := range pkg.Syntax {
			for _, spec := range file.Imports {
				if name := pkg.TypesInfo.PkgNameOf(spec); name != nil && slice[name.Imported()] {
					r.at(pkg, spec.Pos(), name.Imported().Name(), "%s imports %s: move what both need to the aggregate, or react to its events", pkg.Types.Name(), name.Imported().Name())
				}
			}
		}
	}
}

func thinAdapter(r *checker) {
	for _, route := range r.p.Routes {
		limit, key := r.c.Slices.Command.MaxLines, "slices.command.max_lines"
		if strings.HasPrefix(route.Pattern, "GET ") {
			limit, key = r.c.Slices.Query.MaxLines, "slices.query.max_lines"
		}
		var body ast.Node
		if lit, ok := ast.Unparen(route.Handler).(*ast.FuncLit); ok {
			body = lit
		} else if fn := r.p.FuncOf(route.Pkg, route.Handler); fn != nil {
			body = fn
		}
		if body == nil {
			continue
		}
		if lines := r.p.At(body.End()).Line - r.p.At(body.Pos()).Line + 1; lines > limit {
			r.at(route.Pkg, body.Pos(), route.Pattern, "the handler of %s has %d lines, and %s is %d", route.Pattern, lines, key, limit)
		}
	}
}

func sliceLocation(r *checker) {
	if r.p.Root == "." {
		return
	}
	root := path.Join(r.p.Module, r.p.Root)
	for _, a := range r.p.Aggregates {
		if a.Pkg.PkgPath == root {
			r.at(a.Pkg, a.Pos, "", "the decider is in %s itself: move it to a context below", r.p.Root)
		}
	}
	for _, reader := range r.p.Readers {
		if reader.Pkg.PkgPath == root {
			r.at(reader.Pkg, reader.Pos, "", "the %s is in %s itself: move it to a context below", kind(reader), r.p.Root)
		}
	}
}

// sliceIsolation finds uses of another slice's declarations in the file of a slice.
// Events do not count.
func sliceIsolation(r *checker) {
	for _, a := range r.p.Aggregates {
		files := r.p.SliceFiles(a)
		if files == nil || !r.isolated(a.Pkg.PkgPath) {
			continue
		}
		shared := map[types.Object]bool{}
		for _, e := range a.Events {
			shared[e.Obj] = true
			if s, ok := e.Obj.Type().Underlying().(*types.Struct); ok {
				for f := range s.Fields() {
					shared[f] = true
				}
			}
		}
		for _, file := range a.Pkg.Syntax {
			from := r.p.At(file.Package).Filename
			if files[from] == nil {
				continue
			}
			ast.Inspect(file, func(n ast.Node) bool {
				id, ok := n.(*ast.Ident)
				if !ok {
					return true
				}
				o := a.Pkg.TypesInfo.Uses[id]
				if o == nil || o.Pkg() != a.Pkg.Types || shared[o] {
					return true
				}
				if to := r.p.At(o.Pos()).Filename; to != from && files[to] != nil {
					r.at(a.Pkg, id.Pos(), o.Name(), "%s uses %s of %s: slices share events and code that belongs to no slice", r.p.Slice(id.Pos()), o.Name(), r.p.Slice(o.Pos()))
				}
				return true
			})
		}
	}
}

func processStructure(r *checker) {
	for _, reader := range r.p.Readers {
		if !reader.Process {
			continue
		}
		for _, field := range []string{"Key", "Evolve", "React"} {
			if !reader.Has[field] {
				r.at(reader.Pkg, reader.Pos, field, "the process of %s has no %s", reader.Pkg.Types.Name(), field)
			}
		}
		if len(reader.Sends) > 0 && !reader.Has["Pending"] {
			f := r.at(reader.Pkg, reader.Pos, "Pending", "the process of %s sends commands and has no Pending, so nobody can send them again after its store was lost", reader.Pkg.Types.Name())
			f.Severity = Warning
		}
	}
}
