package cqrs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"sync"

	"github.com/evolvego/evolve/decider/internal/exact"
)

// Bus finds the handler of a message by its name or its type. It is safe for concurrent
// use.
type Bus struct {
	around []Middleware

	mu     sync.RWMutex
	byName map[string]*entry       // guarded by mu
	byType map[reflect.Type]*entry // guarded by mu
}

// entry is a handler of a bus.
type entry struct {
	name    string
	handler any // a Handler[M, R], with its middleware
	doJSON  func(ctx context.Context, data []byte) ([]byte, error)
}

// NewBus returns a bus without handlers. Every handler gets the middleware in around, the
// first outermost.
func NewBus(around ...Middleware) *Bus {
	return &Bus{around: slices.Clone(around), byName: map[string]*entry{}, byType: map[reflect.Type]*entry{}}
}

// Handle registers h on b for messages of type M under name. It panics if name is empty,
// h is nil, or b already has a handler for that name or that type.
func Handle[M, R any](b *Bus, name string, h Handler[M, R]) {
	typ := reflect.TypeFor[M]()
	if name == "" || h == nil {
		panic(fmt.Sprintf("cqrs: Handle: the handler of %v needs a name and must not be nil", typ))
	}
	h = h.With(name, b.around...)
	folds := exact.FoldsOf(typ)
	e := &entry{name: name, handler: h, doJSON: func(ctx context.Context, data []byte) ([]byte, error) {
		var message M
		if err := decode(data, &message, folds); err != nil {
			return nil, &MessageError{Name: name, Err: err}
		}
		result, err := h(ctx, message)
		if err != nil {
			return nil, err
		}
		encoded, err := json.Marshal(result)
		if err != nil {
			return nil, fmt.Errorf("cqrs: %s was handled, but its result, a %T, cannot be encoded: %w", name, result, err)
		}
		return encoded, nil
	}}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byName[name] != nil {
		panic(fmt.Sprintf("cqrs: Handle: there is already a handler called %q", name))
	}
	if other := b.byType[typ]; other != nil {
		panic(fmt.Sprintf("cqrs: Handle: %v already has a handler, called %q", typ, other.name))
	}
	b.byName[name], b.byType[typ] = e, e
}

// Do handles message with the handler that b has for its type, M, and returns the result.
// Without such a handler it returns an *[UnknownError]. If the handler returns another
// type than R, it returns an error that says so.
func Do[R, M any](ctx context.Context, b *Bus, message M) (R, error) {
	var zero R
	typ := reflect.TypeFor[M]()
	b.mu.RLock()
	e := b.byType[typ]
	b.mu.RUnlock()
	if e == nil {
		return zero, &UnknownError{typ.String()}
	}
	h, ok := e.handler.(Handler[M, R])
	if !ok {
		return zero, fmt.Errorf("cqrs: the handler of %v is a %T: its result is not a %v", typ, e.handler, reflect.TypeFor[R]())
	}
	return h(ctx, message)
}

// DoJSON decodes data, which is JSON, into the type of the handler that b has for name,
// handles the message, and returns the result as JSON. Call it from a queue consumer or
// an HTTP handler.
//
// If b does not have the name, DoJSON returns an *[UnknownError]. If data is not exactly
// such a message, it returns a *[MessageError]. In both cases it handles nothing. It
// refuses fields that the type does not have, because their sender expects them to have
// an effect.
func (b *Bus) DoJSON(ctx context.Context, name string, data []byte) ([]byte, error) {
	b.mu.RLock()
	e := b.byName[name]
	b.mu.RUnlock()
	if e == nil {
		return nil, &UnknownError{name}
	}
	return e.doJSON(ctx, data)
}

// Names returns the names that b has handlers for, sorted.
func (b *Bus) Names() []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.Sorted(maps.Keys(b.byName))
}

// decode reads data, and refuses data that JSON readers understand in different ways.
func decode(data []byte, into any, folds exact.Folds) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the JSON value")
	}
	if string(bytes.TrimSpace(data)) == "null" {
		return errors.New("it is null")
	}
	return exact.Check(data, folds)
}
