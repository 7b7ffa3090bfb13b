package rules

import (
	"fmt"
	"go/types"
	"maps"
	"slices"
	"strings"

	"github.com/evolvego/evolve/cmd/vsa/internal/model"
)

func eventRules() []Rule {
	return []Rule{
		{
			ID: "VSA301", Name: "event-removed", Severity: Error, check: removedEvents,
			About: "events.lock has an event that no codec reads any more, so streams that have it cannot be loaded.",
			Wrong: "codec.JSON(map[string]Event{\"AccountOpened\": Opened{}}) // AccountCredited was there before",
			Right: "codec.JSON(map[string]Event{\"AccountOpened\": Opened{}}, codec.Drop(\"AccountCredited\", 1))",
		},
		{
			ID: "VSA302", Name: "event-changed", Severity: Error, check: changedEvents,
			About: "A field of an event in events.lock is gone, renamed, or of another type in the same schema version, so what was recorded is read wrongly.",
			Wrong: "type Credited struct{ Amount string } // was int64",
			Right: "codec.Up(\"AccountCredited\", 1, func(old CreditedV1) Credited { … })",
		},
		{
			ID: "VSA303", Name: "unsent", Severity: Warning, check: unsent,
			About: "No route, process or other package makes the command, so nobody can send it.",
			Wrong: "type Freeze struct{} // and nothing else names it",
			Right: "mux.HandleFunc(\"POST /accounts/{id}/freeze\", command(a.log, a.accounts, toFreeze))",
		},
		{
			ID: "VSA304", Name: "undecided", Severity: Warning, check: undecided,
			About: "No command decides the event, so it never happens.",
			Wrong: "type Frozen struct{} // and no decide returns it",
			Right: "func (c Freeze) decide(State) ([]Event, error) { return []Event{Frozen(c)}, nil }",
		},
		{
			ID: "VSA305", Name: "unnamed", Severity: Error, check: unnamed,
			About: "The codec has no name for an event, so it cannot be stored: a command that decides it fails.",
			Wrong: "codec.JSON(map[string]Event{\"AccountOpened\": Opened{}}) // Credited is missing",
			Right: "codec.JSON(map[string]Event{\"AccountOpened\": Opened{}, \"AccountCredited\": Credited{}})",
		},
	}
}

// known returns the shapes that the codecs of a project read today, by name and schema
// version. A shape is nil if nothing is known about it.
func known(p *model.Project) map[Key]reading {
	all := map[Key]reading{}
	for _, c := range p.Codecs {
		for _, name := range c.Names {
			all[Key{name.Name, c.Schema(name.Name)}] = reading{shape(name.Obj.Type()), name.Obj, c}
		}
		for _, u := range c.Upcasters {
			k := reading{codec: c}
			if u.Old != nil {
				k.shape = shape(u.Old)
			}
			all[Key{u.Name, u.Schema}] = k
		}
	}
	return all
}

type reading struct {
	shape map[string]string
	obj   *types.TypeName // of the current version, or nil
	codec *model.Codec
}

// shape returns the JSON names of the fields of an event and their types.
func shape(t types.Type) map[string]string {
	fields := map[string]string{}
	s, ok := t.Underlying().(*types.Struct)
	if !ok {
		return map[string]string{"": types.TypeString(t.Underlying(), func(p *types.Package) string { return p.Path() })}
	}
	for i := range s.NumFields() {
		f, tag := s.Field(i), JSONName(s, i)
		switch {
		case tag == "-" || !f.Exported() && !f.Embedded():
		case f.Embedded() && tag == f.Name():
			maps.Copy(fields, shape(f.Type()))
		default:
			fields[tag] = typeShape(f.Type())
		}
	}
	return fields
}

// typeShape returns a type as text. A struct of the project is written with its fields,
// so that a change inside of it is noticed.
func typeShape(t types.Type) string {
	qualified := func(p *types.Package) string { return p.Path() }
	switch u := types.Unalias(t).(type) {
	case *types.Pointer:
		return "*" + typeShape(u.Elem())
	case *types.Slice:
		return "[]" + typeShape(u.Elem())
	case *types.Map:
		return "map[" + typeShape(u.Key()) + "]" + typeShape(u.Elem())
	case *types.Named:
		if u.Obj().Pkg() == nil || std(u.Obj().Pkg().Path()) {
			return types.TypeString(u, qualified)
		}
		if _, ok := u.Underlying().(*types.Struct); !ok {
			return types.TypeString(u.Underlying(), qualified)
		}
		fields := shape(u)
		var all []string
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			all = append(all, name+" "+fields[name])
		}
		return "{" + strings.Join(all, "; ") + "}"
	}
	return types.TypeString(t, qualified)
}

func removedEvents(r *checker) {
	read := known(r.p)
	for _, e := range r.lock.Entries {
		if _, ok := read[e.Key]; ok {
			continue
		}
		if slices.ContainsFunc(slices.Collect(maps.Keys(read)), func(k Key) bool { return k.Name == e.Name }) {
			r.file(LockName, e.Line, r.severity, "nothing reads %s v%d any more: keep the old type and add codec.Up(%q, %d, …)", e.Name, e.Schema, e.Name, e.Schema)
			continue
		}
		r.file(LockName, e.Line, r.severity, "no codec reads %s any more: name it again, or add codec.Up or codec.Drop(%q, %d)", e.Name, e.Name, e.Schema)
	}
}

func changedEvents(r *checker) {
	read := known(r.p)
	for _, e := range r.lock.Entries {
		k, ok := read[e.Key]
		if !ok || k.shape == nil {
			continue
		}
		for _, field := range slices.Sorted(maps.Keys(e.Fields)) {
			now, ok := k.shape[field]
			if ok && now == e.Fields[field] {
				continue
			}
			what := field + " is gone"
			if ok {
				what = fmt.Sprintf("%s was %s, is %s", field, e.Fields[field], now)
			}
			if k.obj != nil {
				r.at(k.codec.Pkg, k.obj.Pos(), k.obj.Name(), "%s v%d: %s: keep the old type as %sV%d and add codec.Up(%q, %d, …)", e.Name, e.Schema, what, k.obj.Name(), e.Schema, e.Name, e.Schema)
				continue
			}
			r.at(k.codec.Pkg, k.codec.Call.Pos(), e.Name, "%s v%d: %s in the type that its upcaster reads", e.Name, e.Schema, what)
		}
	}
}

func unsent(r *checker) {
	sent := func(c *model.Message) bool { return len(c.Sent) > 0 }
	if !slices.ContainsFunc(r.p.Aggregates, func(a *model.Aggregate) bool { return slices.ContainsFunc(a.Commands, sent) }) {
		return // a library, whose commands other modules create
	}
	for _, a := range r.p.Aggregates {
		for _, c := range a.Commands {
			if len(c.Sent) == 0 && a.Pkg.Types.Name() != "main" {
				r.at(a.Pkg, c.Obj.Pos(), c.Obj.Name(), "nobody sends %s: it has no route, and no process or other package makes one", c.Obj.Name())
			}
		}
	}
}

func undecided(r *checker) {
	for _, a := range r.p.Aggregates {
		for _, e := range a.Events {
			if e.Obj.Pkg() != a.Pkg.Types {
				continue // VSA020 reports it
			}
			decided := slices.ContainsFunc(a.Commands, func(c *model.Message) bool { return slices.Contains(c.Emits, e.Obj) })
			if !decided && len(a.Commands) > 0 {
				r.at(a.Pkg, e.Obj.Pos(), e.Obj.Name(), "no command decides %s", e.Obj.Name())
			}
		}
	}
}

func unnamed(r *checker) {
	for _, a := range r.p.Aggregates {
		c, err := r.p.CodecOf(a)
		if err != nil {
			continue
		}
		for _, e := range a.Events {
			if e.Obj.Pkg() != a.Pkg.Types || slices.ContainsFunc(c.Names, func(n model.Name) bool { return n.Obj == e.Obj }) {
				continue
			}
			f := r.at(a.Pkg, e.Obj.Pos(), e.Obj.Name(), "the codec has no name for %s", e.Obj.Name())
			if s, err := r.p.Source(c.Pkg, c.Call.Pos()); err == nil {
				f.Fix = append(f.Fix, s.Composite(c.NamesLit(), fmt.Sprintf("%q: %s{}", model.Pascal(a.Pkg.Types.Name())+e.Obj.Name(), e.Obj.Name())))
			}
		}
	}
}
