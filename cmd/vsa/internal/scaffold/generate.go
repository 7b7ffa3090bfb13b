package scaffold

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/types"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evolvego/evolve/cmd/vsa/internal/config"
	"github.com/evolvego/evolve/cmd/vsa/internal/edit"
	"github.com/evolvego/evolve/cmd/vsa/internal/model"
	"github.com/evolvego/evolve/cmd/vsa/internal/rules"
)

// The kinds of slices.
const (
	Command = "command"
	Query   = "query"
	Reactor = "reactor"
)

// Request is what generate should do.
type Request struct {
	Context, Feature string
	Kind             string // Command, Query or Reactor
	Aggregate        string // "": taken from the names
	Fields           []Field
	Event            string   // of a command: the type of its event; "": made from the command
	On               []string // of a query or reactor: events, such as Opened or accounts.Opened
	Send             string   // of a reactor: a command
	List             bool     // of a query: covers all streams
	Publish          bool     // publish the events of On that belong to another context
	HTTP             string   // METHOD PATH; "": made from the names; "none": no route
	Force            bool     // replace the file of the slice
}

// generator has the results of resolving a request.
type generator struct {
	c    *config.Config
	p    *model.Project
	req  Request
	plan *Plan

	words   []string // of the feature
	name    string   // of the feature, with dashes
	context string   // the name of the context's package
	ctx     *model.Context
	agg     *model.Aggregate // nil if it is new
	aggName string           // its package
	data    data
}

// data is the input of templates.
type data struct {
	Context, ContextType, ContextPath, Receiver string
	Package, PackagePath, Feature, Name         string
	Aggregate, Aggregates, StreamType           string
	AggregatePackage, AggregatePath             string
	Command, Event, Stored, Phrase, Past        string
	Participle, Ing, NoPrefix                   string
	StateType, EventType, CommandType           string
	DecideMethod, EvolveMethod                  string
	DeciderCall, CodecCall, StreamTypeExpr      string
	Switch                                      bool
	CommandMarkers, EventMarkers                []string
	Fields, RequiredFields, Filled              []Field
	Imports, TestImports, TypeImports, Inner    []string
	OneImport                                   bool
	Runner, RunnerTypes, Route                  string
	Method, SamplePath, SampleBody              string
	Answer, Letter, What                        string
	Fills, OneFilled                            bool
	Events                                      []filled
	Samples, Handled, On, Done                  []string
	Send, OnWords, IDField, Run                 string
	Foreign, Projected                          bool
	RootPackage, RootPath, Program, Root        string
}

// filled is an event, and the fields of the answer that it fills.
type filled struct {
	Name, Stored string
	Fills        []string
}

// Generate plans a slice.
func Generate(c *config.Config, p *model.Project, req Request) (*Plan, error) {
	g := &generator{c: c, p: p, req: req, plan: &Plan{Dir: c.Dir}}
	if err := g.names(); err != nil {
		return nil, err
	}
	var err error
	switch req.Kind {
	case Command:
		err = g.command()
	case Query:
		err = g.query()
	case Reactor:
		err = g.reactor()
	default:
		err = nameError("unknown feature type %q: use command, query or reactor", req.Kind)
	}
	return g.plan, err
}

// names resolves the context, the feature and the aggregate.
func (g *generator) names() error {
	contextWords, err := words(g.req.Context)
	if err != nil {
		return err
	}
	if g.context, err = packageName(contextWords); err != nil {
		return err
	}
	if g.words, err = words(g.req.Feature); err != nil {
		return err
	}
	g.name = strings.Join(g.words, "-")
	g.ctx = g.p.ContextNamed(g.context)
	g.data = data{
		Context: g.context, ContextType: model.Pascal(g.context), ContextPath: path.Join(g.p.Module, g.p.Root, g.context), Receiver: g.context[:1],
		Feature: pascal(g.words), Name: g.name, Fields: g.req.Fields,
	}
	for _, f := range g.req.Fields {
		if f.Required {
			g.data.RequiredFields = append(g.data.RequiredFields, f)
		}
		if f.Import != "" && !slices.Contains(g.data.TypeImports, f.Import) {
			g.data.TypeImports = append(g.data.TypeImports, f.Import)
		}
	}
	slices.Sort(g.data.TypeImports)
	seen := map[string]bool{}
	for _, f := range g.req.Fields {
		if seen[f.Name] {
			return nameError("two fields are called %s", f.JSON)
		}
		seen[f.Name] = true
	}
	return nil
}

// aggregates returns the aggregates of the context.
func (g *generator) aggregates() []*model.Aggregate {
	var all []*model.Aggregate
	for _, a := range g.p.Aggregates {
		if g.p.ContextOf(a.Pkg.PkgPath) == g.context {
			all = append(all, a)
		}
	}
	return all
}

// aggregate finds the aggregate of a slice: the one that is given, the one that the
// name of the feature contains, or the only one there is.
func (g *generator) aggregate() error {
	all := g.aggregates()
	if g.req.Aggregate != "" {
		w, err := words(g.req.Aggregate)
		if err != nil {
			return err
		}
		if g.aggName, err = packageName(w); err != nil {
			return err
		}
	} else {
		for _, w := range g.words {
			if strings.HasPrefix(g.context, w) && len(w) > 2 {
				g.aggName = w
			}
		}
	}
	for _, a := range all {
		if a.Pkg.Types.Name() == g.aggName || g.aggName == "" && len(all) == 1 {
			g.agg, g.aggName = a, a.Pkg.Types.Name()
			return nil
		}
	}
	if g.aggName != "" {
		return nil
	}
	var names []string
	for _, a := range all {
		names = append(names, a.Pkg.Types.Name())
	}
	if len(names) == 0 {
		return nameError("the context %s has no aggregate yet, and %q does not name one: add --aggregate, such as --aggregate %s", g.context, g.name, g.words[len(g.words)-1])
	}
	return nameError("%q does not say which aggregate it is about: add --aggregate %s", g.name, strings.Join(names, " or "))
}

// aggregateData fills in what templates need to know about the aggregate.
func (g *generator) aggregateData() {
	d := &g.data
	d.Aggregate, d.Aggregates, d.StreamType = g.aggName, plural(g.aggName), model.Pascal(g.aggName)
	d.AggregatePackage, d.AggregatePath = g.aggName, path.Join(d.ContextPath, "internal", g.aggName)
	d.StateType, d.EventType, d.CommandType = "State", "Event", "Command"
	d.DecideMethod, d.EvolveMethod = "decide", "evolve"
	d.DeciderCall, d.CodecCall, d.StreamTypeExpr = g.aggName+".Decider()", g.aggName+".Codec()", g.aggName+".StreamType"
	d.Runner = plural(g.aggName)
	if g.agg == nil {
		return
	}
	d.AggregatePackage, d.AggregatePath = g.agg.Pkg.Types.Name(), g.agg.Pkg.PkgPath
	d.EventType, d.CommandType = g.agg.Event.Obj().Name(), g.agg.Command.Obj().Name()
	d.StateType = types.TypeString(g.agg.State, types.RelativeTo(g.agg.Pkg.Types))
	if g.agg.StreamType != "" && g.agg.Pkg.Types.Scope().Lookup("StreamType") == nil {
		d.StreamTypeExpr = fmt.Sprintf("%q", g.agg.StreamType)
	}
	if m := behaviour(g.agg.Command, 2); m != "" {
		d.DecideMethod = m
	} else {
		d.Switch, d.CommandMarkers = true, markers(g.agg.Command)
	}
	if m := behaviour(g.agg.Event, 1); m != "" {
		d.EvolveMethod = m
	} else {
		d.Switch, d.EventMarkers = true, markers(g.agg.Event)
	}
}

// behaviour returns the method of a sealed interface that has that many results, or "".
func behaviour(sum *types.Named, results int) string {
	i, ok := sum.Underlying().(*types.Interface)
	if !ok {
		return ""
	}
	for m := range i.Methods() {
		if m.Signature().Results().Len() == results {
			return m.Name()
		}
	}
	return ""
}

// markers returns the methods of a sealed interface that do nothing.
func markers(sum *types.Named) []string {
	var all []string
	if i, ok := sum.Underlying().(*types.Interface); ok {
		for m := range i.Methods() {
			if m.Signature().Results().Len() == 0 && m.Signature().Params().Len() == 0 {
				all = append(all, m.Name())
			}
		}
	}
	return all
}

// create adds a file to the plan, unless the file exists.
func (g *generator) create(name, tmpl string) error {
	if !g.c.Generate.Tests && strings.HasSuffix(name, "_test.go") {
		return nil
	}
	own := strings.TrimSuffix(fileName(g.words), ".go") // belongs to the slice
	if _, err := os.Lstat(filepath.Join(g.c.Dir, filepath.FromSlash(name))); err == nil && (!g.req.Force || path.Base(name) != own+"_test.go") {
		return nil
	}
	return g.replace(name, tmpl)
}

func (g *generator) replace(name, tmpl string) error {
	text, err := render(g.c, tmpl, g.data)
	if err != nil {
		return err
	}
	g.plan.Files = append(g.plan.Files, File{name, text})
	return nil
}

// slice adds the file of the slice itself. It replaces an existing file only with
// force, and returns an error if that file is not what the slice needs.
func (g *generator) slice(name, tmpl string, there bool) error {
	_, err := os.Lstat(filepath.Join(g.c.Dir, filepath.FromSlash(name)))
	switch {
	case g.req.Force, err != nil && !there:
		return g.replace(name, tmpl)
	case err == nil && !there:
		return fmt.Errorf("%s already exists and is not the slice %s: nothing was written; choose another name, or replace the file with --force", name, g.name)
	}
	return nil
}

// dir returns the path of a directory of the context.
func (g *generator) dir(elements ...string) string {
	return path.Join(slices.Concat([]string{g.p.Root, g.context}, elements)...)
}

// insert adds an insertion into the file of a node.
func (g *generator) insert(s *edit.Source, err error, at func(*edit.Source) edit.Insert) error {
	if err != nil {
		return err
	}
	g.plan.Inserts = append(g.plan.Inserts, at(s))
	return nil
}

// byHand records a line for which there is no clear place.
func (g *generator) byHand(where, line string) {
	g.plan.ByHand = append(g.plan.ByHand, fmt.Sprintf("%s: add by hand: %s", where, line))
}

// contextFiles plans the files that a context needs once: its API, its edge, and an
// entry in the list of all contexts.
func (g *generator) contextFiles(edge ...string) error {
	if !g.c.Generate.HTTP {
		edge = nil
	} else {
		edge = append(edge, "http.go")
	}
	if g.ctx == nil || g.ctx.API == nil {
		if err := g.create(g.dir(g.context+".go"), "context.go.tmpl"); err != nil {
			return err
		}
		if err := g.create(g.dir("run.go"), "run.go.tmpl"); err != nil {
			return err
		}
		if err := g.listed(); err != nil {
			return err
		}
	}
	for _, name := range edge {
		helper := map[string]string{"command.go": "command", "query.go": "query", "list.go": "list", "listlog.go": "listLog", "http.go": "problem"}[name]
		if g.ctx != nil && g.ctx.API != nil && g.ctx.API.Types.Scope().Lookup(helper) != nil {
			continue
		}
		if err := g.create(g.dir(name), name+".tmpl"); err != nil {
			return err
		}
	}
	return nil
}

// listed adds the context to the list that All of the root returns.
func (g *generator) listed() error {
	line := g.context + ".New(st, log)"
	for _, pkg := range g.p.Packages {
		if pkg.PkgPath != path.Join(g.p.Module, g.p.Root) {
			continue
		}
		fn := g.p.Method(pkg, "All", func(s *types.Signature) bool { return s.Recv() == nil && s.Results().Len() == 1 })
		if fn == nil {
			break
		}
		lit := literal(fn)
		if lit == nil {
			g.byHand(g.p.At(fn.Pos()).String(), line)
			return nil
		}
		s, err := g.p.Source(pkg, lit.Pos())
		if err != nil {
			return err
		}
		g.plan.Inserts = append(g.plan.Inserts, s.Composite(lit, line))
		return g.imported(s, g.data.ContextPath)
	}
	g.byHand(g.p.Root, line)
	return nil
}

// literal returns the composite literal that a function returns at its end.
func literal(fn *ast.FuncDecl) *ast.CompositeLit {
	if n := len(fn.Body.List); n > 0 {
		if ret, ok := fn.Body.List[n-1].(*ast.ReturnStmt); ok && len(ret.Results) == 1 {
			lit, _ := ret.Results[0].(*ast.CompositeLit)
			return lit
		}
	}
	return nil
}

// imported adds an import to a file, unless it is there.
func (g *generator) imported(s *edit.Source, importPath string) error {
	i, ok := s.Import(importPath, g.p.Module)
	if ok && !slices.ContainsFunc(g.plan.Inserts, func(x edit.Insert) bool { return x.File == i.File && strings.Contains(x.Text, `"`+importPath+`"`) }) {
		g.plan.Inserts = append(g.plan.Inserts, i)
	}
	return nil
}

// field returns the name of the field of the context's receiver whose type is accepts.
func (g *generator) field(fn *ast.FuncDecl, is func(types.Type) bool) string {
	obj, ok := g.ctx.API.TypesInfo.Defs[fn.Name].(*types.Func)
	if !ok {
		return ""
	}
	t := obj.Signature().Recv().Type()
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	s, ok := t.Underlying().(*types.Struct)
	for i := 0; ok && i < s.NumFields(); i++ {
		if is(s.Field(i).Type()) {
			return s.Field(i).Name()
		}
	}
	return ""
}

// receiver returns the name of a method's receiver, or "".
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List[0].Names) == 0 {
		return ""
	}
	return fn.Recv.List[0].Names[0].Name
}

// isRunner reports whether t is a runner, or a group, of the aggregate.
func (g *generator) isRunner(t types.Type) bool {
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == model.RunnerPath && n.TypeArgs().Len() == 3 && types.Identical(n.TypeArgs().At(2), g.agg.Event)
}

func isLogger(t types.Type) bool { return t.String() == "*log/slog.Logger" }

// isStore reports whether t has the methods of a store and of a log.
func isStore(t types.Type) bool {
	read, _, _ := types.LookupFieldOrMethod(t, true, nil, "Read")
	subscribe, _, _ := types.LookupFieldOrMethod(t, true, nil, "Subscribe")
	return read != nil && subscribe != nil
}

// route adds a route to the method Routes of an existing context, or says where to add
// it. Line makes the statement from the names of the mux and of the receiver's fields.
func (g *generator) route(pattern, importPath string, line func(mux, recv, log, run, st string) string) error {
	if pattern == "" || g.ctx == nil || g.ctx.API == nil {
		return nil
	}
	for _, r := range g.p.Routes {
		if r.Pattern == pattern && r.Pkg == g.ctx.API {
			return nil
		}
	}
	fn := g.p.RoutesOf(g.ctx)
	if fn == nil {
		g.byHand(g.dir(), line("mux", g.data.Receiver, "log", g.data.Runner, "store"))
		return nil
	}
	mux, recv := fn.Type.Params.List[0].Names[0].Name, receiver(fn)
	logger := g.field(fn, isLogger)
	run := ""
	if g.agg != nil {
		run = g.field(fn, g.isRunner)
	}
	st := g.field(fn, isStore)
	if recv == "" || logger == "" || st == "" || g.req.Kind == Command && run == "" {
		g.byHand(g.p.At(fn.Pos()).String(), line(mux, cmp.Or(recv, g.data.Receiver), cmp.Or(logger, "log"), cmp.Or(run, g.data.Runner), cmp.Or(st, "store")))
		return nil
	}
	s, err := g.p.Source(g.ctx.API, fn.Pos())
	if err != nil {
		return err
	}
	g.plan.Inserts = append(g.plan.Inserts, s.Statement(fn.Body, line(mux, recv, logger, run, st)))
	return g.imported(s, importPath)
}

// pattern returns the route of the slice: the requested one, or one made from the
// names.
func (g *generator) pattern(method, rest string) (string, error) {
	if !g.c.Generate.HTTP || g.req.HTTP == "none" {
		return "", nil
	}
	if g.req.HTTP == "" {
		return method + " /" + rest, nil
	}
	m, p, ok := strings.Cut(g.req.HTTP, " ")
	if !ok || m != strings.ToUpper(m) || !strings.HasPrefix(p, "/") {
		return "", nameError("the route is %q: write METHOD PATH, such as POST /accounts/{id}/credit, or none", g.req.HTTP)
	}
	return g.req.HTTP, nil
}

// taken returns the object that a package declares with this name, unless it is one of
// the types of a.
func taken(a *model.Aggregate, name string) types.Object {
	if a == nil {
		return nil
	}
	return a.Pkg.Types.Scope().Lookup(name)
}

// errTaken reports that a name already means something else.
func (g *generator) errTaken(o types.Object) error {
	return nameError("%s is already declared at %s, and is not what this slice needs: choose another name", o.Name(), g.p.At(o.Pos()))
}

// member finds a command or event called name in all.
func member(all []*model.Message, name string) *model.Message {
	for _, m := range all {
		if m.Obj.Name() == name {
			return m
		}
	}
	return nil
}

func memberNames(all []*model.Message) string {
	var names []string
	for _, m := range all {
		names = append(names, m.Obj.Name())
	}
	return strings.Join(names, ", ")
}

// spaced turns the name of a type into words of a sentence: OwnerChanged, owner
// changed.
func spaced(name string) string { return strings.ToLower(strings.Join(rules.Words(name), " ")) }
