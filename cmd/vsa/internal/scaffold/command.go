package scaffold

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path"
	"slices"
	"strings"

	"github.com/evolvego/evolve/cmd/vsa/internal/edit"
	"github.com/evolvego/evolve/cmd/vsa/internal/model"
	"github.com/evolvego/evolve/cmd/vsa/internal/rules"
)

// command plans a slice for a command, with its decision and its event.
func (g *generator) command() error {
	if err := g.aggregate(); err != nil {
		return err
	}
	g.aggregateData()
	d := &g.data
	d.Package, d.PackagePath = d.AggregatePackage, d.AggregatePath
	left := without(g.words, g.aggName)
	if len(left) == 0 {
		return nameError("%q has no verb besides the aggregate %s: use a name like open-%s", g.name, g.aggName, g.aggName)
	}
	d.Command, d.Event = messageNames(left)
	if g.req.Event != "" {
		d.Event = g.req.Event
	}
	if err := g.checkMessages(); err != nil {
		return err
	}
	d.Stored = d.StreamType + d.Event
	g.phrases(left)
	there := g.agg != nil && member(g.agg.Commands, d.Command) != nil
	if !there {
		for _, o := range []types.Object{taken(g.agg, d.Command), taken(g.agg, d.Event)} {
			if o != nil && (g.agg == nil || member(g.agg.Events, o.Name()) == nil) {
				return g.errTaken(o)
			}
		}
	}
	pattern, err := g.pattern("POST", g.context+"/{id}/"+strings.Join(left, "-"))
	if err != nil {
		return err
	}
	d.Method, d.SamplePath, _ = strings.Cut(pattern, " ")
	d.SamplePath = strings.ReplaceAll(d.SamplePath, "{id}", g.aggName[:1]+"-1")
	var body []string
	for _, f := range d.Fields {
		if s := f.JSONSample(); s != "" {
			body = append(body, fmt.Sprintf("%q:%s", f.JSON, s))
		}
	}
	d.SampleBody = "{" + strings.Join(body, ",") + "}"
	line := func(mux, recv, log, run, _ string) string {
		return fmt.Sprintf("%s.HandleFunc(%q, command(%s.%s, %s.%s, func(c %s.%s) %s.%s { return c }))", mux, pattern, recv, log, recv, run, d.Package, d.Command, d.Package, d.CommandType)
	}
	if pattern != "" {
		d.Route = line("mux", d.Receiver, "log", d.Runner, "store")
	}
	d.Inner = []string{d.AggregatePath}
	if err := g.commandFiles(there, pattern); err != nil {
		return err
	}
	if err := g.ensureRunner(); err != nil {
		return err
	}
	if err := g.registered(); err != nil {
		return err
	}
	if err := g.routeOnce(pattern, line); err != nil {
		return err
	}
	file := path.Join(g.aggregateDir(), fileName(g.words))
	if !there {
		g.plan.Notes = append(g.plan.Notes,
			fmt.Sprintf("%s: write in decide when %s is rejected, and in evolve what %s changes", file, d.Command, d.Event),
			strings.TrimSuffix(file, ".go")+"_test.go"+": test what must hold, with props.Spec")
	}
	return nil
}

// routeOnce adds the route, unless something already creates the command.
func (g *generator) routeOnce(pattern string, line func(mux, recv, log, run, st string) string) error {
	if g.agg != nil {
		if c := member(g.agg.Commands, g.data.Command); c != nil {
			for _, r := range g.p.Routes {
				if slices.Contains(r.Sends, c.Obj) {
					return nil
				}
			}
		}
	}
	return g.route(pattern, g.data.AggregatePath, line)
}

func (g *generator) aggregateDir() string {
	if g.agg != nil {
		return path.Dir(g.p.At(g.agg.Command.Obj().Pos()).Filename)
	}
	return g.dir("internal", g.aggName)
}

// checkMessages returns an error if the command or the event cannot have its name.
func (g *generator) checkMessages() error {
	d := g.data
	for _, name := range []string{d.Command, d.Event} {
		switch {
		case slices.Contains(reserved(), name):
			return nameError("a slice cannot have a type called %s, because every aggregate has one: choose another verb", name)
		case !token.IsIdentifier(name) || !token.IsExported(name):
			return nameError("%q is not the name of an exported type", name)
		}
	}
	if d.Command == d.Event {
		return nameError("the command and its event would both be called %s: name the event with --event", d.Command)
	}
	if !rules.PastTense(d.Event) && g.req.Event != "" {
		return nameError("the event %s is not in the past tense", d.Event)
	}
	return nil
}

// phrases returns the sentences of the slice.
func (g *generator) phrases(left []string) {
	d := &g.data
	verb, object := left[0], strings.Join(left[1:], " ")
	d.Participle = strings.ToLower(rules.Participle(model.Pascal(verb)))
	d.NoPrefix = "No"
	d.Ing = gerund(verb)
	switch object {
	case "":
		d.Phrase = verb + " the " + g.aggName
		d.Past = "the " + g.aggName + " was " + d.Participle
	default:
		d.Phrase = verb + " the " + object + " of the " + g.aggName
		d.Past = "the " + object + " of the " + g.aggName + " was " + d.Participle
		d.Ing += " the " + object + " of"
	}
	if g.req.Event != "" {
		d.Past = "this happened to the " + g.aggName + ": " + spaced(g.req.Event)
	}
	if len(d.RequiredFields) > 0 {
		d.Imports = append(d.Imports, "errors")
	}
	d.Imports = append(d.Imports, d.TypeImports...)
	slices.Sort(d.Imports)
	d.OneImport = len(d.Imports) == 1
	for _, f := range d.Fields {
		if strings.HasPrefix(f.Sample(), "time.") {
			d.TestImports = []string{"time"}
		}
	}
}

// gerund returns the -ing form of a verb.
func gerund(verb string) string {
	past := strings.ToLower(rules.Participle(verb))
	switch {
	case strings.HasSuffix(verb, "ee"), strings.HasSuffix(verb, "ye"):
		return verb + "ing"
	case strings.HasSuffix(verb, "e"):
		return verb[:len(verb)-1] + "ing"
	case past == verb+verb[len(verb)-1:]+"ed": // ship, shipped
		return verb + verb[len(verb)-1:] + "ing"
	}
	return verb + "ing"
}

// commandFiles plans the files of the slice, and those of its aggregate and context.
func (g *generator) commandFiles(there bool, pattern string) error {
	dir, file := g.aggregateDir(), fileName(g.words)
	if err := g.slice(path.Join(dir, file), "slice.go.tmpl", there); err != nil {
		return err
	}
	if !there || g.req.Force {
		if err := g.create(path.Join(dir, strings.TrimSuffix(file, ".go")+"_test.go"), "slice_test.go.tmpl"); err != nil {
			return err
		}
	}
	if g.agg == nil {
		if err := g.create(path.Join(dir, g.aggName+".go"), "aggregate.go.tmpl"); err != nil {
			return err
		}
		if err := g.create(path.Join(dir, g.aggName+"_test.go"), "aggregate_test.go.tmpl"); err != nil {
			return err
		}
	}
	var edge []string
	if pattern != "" {
		edge = []string{"command.go"}
		if g.ctx == nil || g.ctx.API == nil {
			if err := g.create(g.dir(g.context+"_test.go"), "context_test.go.tmpl"); err != nil {
				return err
			}
		}
	}
	return g.contextFiles(edge...)
}

// ensureRunner adds a runner of a new aggregate to an existing context.
func (g *generator) ensureRunner() error {
	if g.ctx == nil || g.ctx.API == nil {
		return nil
	}
	fn := g.p.RoutesOf(g.ctx)
	if fn == nil {
		return nil
	}
	if g.agg != nil && g.field(fn, g.isRunner) != "" {
		return nil
	}
	d := g.data
	field := fmt.Sprintf("%s *runner.Runner[%s.%s, %s.%s, %s.%s]", d.Runner, d.Package, d.CommandType, d.Package, d.StateType, d.Package, d.EventType)
	element := fmt.Sprintf("%s: runner.New(%s, %s, st, %s)", d.Runner, d.StreamTypeExpr, d.DeciderCall, d.CodecCall)
	g.byHand(g.p.At(fn.Pos()).String(), "the field "+field+", which New sets to "+element)
	return nil
}

// registered adds the event to the codec and the command to the samples of the test. If
// the aggregate decides by switches, it also adds the cases.
func (g *generator) registered() error {
	if g.agg == nil {
		return nil
	}
	d := g.data
	if c, err := g.p.CodecOf(g.agg); err != nil {
		g.byHand(g.aggregateDir(), fmt.Sprintf("%q: %s{} to the names of the codec (%v)", d.Stored, d.Event, err))
	} else if !slices.ContainsFunc(c.Names, func(n model.Name) bool { return n.Obj.Name() == d.Event }) {
		s, err := g.p.Source(c.Pkg, c.Call.Pos())
		if err := g.insert(s, err, func(s *edit.Source) edit.Insert {
			return s.Composite(c.NamesLit(), fmt.Sprintf("%q: %s{}", d.Stored, d.Event))
		}); err != nil {
			return err
		}
	}
	if err := g.sampled(); err != nil {
		return err
	}
	if !d.Switch {
		return nil
	}
	if member(g.agg.Commands, d.Command) == nil || !member(g.agg.Commands, d.Command).Handled.IsValid() {
		if err := g.switched(g.agg.Command, d.Command, g.decision); err != nil {
			return err
		}
	}
	if member(g.agg.Events, d.Event) == nil || !member(g.agg.Events, d.Event).Handled.IsValid() {
		return g.switched(g.agg.Event, d.Event, func(string) string { return "" })
	}
	return nil
}

// sampled adds the command to the samples of the aggregate's test.
func (g *generator) sampled() error {
	d := g.data
	if c := member(g.agg.Commands, d.Command); !g.c.Generate.Tests || c != nil && c.Tested && g.inSamples(d.Command) {
		return nil
	}
	pkg, call, err := g.p.SamplesOf(g.agg)
	if err != nil {
		g.byHand(g.aggregateDir(), fmt.Sprintf("%s.%s{} to the samples of a test (%v)", d.Package, d.Command, err))
		return nil
	}
	prefix := ""
	if pkg.Types.Name() != d.Package { // the test is outside of the package
		prefix = d.Package + "."
	}
	s, err := g.p.Source(pkg, call.Pos())
	return g.insert(s, err, func(s *edit.Source) edit.Insert { return s.Argument(call, prefix+d.Command+"{}") })
}

// inSamples reports whether the samples of the aggregate's test include a command.
func (g *generator) inSamples(command string) bool {
	pkg, call, err := g.p.SamplesOf(g.agg)
	if err != nil {
		return false
	}
	for _, arg := range call.Args {
		if n, ok := types.Unalias(pkg.TypesInfo.TypeOf(arg)).(*types.Named); ok && n.Obj().Name() == command {
			return true
		}
	}
	return false
}

// decision is the body of a case that decides the event. C is the variable of the
// command, or "".
func (g *generator) decision(c string) string {
	d := g.data
	event := d.Event + "{}"
	if c != "" {
		event = d.Event + "(" + c + ")"
	}
	return "\n\treturn []" + d.EventType + "{" + event + "}, nil"
}

// switched adds a case to the only switch over a sum.
func (g *generator) switched(sum *types.Named, name string, body func(v string) string) error {
	sw := g.p.SwitchOf(g.agg, sum)
	if sw == nil {
		g.byHand(g.aggregateDir(), fmt.Sprintf("a case for %s to the switch over %s", name, sum.Obj().Name()))
		return nil
	}
	v := ""
	if assign, ok := sw.Assign.(*ast.AssignStmt); ok {
		if id, ok := assign.Lhs[0].(*ast.Ident); ok {
			v = id.Name
		}
	}
	s, err := g.p.Source(g.agg.Pkg, sw.Pos())
	return g.insert(s, err, func(s *edit.Source) edit.Insert { return s.Case(sw, "case "+name+":"+body(v)) })
}
