package check

import (
	"go/ast"
	"go/types"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// Impure finds code that reads or writes anything but its arguments.
var Impure = &analysis.Analyzer{
	Name:      "impure",
	Doc:       "find functions of deciders, views and processes that are not pure\n\nPut times, random numbers and new ids into the command instead.",
	Run:       runImpure,
	Requires:  []*analysis.Analyzer{Functions, Ignore},
	FactTypes: []analysis.Fact{new(impureFact)},
}

// effect is something that a pure function does not do.
type effect struct {
	what  string // such as "calls time.Now"; "" if there is none
	local bool   // only this module sees it, such as a cache, so it does not matter to others
}

// impureFact marks functions and variables that are not pure.
type impureFact struct {
	Module string
	World  string // with the outside world; "" if there is none
	Local  string // with shared state of the program; "" if there is none
}

// AFact marks impureFact as a fact.
func (*impureFact) AFact() {}

// String is what tests see.
func (f *impureFact) String() string { return strings.Trim(f.World+"; "+f.Local, "; ") }

// purity is what the functions of a package do.
type purity struct {
	reporter

	functions *functions
	written   map[types.Object]bool // package variables that change
	uses      map[*types.Func][]use
	effects   [2]map[types.Object]string // effects of functions and package variables: with the world, local
}

// use is one place in a function that matters.
type use struct {
	node   ast.Node
	effect effect      // if callee is nil
	callee *types.Func // of this package
}

func runImpure(pass *analysis.Pass) (any, error) {
	if standard(pass) {
		return nil, nil //nolint:nilnil // nothing to report; touches covers the standard library
	}
	p := &purity{
		reporter:  newReporter(pass),
		functions: pass.ResultOf[Functions].(*functions), //nolint:errcheck // by ResultType
		uses:      map[*types.Func][]use{},
		effects:   [2]map[types.Object]string{{}, {}},
	}
	p.written = p.changing()
	p.initializers()
	for _, fn := range p.functions.order {
		p.uses[fn] = p.scan(p.functions.declared[fn])
	}
	p.propagate()
	p.export()
	for _, f := range p.functions.pure {
		p.check(f)
	}
	for _, ref := range p.functions.outside {
		if e := p.outside(ref.fn); e.what != "" {
			p.report(ref.expr, ref.fn.Name()+" must be pure, but "+e.what)
		}
	}
	return nil, nil //nolint:nilnil // there is no result
}

// standard reports whether pass analyzes the standard library.
func standard(pass *analysis.Pass) bool {
	first, _, _ := strings.Cut(pass.Pkg.Path(), "/")
	return (pass.Module == nil || pass.Module.Path == "") && !strings.Contains(first, ".")
}

// module is the path of the module of this package.
func (p *purity) module() string {
	if p.Module == nil {
		return ""
	}
	return p.Module.Path
}

// initializers finds package variables that are initialized from the outside world.
func (p *purity) initializers() {
	for _, file := range p.Files {
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok {
					p.initializer(v)
				}
			}
		}
	}
}

func (p *purity) initializer(spec *ast.ValueSpec) {
	for i, name := range spec.Names {
		from := spec.Values
		if len(spec.Values) == len(spec.Names) {
			from = spec.Values[i : i+1]
		}
		for _, value := range from {
			for _, u := range p.scan(value) {
				if u.callee == nil && !u.effect.local {
					p.effects[0][p.TypesInfo.Defs[name]] = "uses " + name.Name + ", which " + u.effect.what
				}
			}
		}
	}
}

// propagate finds the effects that functions have by calling others. The shortest chain
// comes first.
func (p *purity) propagate() {
	for kind := range p.effects {
		callers := map[*types.Func][]*types.Func{}
		var queue []*types.Func
		for _, fn := range p.functions.order {
			for _, u := range p.uses[fn] {
				if u.callee != nil {
					callers[u.callee] = append(callers[u.callee], fn)
				} else if p.effects[kind][fn] == "" && u.effect.local == (kind == 1) {
					p.effects[kind][fn] = u.effect.what
					queue = append(queue, fn)
				}
			}
		}
		for ; len(queue) > 0; queue = queue[1:] {
			callee := queue[0]
			for _, fn := range callers[callee] {
				if p.effects[kind][fn] == "" {
					p.effects[kind][fn] = "calls " + callee.Name() + ", which " + p.effects[kind][callee]
					queue = append(queue, fn)
				}
			}
		}
	}
}

// export exports the facts to the packages that import this one.
func (p *purity) export() {
	facts := map[types.Object]*impureFact{}
	for kind, effects := range p.effects {
		for obj, what := range effects {
			if facts[obj] == nil {
				facts[obj] = &impureFact{Module: p.module()}
			}
			if kind == 0 {
				facts[obj].World = what
			} else {
				facts[obj].Local = what
			}
		}
	}
	for obj, fact := range facts {
		if obj.Exported() {
			p.ExportObjectFact(obj, fact)
		}
	}
}

// outside returns the effects of obj, which belongs to another package.
func (p *purity) outside(obj types.Object) effect {
	if e := world(obj); e.what != "" {
		return e
	}
	var fact impureFact
	switch {
	case !p.ImportObjectFact(obj, &fact):
		return effect{}
	case fact.World != "":
		return effect{what: "calls " + qualified(obj) + ", which " + fact.World}
	case fact.Local != "" && fact.Module == p.module():
		return effect{what: "calls " + qualified(obj) + ", which " + fact.Local, local: true}
	}
	return effect{}
}

// check reports the effects of f.
func (p *purity) check(f *function) {
	for _, u := range p.scan(f.node) {
		what := u.effect.what
		if u.callee != nil {
			if p.functions.byNode[p.functions.declared[u.callee]] != nil {
				continue // it is checked separately
			}
			for kind := range p.effects {
				if did := p.effects[kind][u.callee]; did != "" && what == "" {
					what = "calls " + u.callee.Name() + ", which " + did
				}
			}
		}
		if what != "" {
			p.report(u.node, f.String()+" must be pure, but "+what)
		}
	}
}
