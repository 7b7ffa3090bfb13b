package codec

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"

	"github.com/evolvego/evolve/decider/internal/exact"
	"github.com/evolvego/evolve/store"
)

// Named is a Codec of events with names. [JSON] or [Proto] makes it.
type Named[E any] struct {
	format format
	strict bool
	opaque bool                   // events have parts that marshal themselves
	skip   bool                   // leave out unknown names
	keep   func(store.Recorded) E // nil: unknown names are an error
	byName map[string]*entry
	byType map[reflect.Type]*entry
	shops  *sync.Pool // of *workshop
}

// entry is what a codec knows about one name.
type entry struct {
	name    string
	number  int          // from 0 on
	typ     reflect.Type // of the event; nil: only old shapes have this name
	current uint32       // the schema version of typ
	marshal marshal
	folds   exact.Folds // of typ
	old     steps
}

// format says how the data of events is written.
type format struct {
	contentType string
	reads       func(contentType string) bool
	writer      func(typ reflect.Type) (w marshal, opaque bool, err error) // an error: events of typ cannot be kept
	reader      func() unmarshal
}

// marshal encodes an event.
type marshal func(event any) ([]byte, error)

// unmarshal decodes data into the value that into points to. Calls on one value do not
// overlap.
type unmarshal func(data []byte, into any, folds exact.Folds, strict bool) error

// newNamed returns the codec of names in format f. It panics if a sample is nil or has
// the type of another sample, if a name is empty, or if the upcasters do not fit.
func newNamed[E any](f format, names map[string]E, upcasters []Upcaster) *Named[E] {
	c := &Named[E]{format: f, byName: map[string]*entry{}, byType: map[reflect.Type]*entry{}}
	for name, old := range collect(reflect.TypeFor[E](), upcasters) {
		c.byName[name] = &entry{name: name, old: old}
	}
	for name, old := range c.byName {
		_, now := names[name]
		old.old.belong(name, now)
	}
	for name, sample := range names {
		typ := reflect.TypeOf(sample)
		if name == "" || typ == nil {
			panic(fmt.Sprintf("codec: %[2]v is registered under the name %[1]q: set both a name and a sample", name, typ))
		}
		if other, ok := c.byType[typ]; ok {
			panic(fmt.Sprintf("codec: %v has two names, %q and %q", typ, min(name, other.name), max(name, other.name)))
		}
		e := c.byName[name]
		if e == nil {
			e = &entry{name: name}
			c.byName[name] = e
		}
		e.typ, e.current = typ, uint32(len(e.old))+1 //nolint:gosec // small
		var err error
		var opaque bool
		e.marshal, opaque, err = f.writer(typ)
		c.opaque = c.opaque || opaque
		if err != nil {
			panic(fmt.Sprintf("codec: %q is a %v: %v", name, typ, err))
		}
		e.folds = exact.FoldsOf(typ)
		c.byType[typ] = e
	}
	number := 0
	for _, e := range c.byName {
		e.number, number = number, number+1
	}
	c.shops = &sync.Pool{New: func() any { return &workshop{unmarshal: f.reader(), benches: make([]workbench, number)} }}
	return c
}

// Vouches reports whether c can read everything that it writes. It returns false if
// events have parts, other than times, that marshal themselves, because their code may
// write what it cannot read. A runner then decodes events again before it appends them.
func (c *Named[E]) Vouches() bool { return !c.opaque }

// Strict returns a copy of c that refuses data with fields that the event does not have,
// at any depth. By default c ignores them, because other writers and newer programs may
// add some.
func (c *Named[E]) Strict() *Named[E] {
	d := *c
	d.strict = true
	return &d
}

// SkipUnknown returns a copy of c that leaves out recorded events whose names it does not
// know. Use it to read streams that others write to.
func (c *Named[E]) SkipUnknown() *Named[E] {
	d := *c
	d.skip, d.keep = true, nil
	return &d
}

// KeepUnknown returns a copy of c that uses keep to make an event of each recorded event
// whose name c does not know. keep may retain its argument. KeepUnknown panics if keep is
// nil.
func (c *Named[E]) KeepUnknown(keep func(store.Recorded) E) *Named[E] {
	if keep == nil {
		panic("codec: KeepUnknown(nil): use SkipUnknown to leave out unknown events")
	}
	d := *c
	d.skip, d.keep = false, keep
	return &d
}

// Names returns the names that c writes, sorted.
func (c *Named[E]) Names() []string {
	return slices.DeleteFunc(c.allNames(), func(name string) bool { return c.byName[name].typ == nil })
}

// ReadNames returns the names that c reads, sorted: those of Names, and those that only
// upcasters have. It returns nil if c keeps unknown events, because c then reads all
// names.
func (c *Named[E]) ReadNames() []string {
	if c.keep != nil {
		return nil
	}
	return c.allNames()
}

func (c *Named[E]) allNames() []string {
	names := slices.AppendSeq(make([]string, 0, len(c.byName)), maps.Keys(c.byName))
	slices.Sort(names)
	return names
}

// Encode is [Codec].Encode.
func (c *Named[E]) Encode(event E) (store.Event, error) {
	value := any(event)
	typ := reflect.TypeOf(value)
	e, ok := c.byType[typ]
	if !ok {
		return store.Event{}, &UnregisteredError{fmt.Sprint(typ)}
	}
	if isNil(value) {
		return store.Event{}, &EncodeError{e.name, errors.New("the event is a nil pointer")}
	}
	if v, ok := value.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return store.Event{}, &EncodeError{e.name, err}
		}
	}
	data, err := e.marshal(value)
	if err != nil {
		return store.Event{}, &EncodeError{e.name, err}
	}
	return store.Event{Type: e.name, Schema: e.current, ContentType: c.format.contentType, Data: data}, nil
}

// Decode is [Codec].Decode.
func (c *Named[E]) Decode(dst []E, recorded []store.Recorded) ([]E, error) {
	shop := c.shops.Get().(*workshop) //nolint:errcheck,forcetypeassert // nothing else is in the pool
	dst, err := c.decodeAll(slices.Grow(dst, len(recorded)), recorded, shop)
	c.shops.Put(shop)
	return dst, err
}

// decodeOne is Decode of one recorded event.
func (c *Named[E]) decodeOne(dst []E, r *store.Recorded) ([]E, error) {
	shop := c.shops.Get().(*workshop) //nolint:errcheck,forcetypeassert // nothing else is in the pool
	dst, err := c.decodeNext(dst, r, shop)
	c.shops.Put(shop)
	return dst, err
}

func (c *Named[E]) decodeAll(dst []E, recorded []store.Recorded, shop *workshop) ([]E, error) {
	for i := range recorded {
		var err error
		if dst, err = c.decodeNext(dst, &recorded[i], shop); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// decodeNext appends to dst the events that r means today.
func (c *Named[E]) decodeNext(dst []E, r *store.Recorded, shop *workshop) ([]E, error) {
	recent := &shop.recent[hash(r.Type)]
	e := *recent
	if e == nil || e.name != r.Type {
		if e = c.byName[r.Type]; e == nil {
			return c.unknown(dst, r)
		}
		*recent = e
	}
	dst, err := c.decode(dst, e, r, shop)
	if err != nil {
		return dst, &DecodeError{Stream: r.Stream, Version: r.Version, Type: r.Type, Schema: r.Schema, Err: err}
	}
	return dst, nil
}

// decode appends to dst the events that r, an event of e, means today.
func (c *Named[E]) decode(dst []E, e *entry, r *store.Recorded, shop *workshop) ([]E, error) {
	schema := max(r.Schema, 1) // 0 means that the writer does not count versions
	switch {
	case schema <= uint32(len(e.old)): //nolint:gosec // small
		return c.upcast(dst, e, r, shop, int(schema)-1)
	case schema != e.current:
		known := max(e.current, uint32(len(e.old))) //nolint:gosec // small
		return dst, fmt.Errorf("%w: the codec knows 1 to %d", ErrNewerSchema, known)
	}
	event, err := c.read(e.typ, e.folds, r, shop.unmarshal, &shop.benches[e.number])
	if err != nil {
		return dst, err
	}
	return append(dst, event.(E)), nil //nolint:errcheck // registered as an E
}

// upcast appends to dst the events that r, an event of e in an old shape, means today.
func (c *Named[E]) upcast(dst []E, e *entry, r *store.Recorded, shop *workshop, step int) ([]E, error) {
	var old any
	if u := &e.old[step]; u.in != nil {
		var err error
		if old, err = c.read(u.in, u.folds, r, shop.unmarshal, new(workbench)); err != nil {
			return dst, err
		}
	}
	events, err := e.old.apply(step, old)
	if err != nil {
		return dst, err
	}
	n := len(dst)
	for _, event := range events {
		now, ok := event.(E)
		if !ok || isNil(event) {
			return dst[:n], fmt.Errorf("its upcaster returned %v, which is not an event", event)
		}
		dst = append(dst, now)
	}
	return dst, nil
}

// read decodes the data of r into a value of typ, which may be a pointer type.
func (c *Named[E]) read(typ reflect.Type, folds exact.Folds, r *store.Recorded, unmarshal unmarshal, bench *workbench) (any, error) {
	if r.ContentType != c.format.contentType && !c.format.reads(r.ContentType) {
		return nil, fmt.Errorf("its content type is %q, not %s", r.ContentType, c.format.contentType)
	}
	if r.Value != nil {
		return nil, errors.New("it is a value, not data")
	}
	if typ.Kind() == reflect.Pointer {
		into := reflect.New(typ.Elem()).Interface()
		return into, unmarshal(r.Data, into, folds, c.strict)
	}
	if bench.pointer == nil {
		bench.value = reflect.New(typ).Elem()
		bench.pointer = bench.value.Addr().Interface()
	}
	defer bench.value.SetZero()
	if err := unmarshal(r.Data, bench.pointer, folds, c.strict); err != nil {
		return nil, err
	}
	return bench.value.Interface(), nil // a copy
}

// workshop is the working memory of a call of Decode.
type workshop struct {
	unmarshal unmarshal
	benches   []workbench // by the number of an entry
	recent    [16]*entry  // by the hash of the name, to save a search
}

// workbench is the memory into which the events of one type are decoded, one after the
// other.
type workbench struct {
	pointer any           // nil at first
	value   reflect.Value // the value that it points to; zero between two events
}

// hash returns a number below 16 that rarely collides.
func hash(name string) int {
	if name == "" {
		return 0
	}
	return (len(name) ^ int(name[0]) ^ int(name[len(name)-1])) & 15
}

// unknown appends to dst the event that replaces an unknown event, if any.
func (c *Named[E]) unknown(dst []E, r *store.Recorded) ([]E, error) {
	switch {
	case c.skip:
		return dst, nil
	case c.keep != nil:
		kept := *r
		kept.Data = slices.Clone(r.Data)
		return append(dst, c.keep(kept)), nil
	}
	return dst, &UnknownError{Stream: r.Stream, Version: r.Version, Type: r.Type}
}
