package codec

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"github.com/evolvego/evolve/decider/internal/exact"
)

// Upcaster says what one schema version of an event means today. The zero Upcaster is not
// usable: [Up], [UpMany] and [Drop] make them.
type Upcaster struct {
	name    string
	schema  uint32
	retired bool
	folds   exact.Folds         // of in
	in      reflect.Type        // the shape of this schema version; nil: not read
	out     reflect.Type        // the type that up returns; nil: up returns nothing
	up      func(old any) []any // pure
}

// Up says that the event called name was an Old in this schema version, and that f
// converts it to what it means: an event of today, or the Old of the next version. f must
// be pure and must accept everything that was recorded.
func Up[Old, New any](name string, schema uint32, f func(Old) New) Upcaster {
	if f == nil {
		return Upcaster{name: name, schema: schema}
	}
	return Upcaster{
		name: name, schema: schema,
		in: reflect.TypeFor[Old](), out: reflect.TypeFor[New](),
		up: func(old any) []any { return []any{f(old.(Old))} }, //nolint:errcheck // decoded as an Old
	}
}

// UpMany is [Up] to any number of events, in order. If f returns none, the event is
// dropped.
func UpMany[Old, New any](name string, schema uint32, f func(Old) []New) Upcaster {
	if f == nil {
		return Upcaster{name: name, schema: schema}
	}
	return Upcaster{
		name: name, schema: schema,
		in: reflect.TypeFor[Old](), out: reflect.TypeFor[New](),
		up: func(old any) []any {
			events := f(old.(Old)) //nolint:errcheck // decoded as an Old
			all := make([]any, len(events))
			for i := range events {
				all[i] = events[i]
			}
			return all
		},
	}
}

// Drop says that this schema version of the event called name means nothing any more. Its
// data is not read.
func Drop(name string, schema uint32) Upcaster {
	return Upcaster{name: name, schema: schema, up: func(any) []any { return nil }}
}

// Retired returns a copy of u for a name that no event of today has, because the event
// was renamed, split, or is not needed any more. Without Retired, such a name counts as a
// mistake.
func (u Upcaster) Retired() Upcaster {
	u.retired = true
	return u
}

// steps holds the upcasters of one name. The upcaster of schema version v is steps[v-1].
type steps []Upcaster

// collect sorts upcasters by name and schema version. It panics if one is nil, if a
// version is missing or repeated, or if a step returns neither an event nor what the next
// step takes.
func collect(event reflect.Type, upcasters []Upcaster) map[string]steps {
	all := map[string]steps{}
	for _, u := range upcasters {
		switch {
		case u.name == "" || u.schema == 0:
			panic(fmt.Sprintf("codec: upcaster of %q from schema version %d: set both a name and a schema version", u.name, u.schema))
		case u.up == nil:
			panic(fmt.Sprintf("codec: the upcaster of %q from schema version %d is nil", u.name, u.schema))
		case u.in != nil && u.in.Kind() == reflect.Interface && u.in.NumMethod() > 0:
			panic(fmt.Sprintf("codec: the upcaster of %q from schema version %d takes %v, an interface: use the concrete type",
				u.name, u.schema, u.in))
		}
		if u.in != nil {
			u.folds = exact.FoldsOf(u.in)
		}
		all[u.name] = append(all[u.name], u)
	}
	for name, s := range all {
		slices.SortFunc(s, func(a, b Upcaster) int { return cmp.Compare(a.schema, b.schema) })
		for i := range s {
			s.check(name, i, event)
		}
	}
	return all
}

// belong panics if the upcasters of name contradict now, which says whether an event of
// today has the name: if they can never be needed, or are Retired although the event
// exists.
func (s steps) belong(name string, now bool) {
	for i := range s {
		switch {
		case s[i].retired && now:
			panic(fmt.Sprintf("codec: the upcaster of %q from schema version %d is Retired, but there is an event of that name", name, i+1))
		case !s[i].retired && !now:
			panic(fmt.Sprintf("codec: the upcaster of %q from schema version %d: there is no event of that name. "+
				"Is it misspelt? If the event was retired, use codec.Up(…).Retired()", name, i+1))
		}
	}
}

// check panics if step i leads nowhere.
func (s steps) check(name string, i int, event reflect.Type) {
	u := &s[i]
	switch {
	case i > 0 && u.schema == s[i-1].schema:
		panic(fmt.Sprintf("codec: two upcasters of %q from schema version %d", name, u.schema))
	case u.schema != uint32(i)+1: //nolint:gosec // small
		panic(fmt.Sprintf("codec: no upcaster of %q from schema version %d, but there is one from a later version", name, i+1))
	case u.out == nil, s.leads(i), u.out.AssignableTo(event):
		return
	}
	panic(fmt.Sprintf("codec: the upcaster of %q from schema version %d returns %v, which is neither %v nor what the next one takes",
		name, i+1, u.out, event))
}

// leads reports whether step i returns what step i+1 takes.
func (s steps) leads(i int) bool {
	return i+1 < len(s) && s[i].out == s[i+1].in
}

// apply returns what old, the data of step i, means today.
func (s steps) apply(i int, old any) ([]any, error) {
	events := s[i].up(old)
	for s.leads(i) {
		i++
		var next []any
		for _, event := range events {
			if isNil(event) {
				return nil, fmt.Errorf("its upcaster from schema version %d returned nil", i)
			}
			next = append(next, s[i].up(event)...)
		}
		events = next
	}
	return events, nil
}

// isNil reports whether an event is nil or a nil pointer.
func isNil(event any) bool {
	v := reflect.ValueOf(event)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}
