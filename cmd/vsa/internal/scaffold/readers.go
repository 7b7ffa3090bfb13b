package scaffold

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/types"
	"path"
	"slices"
	"strings"

	"github.com/evolvego/evolve/cmd/vsa/internal/edit"
	"github.com/evolvego/evolve/cmd/vsa/internal/model"
	"github.com/evolvego/evolve/cmd/vsa/internal/rules"
)

// readerPackage names the package of a slice that only reads or reacts.
func (g *generator) readerPackage() error {
	name, err := packageName(g.words)
	if err != nil {
		return err
	}
	g.data.Package, g.data.PackagePath = name, path.Join(g.data.ContextPath, "internal", name)
	if g.agg != nil && g.agg.Pkg.PkgPath == g.data.PackagePath {
		return nameError("the slice would have the package of the aggregate %s: choose another name", name)
	}
	return nil
}

// there returns the reader of the slice, if it exists.
func (g *generator) there() *model.Reader {
	for _, r := range g.p.Readers {
		if r.Pkg.PkgPath == g.data.PackagePath {
			return r
		}
	}
	return nil
}

// source resolves the events that the slice reads: those of the aggregate of its
// context, or published events of another context.
func (g *generator) source() (events []*model.Message, foreign bool, err error) {
	context := ""
	for _, on := range g.req.On {
		of, _, ok := strings.Cut(on, ".")
		if !ok {
			of = g.context
		}
		if context != "" && context != of {
			return nil, false, nameError("the events of --on belong to two contexts, %s and %s: a slice reads the events of one context", context, of)
		}
		context = of
	}
	if context == "" || context == g.context {
		if err := g.aggregate(); err != nil {
			return nil, false, err
		}
		if g.agg == nil {
			return nil, false, nameError("the context %s has no aggregate %s to read: generate a command first, or name the events of another context with --on", g.context, g.aggName)
		}
		g.aggregateData()
		events, err = g.on(g.agg)
		return events, false, err
	}
	return g.foreign(context)
}

// on returns the events of a that the request names, or all.
func (g *generator) on(of *model.Aggregate) ([]*model.Message, error) {
	if len(g.req.On) == 0 {
		events := slices.Clone(of.Events)
		if c, err := g.p.CodecOf(of); err == nil { // in a natural order
			place := func(m *model.Message) int {
				return slices.IndexFunc(c.Names, func(n model.Name) bool { return n.Obj == m.Obj })
			}
			slices.SortStableFunc(events, func(a, b *model.Message) int { return cmp.Compare(place(a), place(b)) })
		}
		return events, nil
	}
	var events []*model.Message
	for _, on := range g.req.On {
		name := on[strings.LastIndex(on, ".")+1:]
		e := member(of.Events, name)
		if e == nil {
			return nil, nameError("%s has no event %s: it has %s", of.Pkg.Types.Name(), name, memberNames(of.Events))
		}
		events = append(events, e)
	}
	return events, nil
}

// foreign resolves events that another context publishes. If the request says so, it
// publishes them.
func (g *generator) foreign(context string) ([]*model.Message, bool, error) {
	other := g.p.ContextNamed(context)
	if other == nil || other.API == nil {
		return nil, false, nameError("there is no context %s", context)
	}
	var of *model.Aggregate
	var events []*model.Message
	for _, a := range g.p.Aggregates {
		if g.p.ContextOf(a.Pkg.PkgPath) == context {
			if found, err := g.on(a); err == nil {
				of, events = a, found
			}
		}
	}
	if of == nil {
		return nil, false, nameError("the context %s has no aggregate with the events %s", context, strings.Join(g.req.On, ", "))
	}
	scope := other.API.Types.Scope()
	var missing []*model.Message
	for _, e := range events {
		alias, ok := scope.Lookup(e.Obj.Name()).(*types.TypeName)
		if !ok || !types.Identical(types.Unalias(alias.Type()), e.Obj.Type()) {
			missing = append(missing, e)
		}
	}
	if len(missing) > 0 {
		if !g.req.Publish {
			return nil, false, nameError("the context %s does not publish %s: add --publish, or publish it in %s/published.go", context, memberNames(missing), path.Join(g.p.Root, context))
		}
		if err := g.publish(other, of, missing); err != nil {
			return nil, false, err
		}
	}
	d := &g.data
	g.agg, g.aggName = of, of.Pkg.Types.Name()
	d.Aggregate, d.Aggregates = g.aggName, plural(g.aggName)
	d.AggregatePackage, d.AggregatePath = other.API.Types.Name(), other.API.PkgPath
	d.EventType, d.CodecCall, d.StreamTypeExpr = "Published", d.AggregatePackage+".PublishedCodec()", d.AggregatePackage+".StreamType"
	return events, true, nil
}

// publish makes events of a visible to other contexts.
func (g *generator) publish(c *model.Context, of *model.Aggregate, events []*model.Message) error {
	file := path.Join(g.p.Root, c.Name, "published.go")
	own := *g
	own.data = data{Context: c.API.Types.Name(), AggregatePackage: of.Pkg.Types.Name(), AggregatePath: of.Pkg.PkgPath, StreamTypeExpr: of.Pkg.Types.Name() + ".StreamType"}
	if of.Pkg.Types.Scope().Lookup("StreamType") == nil {
		own.data.StreamTypeExpr = fmt.Sprintf("%q", of.StreamType)
	}
	for _, e := range events {
		own.data.Events = append(own.data.Events, filled{Name: e.Obj.Name(), Stored: g.p.Name(e.Obj)})
	}
	if c.API.Types.Scope().Lookup("PublishedCodec") == nil {
		return own.create(file, "published.go.tmpl")
	}
	for _, codec := range g.p.Codecs {
		if codec.Pkg != c.API || !codec.Literal {
			continue
		}
		s, err := g.p.Source(c.API, codec.Call.Pos())
		if err != nil {
			return err
		}
		for _, e := range own.data.Events {
			g.plan.Inserts = append(g.plan.Inserts, s.Composite(codec.NamesLit(), fmt.Sprintf("%q: %s{}", e.Stored, e.Name)), edit.Insert{File: s.Name, Offset: len(s.Text), Text: fmt.Sprintf("\n// %s is a published event.\ntype %s = %s.%s\n", e.Name, e.Name, own.data.AggregatePackage, e.Name)})
		}
		return nil
	}
	g.byHand(file, "publish "+memberNames(events))
	return nil
}

// fill finds the fields of the answer that each event has under the same name and type.
func (g *generator) fill(events []*model.Message) {
	d := &g.data
	for _, e := range events {
		f := filled{Name: e.Obj.Name()}
		s, ok := e.Obj.Type().Underlying().(*types.Struct)
		for _, field := range d.Fields {
			for i := 0; ok && i < s.NumFields(); i++ {
				if s.Field(i).Name() == field.Name && types.TypeString(s.Field(i).Type(), types.RelativeTo(e.Obj.Pkg())) == field.Type {
					f.Fills = append(f.Fills, field.Name)
					if !slices.ContainsFunc(d.Filled, func(x Field) bool { return x.Name == field.Name }) && len(d.Events) == 0 {
						d.Filled = append(d.Filled, field)
					}
				}
			}
		}
		d.Events, d.Fills = append(d.Events, f), d.Fills || len(f.Fills) > 0
	}
	d.OneFilled = len(d.Events) == 1 && d.Fills
}

// query plans a slice that answers: a view, the code that loads it, and its route.
func (g *generator) query() error {
	events, foreign, err := g.source()
	if err != nil {
		return err
	}
	if foreign && !g.req.List {
		return nameError("a query about one stream reads the events of its own context: add --list, or generate it in %s", g.p.ContextOf(g.agg.Pkg.PkgPath))
	}
	if err := g.readerPackage(); err != nil {
		return err
	}
	d := &g.data
	g.fill(events)
	left := without(g.words, g.aggName)
	for _, verb := range []string{"get", "show", "find", "list", "all", "read", "view"} {
		if len(left) > 1 && left[0] == verb {
			left = left[1:]
		}
	}
	if len(left) == 1 && slices.Contains([]string{"get", "show", "find", "list", "read", "view"}, left[0]) {
		left = nil
	}
	if g.req.List {
		d.Foreign = foreign
		return g.listQuery(left)
	}
	if len(left) == 0 {
		left = []string{"details"}
	}
	d.Answer, d.What = pascal(left), strings.Join(left, " ")
	d.Letter = strings.ToLower(d.Answer[:1])
	if d.Letter == "e" {
		d.Letter = "answer"
	}
	d.Samples = g.samplesOf()
	pattern, err := g.pattern("GET", g.context+"/{id}/"+strings.Join(left, "-"))
	if err != nil {
		return err
	}
	line := func(mux, recv, log, _, st string) string {
		return fmt.Sprintf("%s.HandleFunc(%q, query(%s.%s, %s.%s, %s.Load))", mux, pattern, recv, log, recv, st, d.Package)
	}
	return g.readerFiles("get", "query.go", pattern, line)
}

// samplesOf returns the commands of the aggregate, in the order of its own test.
func (g *generator) samplesOf() []string {
	var all []string
	if pkg, call, err := g.p.SamplesOf(g.agg); err == nil {
		for _, arg := range call.Args {
			if n, ok := types.Unalias(pkg.TypesInfo.TypeOf(arg)).(*types.Named); ok && member(g.agg.Commands, n.Obj().Name()) != nil {
				all = append(all, n.Obj().Name())
			}
		}
	}
	for _, c := range g.agg.Commands {
		if !slices.Contains(all, c.Obj.Name()) {
			all = append(all, c.Obj.Name())
		}
	}
	return all
}

func (g *generator) listQuery(left []string) error {
	d := &g.data
	rest := g.context
	if len(left) > 0 {
		rest += "/" + strings.Join(left, "-")
	}
	d.What = "the " + strings.Join(left, " ") + " of " + d.Aggregates
	if len(left) == 0 {
		d.What = d.Aggregates
	}
	pattern, err := g.pattern("GET", rest)
	if err != nil {
		return err
	}
	d.IDField, d.Projected = model.Pascal(g.aggName), g.target()
	if !d.Projected { // its store cannot keep the entries
		line := func(mux, recv, log, _, st string) string {
			return fmt.Sprintf("%s.HandleFunc(%q, listLog(%s.%s, %s.%s, %s.Load))", mux, pattern, recv, log, recv, st, d.Package)
		}
		return g.readerFiles("listview", "listlog.go", pattern, line)
	}
	line := func(mux, recv, log, _, st string) string {
		return fmt.Sprintf("%[1]s.HandleFunc(%[2]q, list(%[3]s.%[4]s, %[5]s.Projection(%[3]s.%[6]s, %[3]s.%[6]s), %[5]s.Load))", mux, pattern, recv, log, d.Package, st)
	}
	d.Run = d.Package + ".Projection(" + d.Receiver + ".store, " + d.Receiver + ".store).Run"
	if err := g.readerFiles("listview", "list.go", pattern, line); err != nil || g.ctx == nil || g.ctx.API == nil {
		return err
	}
	return g.running(func(recv, st, _ string) string {
		return fmt.Sprintf("%[1]s.Projection(%[2]s.%[3]s, %[2]s.%[3]s).Run", d.Package, recv, st)
	})
}

// readerFiles plans the files of a query, and its route.
func (g *generator) readerFiles(tmpl, edge, pattern string, line func(mux, recv, log, run, st string) string) error {
	d := &g.data
	there, dir, file := g.there() != nil, g.dir("internal", d.Package), fileName(g.words)
	if err := g.slice(path.Join(dir, file), tmpl+".go.tmpl", there); err != nil {
		return err
	}
	if !there || g.req.Force {
		if err := g.create(path.Join(dir, strings.TrimSuffix(file, ".go")+"_test.go"), tmpl+"_test.go.tmpl"); err != nil {
			return err
		}
		g.plan.Notes = append(g.plan.Notes, path.Join(dir, file)+": write in evolve how each event changes the answer")
	}
	if pattern == "" {
		return nil
	}
	if g.ctx == nil || g.ctx.API == nil {
		own := *g
		own.data.Inner, own.data.Package, own.data.Runner = []string{d.PackagePath}, "", ""
		own.data.Route = line("mux", d.Receiver, "log", "", "store")
		return own.contextFiles(edge)
	}
	if err := g.contextFiles(edge); err != nil {
		return err
	}
	return g.route(pattern, d.PackagePath, line)
}

// reactor plans a slice that reacts to events with a command.
func (g *generator) reactor() error {
	if len(g.req.On) == 0 || g.req.Send == "" {
		return nameError("a reactor needs --on EVENT and --send COMMAND")
	}
	events, foreign, err := g.source()
	if err != nil {
		return err
	}
	if foreign {
		return nameError("a reactor reacts to the events of its own context: generate it in %s", g.p.ContextOf(g.agg.Pkg.PkgPath))
	}
	send := member(g.agg.Commands, g.req.Send)
	if send == nil {
		return nameError("%s has no command %s: it has %s", g.aggName, g.req.Send, memberNames(g.agg.Commands))
	}
	if err := g.readerPackage(); err != nil {
		return err
	}
	d := &g.data
	d.Send, d.IDField = g.req.Send, model.Pascal(g.aggName)
	d.RunnerTypes = fmt.Sprintf("%[1]s.%[2]s, %[3]s, %[1]s.%[4]s", d.AggregatePackage, d.CommandType, qualify(d.AggregatePackage, d.StateType), d.EventType)
	for _, e := range events {
		d.On = append(d.On, d.AggregatePackage+"."+e.Obj.Name())
	}
	for _, e := range send.Emits {
		if name := d.AggregatePackage + "." + e.Name(); !slices.Contains(d.On, name) {
			d.Done = append(d.Done, name)
		}
	}
	d.Handled = slices.Concat(d.On, d.Done)
	var names []string
	for _, e := range events {
		names = append(names, e.Obj.Name())
	}
	d.OnWords = strings.Join(names, " or ")
	there, dir, file := g.there() != nil, g.dir("internal", d.Package), fileName(g.words)
	if err := g.slice(path.Join(dir, file), "process.go.tmpl", there); err != nil {
		return err
	}
	if !there || g.req.Force {
		run := "processrun.go.tmpl"
		if !g.target() { // its store cannot keep the instances
			run = "processfold.go.tmpl"
		}
		for name, tmpl := range map[string]string{strings.TrimSuffix(file, ".go") + "_test.go": "process_test.go.tmpl", "run.go": run} {
			if err := g.create(path.Join(dir, name), tmpl); err != nil {
				return err
			}
		}
		g.plan.Notes = append(g.plan.Notes, fmt.Sprintf("%s: set the fields of the %s in pending", path.Join(dir, file), d.Send))
	}
	if r := g.there(); r != nil && r.Used {
		return nil
	}
	return g.running(func(recv, st, run string) string {
		if g.target() {
			return fmt.Sprintf("func(ctx context.Context) error { return %[1]s.Run(ctx, %[2]s.%[3]s, %[2]s.%[3]s, %[2]s.%[4]s) }", d.Package, recv, st, run)
		}
		return fmt.Sprintf("func(ctx context.Context) error { return %s.Run(ctx, %s.%s, %s.%s) }", d.Package, recv, st, recv, run)
	})
}

// target reports whether the store of the context has transactions, so that a process
// or a projection can keep its state there. The store of a new context does.
func (g *generator) target() bool {
	if g.ctx == nil || g.ctx.API == nil {
		return true
	}
	fn := g.p.RoutesOf(g.ctx)
	return fn != nil && g.field(fn, func(t types.Type) bool {
		update, _, _ := types.LookupFieldOrMethod(t, true, nil, "Update")
		return isStore(t) && update != nil
	}) != ""
}

func qualify(pkg, name string) string {
	if rules.PastTense(name) || strings.ContainsAny(name, "[]*. ") || name == strings.ToLower(name) {
		return name
	}
	return pkg + "." + name
}

// running adds to Run of the context what line makes from the names of the receiver and
// its fields, unless Run already runs the slice.
func (g *generator) running(line func(recv, st, run string) string) error {
	d := g.data
	routes := g.p.RoutesOf(g.ctx)
	fn := g.p.Method(g.ctx.API, "Run", func(s *types.Signature) bool { return s.Recv() != nil && s.Params().Len() == 1 })
	if fn == nil || routes == nil || receiver(fn) == "" {
		g.byHand(g.dir(), line(d.Receiver, "store", d.Runner))
		return nil
	}
	if g.mentions(fn, d.PackagePath) {
		return nil
	}
	call, st, run := g.p.CallIn(g.ctx.API, fn, "together"), g.field(fn, isStore), ""
	if g.agg != nil {
		run = g.field(fn, g.isRunner)
	}
	if call == nil || st == "" || run == "" && g.req.Kind == Reactor {
		g.byHand(g.p.At(fn.Pos()).String(), line(receiver(fn), "store", d.Runner))
		return nil
	}
	s, err := g.p.Source(g.ctx.API, fn.Pos())
	if err != nil {
		return err
	}
	i := s.Argument(call, line(receiver(fn), st, run))
	if rest, ok := strings.CutPrefix(i.Text, ", "); ok { // one argument on the line of the call: put each on its own line
		i.Text = ",\n\t\t" + rest + ",\n\t"
	}
	g.plan.Inserts = append(g.plan.Inserts, i)
	return g.imported(s, d.PackagePath)
}

// mentions reports whether the body of a method of the context uses a package.
func (g *generator) mentions(fn *ast.FuncDecl, importPath string) bool {
	found := false
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			pkg, ok := g.ctx.API.TypesInfo.Uses[id].(*types.PkgName)
			found = found || ok && pkg.Imported().Path() == importPath
		}
		return !found
	})
	return found
}
