package check

import (
	"go/token"
	"go/types"
	"maps"
	"strings"
)

// params is a set of the parameters of a function, by index.
type params uint32

// value describes a value: whose memory it leads to.
type value struct {
	ref  params // the memory that it points to: of a slice, a map, a pointer, or fields of these kinds
	deep params // the memory beyond that
	clip bool   // a slice without spare capacity
}

// all is all memory that v leads to.
func (v value) all() params { return v.ref | v.deep }

// load is a value read from the memory that v points to.
func (v value) load() value { return value{ref: v.deep, deep: v.deep} }

func (v value) join(w value) value {
	return value{v.ref | w.ref, v.deep | w.deep, v.clip && w.clip}
}

// tree is a value with what is known better of its parts, by the path to them: a
// field as ".Items", an element as "[k]".
type tree struct {
	value

	sub map[string]value
}

// No more parts are kept, and no parts of parts.
const (
	maxParts = 64
	maxPath  = 4
)

// part is the part of t at path, one step. The step goes through a pointer, a slice or
// a map if loads is set, and otherwise to a field of a struct or an element of an
// array.
func (t tree) part(path string, loads bool) tree {
	p := tree{value: value{ref: t.ref, deep: t.deep}, sub: map[string]value{}}
	if loads {
		p.value = t.load()
	}
	for key, v := range t.sub {
		if rest, ok := strings.CutPrefix(key, path); ok && rest == "" {
			p.value = v
		} else if ok && isStep(rest) {
			p.sub[rest] = v
		}
	}
	return p
}

// isStep reports whether path begins with a whole step.
func isStep(path string) bool { return path != "" && (path[0] == '.' || path[0] == '[') }

// with is t with p as its part at path.
func (t tree) with(path string, p tree) tree {
	sub := map[string]value{}
	maps.Copy(sub, t.sub)
	sub[path] = p.value
	for key, v := range p.sub {
		if len(sub) < maxParts && strings.Count(path+key, ".")+strings.Count(path+key, "[") <= maxPath {
			sub[path+key] = v
		}
	}
	return tree{t.value, sub}
}

// whole is t as one value of type typ.
func (t tree) whole(typ types.Type) value {
	v := t.value
	_, inline := typ.Underlying().(*types.Struct)
	for _, w := range t.sub {
		if inline {
			v = v.join(w)
		} else {
			v.deep |= w.all()
		}
	}
	return v
}

// join is what t and u may both be.
func (t tree) join(u tree) tree {
	j := tree{t.value.join(u.value), map[string]value{}}
	for key := range t.sub {
		j.sub[key] = t.at(key).join(u.at(key))
	}
	for key := range u.sub {
		j.sub[key] = t.at(key).join(u.at(key))
	}
	return j
}

// at is the value at path. T may know only a part of the path.
func (t tree) at(path string) value {
	for end := len(path); end > 0; end = strings.LastIndexAny(path[:end], ".[") {
		if v, ok := t.sub[path[:end]]; ok {
			return beyond(v, path[end:])
		}
	}
	return beyond(t.value, path)
}

// beyond is the value at path, starting from v.
func beyond(v value, path string) value {
	if strings.Contains(path, "[") {
		return v.load()
	}
	return value{ref: v.ref, deep: v.deep}
}

// place is a variable, or a part of one.
type place struct {
	variable types.Object
	path     string
}

// alias is what a pointer points to: a place, or whatever the pointer in that place
// points to.
type alias struct {
	place

	pointer bool
}

// memory describes the variables at one point of a function.
type memory struct {
	vars    map[types.Object]tree
	aliases map[types.Object]alias
	dead    bool // this point is never reached
}

func (m *memory) clone() *memory {
	return &memory{maps.Clone(m.vars), maps.Clone(m.aliases), m.dead}
}

// join adds to m what o may be.
func (m *memory) join(o *memory) {
	switch {
	case o.dead:
		return
	case m.dead:
		*m = *o.clone()
		return
	}
	for v := range o.vars {
		m.vars[v] = m.vars[v].join(o.vars[v])
	}
	for v := range m.vars {
		if _, ok := o.vars[v]; !ok {
			m.vars[v] = m.vars[v].join(tree{})
		}
	}
	for v, a := range o.aliases {
		if m.aliases[v] != a {
			delete(m.aliases, v)
		}
	}
}

// set records t as the value of p.
func (m *memory) set(p place, t tree) {
	if p.path == "" {
		delete(m.aliases, p.variable)
		m.vars[p.variable] = t
		return
	}
	old := m.vars[p.variable]
	next := tree{value: old.value, sub: map[string]value{}}
	for key, v := range old.sub {
		if rest, ok := strings.CutPrefix(key, p.path); !ok || rest != "" && !isStep(rest) {
			next.sub[key] = v
		}
	}
	m.vars[p.variable] = next.with(p.path, t)
}

// forget drops the variables that are declared between pos and end.
func (m *memory) forget(pos, end token.Pos) {
	declared := func(v types.Object) bool { return pos <= v.Pos() && v.Pos() < end }
	maps.DeleteFunc(m.vars, func(v types.Object, _ tree) bool { return declared(v) })
	maps.DeleteFunc(m.aliases, func(v types.Object, a alias) bool { return declared(v) || declared(a.variable) })
}

// hasMemory reports whether a value of type t leads to memory that can be written.
func hasMemory(t types.Type) bool { return leads(t, map[types.Type]bool{}) }

func leads(t types.Type, seen map[types.Type]bool) bool {
	if t == nil || seen[t] {
		return false
	}
	seen[t] = true
	if named, ok := types.Unalias(t).(*types.Named); ok {
		if obj := named.Obj(); obj.Pkg() != nil && obj.Pkg().Path() == "time" {
			return false // its pointers lead to memory that is never written
		}
	}
	if types.IsInterface(t) {
		return !isError(t)
	}
	switch u := t.Underlying().(type) {
	case *types.Pointer, *types.Map, *types.Slice:
		return true
	case *types.Array:
		return leads(u.Elem(), seen)
	case *types.Struct:
		for f := range u.Fields() {
			if leads(f.Type(), seen) {
				return true
			}
		}
	}
	return false
}
