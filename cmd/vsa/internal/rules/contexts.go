package rules

import (
	"fmt"
	"go/token"
	"go/types"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/evolvego/evolve/cmd/vsa/internal/model"
)

func contextRules() []Rule {
	return []Rule{
		{
			ID: "VSA100", Name: "duplicate", Severity: Error, check: duplicates,
			About: "Two contexts use the same stream type or the same stored name of an event, so one reads what the other wrote.",
			Wrong: "const StreamType = \"Account\" // in accounts and in billing",
			Right: "const StreamType = \"BillingAccount\" // in billing",
		},
		{
			ID: "VSA101", Name: "published-location", Severity: Error, check: publishedLocation,
			About: "A context publishes an event from a package other than its own, which other contexts cannot import.",
			Wrong: "contexts/accounts/internal/events: type Opened = account.Opened",
			Right: "contexts/accounts: type Opened = account.Opened",
		},
		{
			ID: "VSA102", Name: "published-name", Severity: Warning, check: publishedName,
			About: "The stored name of a published event is not the aggregate and a past tense, so a reader of the log cannot tell what it is about.",
			Wrong: "\"Opened\": Opened{}",
			Right: "\"AccountOpened\": Opened{}",
		},
		{
			ID: "VSA200", Name: "no-cycle", Severity: Error, check: cycles,
			About: "Contexts import each other in a circle. An import that uses published events only does not count.",
			Wrong: "accounts → billing → accounts",
			Right: "billing reacts to accounts.Opened, and accounts knows nothing of billing",
		},
		{
			ID: "VSA201", Name: "boundaries", Severity: Error, check: boundaries,
			About: "A context imports a context that depends_on does not allow.",
			Wrong: "contexts: {billing: {depends_on: []}} # and billing imports accounts",
			Right: "contexts: {billing: {depends_on: [accounts]}}",
		},
		{
			ID: "VSA203", Name: "empty-context", Severity: Warning, check: emptyContext,
			About: "A context has no slice at all.",
			Wrong: "contexts/billing/doc.go, and nothing else",
			Right: "vsa generate billing send-invoice",
		},
		{
			ID: "VSA204", Name: "public-api", Severity: Error, check: publicAPI,
			About: "A context imports an inner package of another context. Put such packages below internal, and the compiler refuses it.",
			Wrong: "import \"…/contexts/accounts/account\" // in billing",
			Right: "import \"…/contexts/accounts\"",
		},
		{
			ID: "VSA205", Name: "api-exists", Severity: Error, check: apiExists,
			About: "A context has packages inside but no package of its own, or that exports nothing, so nobody can use it.",
			Wrong: "contexts/accounts/internal/account, and no contexts/accounts/accounts.go",
			Right: "contexts/accounts/accounts.go: func New(…) *Accounts",
		},
		{
			ID: "VSA206", Name: "layers", Severity: Error, check: layers,
			About: "An aggregate or a package with routes imports what layer_separation forbids.",
			Wrong: "layer_separation: {forbidden_domain_imports: [encoding/xml]} # and account imports it",
			Right: "package accounts // outside of the aggregate\n\nimport \"encoding/xml\"",
		},
	}
}

// twice reports names that two contexts share.
func (r *checker) twice(what string, seen map[string]string, name, context string, report func(format string, args ...any)) {
	if first, ok := seen[name]; ok && first != context {
		report("the %s %q is used by %s and by %s", what, name, first, context)
		return
	}
	seen[name] = context
}

func duplicates(r *checker) {
	streams, names := map[string]string{}, map[string]string{}
	for _, a := range r.p.Aggregates {
		context := r.p.ContextOf(a.Pkg.PkgPath)
		if context == "" {
			continue
		}
		if a.StreamType != "" {
			r.twice("stream type", streams, a.StreamType, context, func(format string, args ...any) { r.at(a.Pkg, a.Pos, a.StreamType, format, args...) })
		}
		for _, e := range a.Events {
			if r.p.Stored(e.Obj) && e.Obj.Pkg() == a.Pkg.Types {
				r.twice("event name", names, r.p.Name(e.Obj), context, func(format string, args ...any) { r.at(a.Pkg, e.Obj.Pos(), e.Obj.Name(), format, args...) })
			}
		}
	}
}

// published calls visit for each alias of an event that a package of a context
// declares.
func published(r *checker, visit func(c *model.Context, inner bool, alias, event *types.TypeName)) {
	for _, c := range r.p.Contexts {
		for _, pkg := range c.Packages {
			scope := pkg.Types.Scope()
			for _, name := range scope.Names() {
				alias, ok := scope.Lookup(name).(*types.TypeName)
				if !ok || !alias.IsAlias() {
					continue
				}
				n := namedType(alias.Type())
				if n == nil || n.Obj().Pkg() == pkg.Types {
					continue
				}
				if _, event := r.p.AggregateOf(n.Obj()); event {
					visit(c, pkg != c.API, alias, n.Obj())
				}
			}
		}
	}
}

func publishedLocation(r *checker) {
	published(r, func(c *model.Context, inner bool, alias, event *types.TypeName) {
		if inner {
			for _, pkg := range c.Packages {
				if pkg.Types == alias.Pkg() {
					r.at(pkg, alias.Pos(), alias.Name(), "%s is published by %s: other contexts can import %s/%s only", alias.Name(), pkg.PkgPath, r.p.Root, c.Name)
				}
			}
		}
	})
}

func publishedName(r *checker) {
	published(r, func(c *model.Context, inner bool, alias, event *types.TypeName) {
		a, _ := r.p.AggregateOf(event)
		name, prefix := r.p.Name(event), model.Pascal(a.Pkg.Types.Name())
		if !inner && r.p.Stored(event) && (!strings.HasPrefix(name, prefix) || !PastTense(strings.TrimPrefix(name, prefix))) {
			r.at(c.API, alias.Pos(), alias.Name(), "the published event %s is stored as %q: begin the name with %s and put it in the past tense", alias.Name(), name, prefix)
		}
	})
}

// cycles finds import cycles of contexts, and reports each once, with all its imports.
func cycles(r *checker) {
	edges := map[string]map[string]model.Import{}
	for _, c := range r.p.Contexts {
		edges[c.Name] = map[string]model.Import{}
		for _, i := range c.Imports {
			if _, ok := edges[c.Name][i.To]; !ok && !i.Events {
				edges[c.Name][i.To] = i
			}
		}
	}
	done := map[string]bool{}
	for _, start := range slices.Sorted(maps.Keys(edges)) {
		r.circle(edges, done, []string{start})
		done[start] = true
	}
}

// circle follows the imports from the end of trail until it comes back to the start.
func (r *checker) circle(edges map[string]map[string]model.Import, done map[string]bool, trail []string) bool {
	last := trail[len(trail)-1]
	for _, to := range slices.Sorted(maps.Keys(edges[last])) {
		switch {
		case to == trail[0]:
			var how []string
			for i, from := range trail {
				next := trail[(i+1)%len(trail)]
				how = append(how, fmt.Sprintf("%s imports %s at %s", from, next, r.place(edges[from][next].Pos)))
			}
			first := edges[trail[0]][trail[1%len(trail)]]
			r.at(first.Pkg, first.Pos, "", "contexts import each other: %s", strings.Join(how, ", "))
			return true
		case !done[to] && !slices.Contains(trail, to):
			if r.circle(edges, done, append(slices.Clone(trail), to)) {
				return true
			}
		}
	}
	return false
}

func (r *checker) place(pos token.Pos) string {
	at := r.p.At(pos)
	return fmt.Sprintf("%s:%d", at.Filename, at.Line)
}

func boundaries(r *checker) {
	for _, c := range r.p.Contexts {
		allowed := r.c.Contexts[c.Name].DependsOn
		if allowed == nil {
			continue
		}
		for _, i := range c.Imports {
			if !slices.Contains(*allowed, i.To) {
				r.at(i.Pkg, i.Pos, i.To, "%s imports %s, and depends_on of %s allows %s", c.Name, i.To, c.Name, list(*allowed))
			}
		}
	}
}

func list(names []string) string {
	if len(names) == 0 {
		return "no context"
	}
	return strings.Join(names, ", ")
}

// slicesOf returns the number of slices of a context.
func (r *checker) slicesOf(c *model.Context) int {
	n := 0
	for _, pkg := range c.Packages {
		n += len(r.readersOf(pkg))
		if a := r.aggregateIn(pkg); a != nil {
			n += len(a.Commands)
		}
	}
	return n
}

// library reports whether a directory below the root is not a context: a program, or a
// package that nothing outside of it can import.
func library(c *model.Context) bool {
	return c.Name == "internal" || !slices.ContainsFunc(c.Packages, func(p *packages.Package) bool { return p.Types.Name() != "main" })
}

func emptyContext(r *checker) {
	for _, c := range r.p.Contexts {
		if r.slicesOf(c) == 0 && !library(c) {
			r.at(c.Packages[0], c.Packages[0].Syntax[0].Name.Pos(), c.Name, "the context %s has no slice", c.Name)
		}
	}
}

func publicAPI(r *checker) {
	for _, c := range r.p.Contexts {
		for _, i := range c.Imports {
			if inner := r.p.Inner(i.Path); inner != "" {
				r.at(i.Pkg, i.Pos, i.Path, "%s imports %s, which is inside of %s: use %s, and move the package below internal", c.Name, i.Path, i.To, path.Join(r.p.Module, r.p.Root, i.To))
			}
		}
	}
}

func apiExists(r *checker) {
	for _, c := range r.p.Contexts {
		if r.slicesOf(c) == 0 || library(c) {
			continue
		}
		if c.API == nil {
			r.at(c.Packages[0], c.Packages[0].Syntax[0].Name.Pos(), c.Name, "the context %s has no package of its own: nobody can use it", c.Name)
			continue
		}
		scope := c.API.Types.Scope()
		if !slices.ContainsFunc(scope.Names(), token.IsExported) && c.API.Types.Name() != "main" {
			r.at(c.API, c.API.Syntax[0].Name.Pos(), c.Name, "package %s exports nothing: nobody can use the context", c.Name)
		}
	}
}

func layers(r *checker) {
	for _, a := range r.p.Aggregates {
		imports(a.Pkg, func(p string, pos token.Pos) {
			if within(p, r.c.Layers.Domain) {
				r.at(a.Pkg, pos, p, "the aggregate imports %s, which layer_separation.forbidden_domain_imports forbids", p)
			}
		})
	}
	seen := map[*packages.Package]bool{}
	for _, route := range r.p.Routes {
		if seen[route.Pkg] {
			continue
		}
		seen[route.Pkg] = true
		imports(route.Pkg, func(p string, pos token.Pos) {
			if within(p, r.c.Layers.Adapters) {
				r.at(route.Pkg, pos, p, "a package with routes imports %s, which layer_separation.forbidden_adapter_imports forbids", p)
			}
		})
	}
}
