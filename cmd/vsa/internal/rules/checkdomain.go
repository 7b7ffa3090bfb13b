package rules

import (
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/evolvego/evolve/cmd/vsa/internal/model"
)

func foreignMessages(r *checker) {
	for _, a := range r.p.Aggregates {
		for _, m := range slices.Concat(a.Commands, a.Events) {
			if m.Obj.Pkg() != a.Pkg.Types {
				r.at(a.Pkg, a.Pos, m.Obj.Name(), "%s.%s is handled by the decider of %s and declared in another package", m.Obj.Pkg().Name(), m.Obj.Name(), a.Pkg.Types.Name())
			}
		}
	}
}

func sealedInterface(r *checker) {
	for _, a := range r.p.Aggregates {
		for _, sum := range []*types.Named{a.Command, a.Event} {
			i, ok := sum.Underlying().(*types.Interface)
			if !ok {
				continue
			}
			sealed := false
			for m := range i.Methods() {
				sealed = sealed || !m.Exported()
			}
			if !sealed {
				r.at(a.Pkg, sum.Obj().Pos(), sum.Obj().Name(), "%s has no unexported method, so any package can add a member that nothing handles", sum.Obj().Name())
			}
		}
	}
}

func aggregateLocation(r *checker) {
	seen := map[*packages.Package]bool{}
	for _, a := range r.p.Aggregates {
		if seen[a.Pkg] {
			r.at(a.Pkg, a.Pos, "", "package %s has two deciders: give each a package", a.Pkg.Types.Name())
		}
		seen[a.Pkg] = true
		if c := r.p.ContextNamed(r.p.ContextOf(a.Pkg.PkgPath)); c != nil && c.API == a.Pkg && len(c.Packages) > 1 {
			r.at(a.Pkg, a.Pos, "", "the decider is in the package that other contexts import: move it to %s/%s/internal", r.p.Root, c.Name)
		}
	}
}

// effects are packages of the standard library that have effects outside of the
// program, or whose results differ from call to call.
func effects() []string {
	return []string{"bufio", "crypto/rand", "database", "embed", "io/fs", "io/ioutil", "log", "math/rand", "net", "os", "plugin", "runtime", "sync", "syscall", "testing", "unsafe"}
}

// textual are packages below effects that only process text.
func textual() []string { return []string{"net/url", "net/netip", "net/mail"} }

func within(importPath string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return importPath == root || strings.HasPrefix(importPath, root+"/") })
}

func std(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// imports calls visit for each import of a package.
func imports(pkg *packages.Package, visit func(path string, pos token.Pos)) {
	for _, file := range pkg.Syntax {
		for _, spec := range file.Imports {
			visit(strings.Trim(spec.Path.Value, "\"`"), spec.Pos())
		}
	}
}

func domainPurity(r *checker) {
	for _, a := range r.p.Aggregates {
		if a.Pkg.Types.Name() == "main" {
			continue
		}
		imports(a.Pkg, func(p string, pos token.Pos) {
			switch {
			case std(p) && within(p, effects()) && !within(p, textual()):
				r.at(a.Pkg, pos, p, "the aggregate imports %s: what it needs from outside belongs in the command", p)
			case std(p), within(p, []string{r.p.Module, "google.golang.org/protobuf"}), p == model.DeciderPath, p == model.CodecPath:
			default:
				r.at(a.Pkg, pos, p, "the aggregate imports %s of another module", p)
			}
		})
	}
}

func eventFields(r *checker) {
	for _, a := range r.p.Aggregates {
		for _, e := range a.Events {
			if obj, _, _ := types.LookupFieldOrMethod(types.NewPointer(e.Obj.Type()), true, a.Pkg.Types, "ProtoReflect"); obj != nil {
				continue // the fields of a protobuf message are not what is stored
			}
			s, ok := e.Obj.Type().Underlying().(*types.Struct)
			for i := 0; ok && i < s.NumFields(); i++ {
				f := s.Field(i)
				if why := r.unstorable(f); why != "" {
					r.at(a.Pkg, f.Pos(), e.Obj.Name()+"."+f.Name(), "the field %s of the event %s %s", f.Name(), e.Obj.Name(), why)
				}
			}
		}
	}
}

// unstorable returns why a field cannot be stored for ever, or "".
func (r *checker) unstorable(f *types.Var) string {
	if !f.Exported() && !f.Embedded() {
		return "is unexported, so it is never stored"
	}
	if n := namedType(f.Type()); n != nil && n.Obj().Pkg() != nil && !std(n.Obj().Pkg().Path()) && !within(n.Obj().Pkg().Path(), []string{r.p.Module}) {
		return "has the type " + n.Obj().Pkg().Path() + "." + n.Obj().Name() + ", and another module can change what was recorded"
	}
	switch f.Type().Underlying().(type) {
	case *types.Signature:
		return "is a function"
	case *types.Chan:
		return "is a channel"
	case *types.Interface:
		return "is an interface, so nothing says what is stored"
	}
	return ""
}

// layer finds packages in directories called name that import adapters of their
// context.
func layer(r *checker, name string) {
	for _, c := range r.p.Contexts {
		for _, pkg := range c.Packages {
			if !slices.Contains(strings.Split(r.p.Inner(pkg.PkgPath), "/"), name) {
				continue
			}
			imports(pkg, func(p string, pos token.Pos) {
				adapter := slices.ContainsFunc(strings.Split(r.p.Inner(p), "/"), func(d string) bool { return d == "adapters" || d == "infrastructure" })
				if adapter && r.p.ContextOf(p) == c.Name {
					r.at(pkg, pos, p, "%s imports the adapter %s: let the adapter import it", pkg.Types.Name(), p)
				}
			})
		}
	}
}

func projectionPurity(r *checker) {
	allowed := append([]string{model.EvolvePath, r.p.Module}, r.c.AllowedPrefixes...)
	for _, pkg := range r.p.Packages {
		readers := r.readersOf(pkg)
		if len(readers) == 0 || r.aggregateIn(pkg) != nil || pkg.Types.Name() == "main" || slices.ContainsFunc(readers, func(x *model.Reader) bool { return x.Process }) {
			continue
		}
		imports(pkg, func(p string, pos token.Pos) {
			if !std(p) && !within(p, allowed) {
				r.at(pkg, pos, p, "the view of %s imports %s: allow it with projection_allowed_prefixes, or move it to who uses the view", pkg.Types.Name(), p)
			}
		})
	}
}
