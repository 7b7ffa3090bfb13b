// Package manifest describes a project for other tools: its contexts, slices, commands,
// events, views and processes, in schema 2.3.0 of the vsa manifest.
package manifest

import (
	"cmp"
	"go/token"
	"go/types"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evolvego/evolve/cmd/vsa/internal/model"
	"github.com/evolvego/evolve/cmd/vsa/internal/rules"
)

// SchemaVersion is the version of the schema that [Of] follows.
const SchemaVersion = "2.3.0"

type (
	// Manifest describes a whole project. Lists are sorted, and paths are relative to
	// vsa.yaml.
	Manifest struct {
		Version       string    `json:"version" yaml:"version"`
		SchemaVersion string    `json:"schema_version" yaml:"schema_version"`
		GeneratedAt   string    `json:"generated_at" yaml:"generated_at"`
		Language      string    `json:"language" yaml:"language"`
		Module        string    `json:"module" yaml:"module"`
		Contexts      []Context `json:"bounded_contexts" yaml:"bounded_contexts"`
		Domain        *Domain   `json:"domain,omitempty" yaml:"domain,omitempty"`
	}
	// Context is a bounded context.
	Context struct {
		Name           string       `json:"name" yaml:"name"`
		Path           string       `json:"path" yaml:"path"`
		ContextType    string       `json:"context_type" yaml:"context_type"`
		AggregateCount int          `json:"aggregate_count" yaml:"aggregate_count"`
		Features       []Feature    `json:"features" yaml:"features"`
		DependsOn      []Dependency `json:"depends_on,omitempty" yaml:"depends_on,omitempty"`
		Publishes      []string     `json:"publishes,omitempty" yaml:"publishes,omitempty"`
	}
	// Dependency is a dependency of one context on another.
	Dependency struct {
		Context string `json:"context" yaml:"context"`
		Via     string `json:"via" yaml:"via"` // imports or events
		At      string `json:"at" yaml:"at"`
	}
	// Feature is a slice.
	Feature struct {
		Name      string   `json:"name" yaml:"name"`
		Path      string   `json:"path" yaml:"path"`
		Files     []string `json:"files" yaml:"files"`
		SliceType string   `json:"slice_type" yaml:"slice_type"`
		Package   string   `json:"package" yaml:"package"`
		Commands  []string `json:"commands,omitempty" yaml:"commands,omitempty"`
		Events    []string `json:"events,omitempty" yaml:"events,omitempty"`
		Reads     []string `json:"reads,omitempty" yaml:"reads,omitempty"`
		Sends     []string `json:"sends,omitempty" yaml:"sends,omitempty"`
		Routes    []string `json:"routes,omitempty" yaml:"routes,omitempty"`
	}
	// Domain is what the contexts consist of.
	Domain struct {
		Aggregates    []Aggregate   `json:"aggregates" yaml:"aggregates"`
		Commands      []Command     `json:"commands" yaml:"commands"`
		Events        []Event       `json:"events" yaml:"events"`
		Queries       []Query       `json:"queries" yaml:"queries"`
		Projections   []Projection  `json:"projections" yaml:"projections"`
		Processes     []Process     `json:"processes" yaml:"processes"`
		Upcasters     []Upcaster    `json:"upcasters" yaml:"upcasters"`
		ValueObjects  []struct{}    `json:"value_objects" yaml:"value_objects"`
		Routes        []Route       `json:"routes" yaml:"routes"`
		Relationships Relationships `json:"relationships" yaml:"relationships"`
	}
	// Aggregate is a decider.
	Aggregate struct {
		Name            string           `json:"name" yaml:"name"`
		Context         string           `json:"context" yaml:"context"`
		FilePath        string           `json:"file_path" yaml:"file_path"`
		LineCount       int              `json:"line_count" yaml:"line_count"`
		FolderName      string           `json:"folder_name" yaml:"folder_name"`
		StreamType      string           `json:"stream_type,omitempty" yaml:"stream_type,omitempty"`
		CommandHandlers []CommandHandler `json:"command_handlers" yaml:"command_handlers"`
		EventHandlers   []EventHandler   `json:"event_handlers" yaml:"event_handlers"`
	}
	// CommandHandler is the code that decides a command.
	CommandHandler struct {
		CommandType string   `json:"command_type" yaml:"command_type"`
		MethodName  string   `json:"method_name" yaml:"method_name"`
		LineNumber  int      `json:"line_number" yaml:"line_number"`
		EmitsEvents []string `json:"emits_events" yaml:"emits_events"`
		Rejections  []string `json:"rejections" yaml:"rejections"`
	}
	// EventHandler is the code that applies an event to the state.
	EventHandler struct {
		EventType  string `json:"event_type" yaml:"event_type"`
		MethodName string `json:"method_name" yaml:"method_name"`
		LineNumber int    `json:"line_number" yaml:"line_number"`
	}
	// Command is a command.
	Command struct {
		Name            string  `json:"name" yaml:"name"`
		GoType          string  `json:"go_type" yaml:"go_type"`
		FilePath        string  `json:"file_path" yaml:"file_path"`
		TargetAggregate string  `json:"target_aggregate" yaml:"target_aggregate"`
		HasAggregateID  bool    `json:"has_aggregate_id" yaml:"has_aggregate_id"`
		Context         string  `json:"context" yaml:"context"`
		Fields          []Field `json:"fields" yaml:"fields"`
	}
	// Event is an event in its current version.
	Event struct {
		Name             string   `json:"name" yaml:"name"`
		GoType           string   `json:"go_type" yaml:"go_type"`
		EventType        string   `json:"event_type" yaml:"event_type"`
		Version          string   `json:"version" yaml:"version"`
		FilePath         string   `json:"file_path" yaml:"file_path"`
		EmittedBy        []string `json:"emitted_by" yaml:"emitted_by"`
		HandledBy        []string `json:"handled_by" yaml:"handled_by"`
		DecoratorPresent bool     `json:"decorator_present" yaml:"decorator_present"`
		Context          string   `json:"context" yaml:"context"`
		Published        bool     `json:"published" yaml:"published"`
		Fields           []Field  `json:"fields" yaml:"fields"`
	}
	// Field is a field of a command or an event.
	Field struct {
		Name       string `json:"name" yaml:"name"`
		FieldType  string `json:"field_type" yaml:"field_type"`
		Required   bool   `json:"required" yaml:"required"`
		LineNumber int    `json:"line_number" yaml:"line_number"`
		JSON       string `json:"json" yaml:"json"`
	}
	// Query is a view that answers a route.
	Query struct {
		Name     string  `json:"name" yaml:"name"`
		FilePath string  `json:"file_path" yaml:"file_path"`
		Context  string  `json:"context" yaml:"context"`
		Fields   []Field `json:"fields" yaml:"fields"`
	}
	// Projection is a view.
	Projection struct {
		Name             string   `json:"name" yaml:"name"`
		FilePath         string   `json:"file_path" yaml:"file_path"`
		SubscribedEvents []string `json:"subscribed_events" yaml:"subscribed_events"`
		ReadModel        string   `json:"read_model" yaml:"read_model"`
		Context          string   `json:"context" yaml:"context"`
		LineCount        int      `json:"line_count" yaml:"line_count"`
	}
	// Process is a process.
	Process struct {
		Name             string   `json:"name" yaml:"name"`
		FilePath         string   `json:"file_path" yaml:"file_path"`
		SubscribedEvents []string `json:"subscribed_events" yaml:"subscribed_events"`
		SendsCommands    []string `json:"sends_commands" yaml:"sends_commands"`
		Context          string   `json:"context" yaml:"context"`
	}
	// Upcaster converts an old schema version of an event.
	Upcaster struct {
		Name        string `json:"name" yaml:"name"`
		FilePath    string `json:"file_path" yaml:"file_path"`
		EventType   string `json:"event_type" yaml:"event_type"`
		FromVersion string `json:"from_version" yaml:"from_version"`
		ToVersion   string `json:"to_version" yaml:"to_version"`
	}
	// Route is a pattern of a mux and the slices that it leads to.
	Route struct {
		Pattern string   `json:"pattern" yaml:"pattern"`
		Slices  []string `json:"slices" yaml:"slices"`
		At      string   `json:"at" yaml:"at"`
	}
	// Relationships maps the names above to each other.
	Relationships struct {
		CommandToAggregate    map[string]string   `json:"command_to_aggregate" yaml:"command_to_aggregate"`
		AggregateToEvents     map[string][]string `json:"aggregate_to_events" yaml:"aggregate_to_events"`
		EventToHandlers       map[string][]string `json:"event_to_handlers" yaml:"event_to_handlers"`
		EventToProjections    map[string][]string `json:"event_to_projections" yaml:"event_to_projections"`
		ProjectionToReadModel map[string]string   `json:"projection_to_read_model" yaml:"projection_to_read_model"`
	}
)

type builder struct {
	p *model.Project
	m *Manifest
	d *Domain
}

// Of describes a project at a time. If domain is false, it has only contexts and
// features.
func Of(p *model.Project, version string, at time.Time, domain bool) *Manifest {
	b := &builder{p: p, m: &Manifest{
		Version: version, SchemaVersion: SchemaVersion, GeneratedAt: at.UTC().Format(time.RFC3339), Language: "go", Module: p.Module, Contexts: []Context{},
	}, d: &Domain{
		Aggregates: []Aggregate{}, Commands: []Command{}, Events: []Event{}, Queries: []Query{}, Projections: []Projection{}, Processes: []Process{},
		Upcasters: []Upcaster{}, ValueObjects: []struct{}{}, Routes: []Route{},
		Relationships: Relationships{map[string]string{}, map[string][]string{}, map[string][]string{}, map[string][]string{}, map[string]string{}},
	}}
	features := map[string][]Feature{}
	for _, a := range p.Aggregates {
		context := p.ContextOf(a.Pkg.PkgPath)
		features[context] = append(features[context], b.aggregate(a, context)...)
	}
	for _, r := range p.Readers {
		context := p.ContextOf(r.Pkg.PkgPath)
		features[context] = append(features[context], b.reader(r, context))
	}
	b.routes()
	for _, c := range p.Contexts {
		b.m.Contexts = append(b.m.Contexts, b.context(c, features[c.Name]))
	}
	if domain {
		b.m.Domain = b.d
	}
	return b.m
}

func (b *builder) file(pos token.Pos) string { return b.p.At(pos).Filename }

func (b *builder) lines(pos token.Pos) int {
	f := b.p.Fset.File(pos)
	if f == nil {
		return 0
	}
	return f.LineCount()
}

func (b *builder) names(events []*types.TypeName) []string {
	all := []string{}
	for _, e := range events {
		all = append(all, b.p.Name(e))
	}
	return all
}

// aggregate adds an aggregate, its commands and its events, and returns its slices.
func (b *builder) aggregate(a *model.Aggregate, context string) []Feature {
	name := model.Pascal(a.Pkg.Types.Name())
	of := Aggregate{
		Name: name, Context: context, FilePath: b.file(a.Command.Obj().Pos()), LineCount: b.lines(a.Command.Obj().Pos()), FolderName: path.Base(a.Pkg.PkgPath),
		StreamType: a.StreamType, CommandHandlers: []CommandHandler{}, EventHandlers: []EventHandler{},
	}
	slice := map[string]*Feature{}
	var order []string
	emitted := map[string][]string{}
	for _, c := range a.Commands {
		command := b.p.CommandName(c.Obj)
		events := b.names(c.Emits)
		rejections := []string{}
		for _, e := range c.Errors {
			rejections = append(rejections, e.Name())
		}
		of.CommandHandlers = append(of.CommandHandlers, CommandHandler{command, "decide", b.p.At(c.Handled).Line, events, rejections})
		b.d.Commands = append(b.d.Commands, Command{command, goType(c.Obj), b.file(c.Obj.Pos()), name, true, context, b.fields(c.Obj)})
		b.d.Relationships.CommandToAggregate[command] = name
		for _, e := range events {
			emitted[e] = []string{name}
			if !slices.Contains(b.d.Relationships.AggregateToEvents[name], e) {
				b.d.Relationships.AggregateToEvents[name] = append(b.d.Relationships.AggregateToEvents[name], e)
			}
		}
		file := b.file(c.Obj.Pos())
		if slice[file] == nil {
			order = append(order, file)
			slice[file] = &Feature{Name: b.p.Slice(c.Obj.Pos()), Path: path.Join(b.p.Inner(a.Pkg.PkgPath), path.Base(file)), Files: []string{path.Base(file)}, SliceType: "command", Package: a.Pkg.PkgPath}
		}
		f := slice[file]
		f.Commands = append(f.Commands, command)
		for _, e := range events {
			if !slices.Contains(f.Events, e) {
				f.Events = append(f.Events, e)
			}
		}
		f.Routes = append(f.Routes, b.routesTo(func(r *model.Route) bool { return slices.Contains(r.Sends, c.Obj) })...)
	}
	for _, e := range a.Events {
		event := b.p.Name(e.Obj)
		of.EventHandlers = append(of.EventHandlers, EventHandler{event, "evolve", b.p.At(e.Handled).Line})
		by := emitted[event]
		if by == nil {
			by = []string{}
		}
		b.d.Events = append(b.d.Events, Event{event, goType(e.Obj), event, b.schema(a, event), b.file(e.Obj.Pos()), by, []string{name}, true, context, b.published(e.Obj), b.fields(e.Obj)})
		b.d.Relationships.EventToHandlers[event] = append(b.d.Relationships.EventToHandlers[event], name)
	}
	b.upcasters(a)
	b.d.Aggregates = append(b.d.Aggregates, of)
	var features []Feature
	for _, file := range order {
		features = append(features, *slice[file])
	}
	return features
}

func goType(t *types.TypeName) string { return t.Pkg().Path() + "." + t.Name() }

func (b *builder) schema(a *model.Aggregate, event string) string {
	version := 1
	if c, err := b.p.CodecOf(a); err == nil {
		version = c.Schema(event)
	}
	return "v" + strconv.Itoa(version)
}

func (b *builder) upcasters(a *model.Aggregate) {
	c, err := b.p.CodecOf(a)
	if err != nil {
		return
	}
	for _, u := range c.Upcasters {
		from, to := "v"+strconv.Itoa(u.Schema), "v"+strconv.Itoa(u.Schema+1)
		b.d.Upcasters = append(b.d.Upcasters, Upcaster{u.Name + from + "To" + to, b.file(u.Pos), u.Name, from, to})
	}
}

// published reports whether the package of a context itself has an alias of an event.
func (b *builder) published(event *types.TypeName) bool {
	for _, c := range b.p.Contexts {
		if c.API == nil || c.API.Types == event.Pkg() {
			continue
		}
		scope := c.API.Types.Scope()
		for _, name := range scope.Names() {
			if alias, ok := scope.Lookup(name).(*types.TypeName); ok && alias.IsAlias() && types.Identical(alias.Type(), event.Type()) {
				return true
			}
		}
	}
	return false
}

func (b *builder) fields(t *types.TypeName) []Field {
	all := []Field{}
	s, ok := t.Type().Underlying().(*types.Struct)
	for i := 0; ok && i < s.NumFields(); i++ {
		f := s.Field(i)
		all = append(all, Field{f.Name(), types.TypeString(f.Type(), types.RelativeTo(t.Pkg())), true, b.p.At(f.Pos()).Line, rules.JSONName(s, i)})
	}
	return all
}

// reader adds a view or a process, and returns it as a slice.
func (b *builder) reader(r *model.Reader, context string) Feature {
	feature, events := b.p.Slice(r.Pos), b.names(r.Events)
	name := model.Pascal(feature)
	f := Feature{Name: feature, Path: cmp.Or(b.p.Inner(r.Pkg.PkgPath), "."), Files: []string{}, SliceType: "query", Package: r.Pkg.PkgPath, Reads: events}
	for _, file := range r.Pkg.GoFiles {
		f.Files = append(f.Files, filepath.Base(file))
	}
	slices.Sort(f.Files)
	f.Routes = b.routesTo(func(route *model.Route) bool { return slices.Contains(route.Readers, r) })
	if r.Process {
		f.SliceType = "saga"
		sends := []string{}
		for _, c := range r.Sends {
			sends = append(sends, b.p.CommandName(c))
		}
		f.Sends = sends
		b.d.Processes = append(b.d.Processes, Process{name, b.file(r.Pos), events, sends, context})
		return f
	}
	model := types.TypeString(r.State, func(*types.Package) string { return "" })
	b.d.Projections = append(b.d.Projections, Projection{name, b.file(r.Pos), events, model, context, b.lines(r.Pos)})
	b.d.Queries = append(b.d.Queries, Query{name, b.file(r.Pos), context, []Field{}})
	b.d.Relationships.ProjectionToReadModel[name] = model
	for _, e := range events {
		b.d.Relationships.EventToProjections[e] = append(b.d.Relationships.EventToProjections[e], name)
	}
	return f
}

func (b *builder) routesTo(leads func(*model.Route) bool) []string {
	var all []string
	for _, r := range b.p.Routes {
		if leads(r) {
			all = append(all, r.Pattern)
		}
	}
	return all
}

func (b *builder) routes() {
	for _, r := range b.p.Routes {
		leads := map[string]bool{}
		for _, c := range r.Sends {
			leads[b.p.CommandName(c)] = true
		}
		for _, reader := range r.Readers {
			leads[model.Pascal(b.p.Slice(reader.Pos))] = true
		}
		at := b.p.At(r.Pos)
		all := slices.Sorted(maps.Keys(leads))
		if all == nil {
			all = []string{}
		}
		b.d.Routes = append(b.d.Routes, Route{r.Pattern, all, at.Filename + ":" + strconv.Itoa(at.Line)})
	}
}

func (b *builder) context(c *model.Context, features []Feature) Context {
	of := Context{Name: c.Name, Path: strings.TrimPrefix(path.Join(b.p.Root, c.Name), "./"), ContextType: "invalid_module", Features: features}
	if features == nil {
		of.Features = []Feature{}
	}
	for _, a := range b.p.Aggregates {
		if b.p.ContextOf(a.Pkg.PkgPath) == c.Name {
			of.AggregateCount++
			of.ContextType = "bounded_context"
			for _, e := range a.Events {
				if b.published(e.Obj) {
					of.Publishes = append(of.Publishes, b.p.Name(e.Obj))
				}
			}
		}
	}
	for _, i := range c.Imports {
		via := "imports"
		if i.Events {
			via = "events"
		}
		if !slices.ContainsFunc(of.DependsOn, func(d Dependency) bool { return d.Context == i.To && d.Via == via }) {
			at := b.p.At(i.Pos)
			of.DependsOn = append(of.DependsOn, Dependency{i.To, via, at.Filename + ":" + strconv.Itoa(at.Line)})
		}
	}
	return of
}
