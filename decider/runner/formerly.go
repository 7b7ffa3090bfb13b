package runner

import (
	"context"
	"fmt"
	"slices"

	"github.com/evolvego/evolve/store"
)

// Formerly returns a copy of r for a stream type that had other names before. List the
// newest name first. The runner reads events in streams of the former types as if they
// were of today's type, and continues those streams where they are. New streams get
// today's type. If a stream was begun under two names, only the events under today's name
// are read, so no program may begin streams under a former name any more.
//
// It costs a read for each former type when a stream of today's type has no events, and
// two appends if a stream has a former type.
//
// Formerly panics if a stream type is invalid or is today's type, or if r has claims:
// call it before [Runner.WithClaims].
func (r *Runner[C, S, E]) Formerly(streamTypes ...string) *Runner[C, S, E] {
	for _, streamType := range streamTypes {
		if err := (store.Stream{Type: streamType, ID: "any"}).Validate(); err != nil || streamType == r.streamType {
			panic(fmt.Sprintf("runner: Formerly(%q): needs names that streams of type %q had before", streamTypes, r.streamType))
		}
	}
	if r.claims != nil {
		panic("runner: Formerly after WithClaims: call it before")
	}
	c := *r
	if len(streamTypes) > 0 {
		c.firstType = streamTypes[len(streamTypes)-1]
	}
	f := &former{st: r.store, types: slices.Clone(streamTypes)}
	c.store, c.values = f, nil
	if claims, ok := r.store.(store.Claims); ok {
		c.store = &formerClaims{f, claims}
	}
	return &c
}

// former is a store in which streams of former types are found under today's type.
type former struct {
	st    store.Store
	types []string
}

// Read reads the stream, or the stream of a former type with its ID.
func (f *former) Read(ctx context.Context, s store.Stream, o store.ReadOptions) (store.Page, error) {
	page, err := f.st.Read(ctx, s, o)
	if err != nil || page.Head > 0 {
		return page, err
	}
	for _, streamType := range f.types {
		was, err := f.st.Read(ctx, store.Stream{Type: streamType, ID: s.ID}, o)
		if err != nil {
			return was, err
		}
		if was.Head > 0 {
			was.Events = slices.Clone(was.Events) // the store may reuse them
			for i := range was.Events {
				was.Events[i].Stream = s
			}
			return was, nil
		}
	}
	return page, nil
}

// Append appends to the stream, or to the stream of a former type with its ID.
func (f *former) Append(ctx context.Context, s store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	return f.where(ctx, s, func(s store.Stream) (store.Appended, error) { return f.st.Append(ctx, s, expected, events) })
}

// where calls do with the stream that holds the events of s. If that stream cannot be
// found, nothing is sent: the error matches store.ErrRefused.
func (f *former) where(ctx context.Context, s store.Stream, do func(store.Stream) (store.Appended, error)) (store.Appended, error) {
	page, err := f.st.Read(ctx, s, store.ReadOptions{Limit: 1, ReadOnly: true})
	if err != nil {
		return store.Appended{}, unsent(s, err)
	}
	if page.Head > 0 {
		return do(s)
	}
	for _, streamType := range f.types {
		was := store.Stream{Type: streamType, ID: s.ID}
		page, err := f.st.Read(ctx, was, store.ReadOptions{Limit: 1, ReadOnly: true})
		if err != nil {
			return store.Appended{}, unsent(was, err)
		}
		if page.Head > 0 {
			return do(was)
		}
	}
	return do(s)
}

func unsent(s store.Stream, err error) error {
	return fmt.Errorf("%w: nothing was sent: read %s: %w", store.ErrRefused, s, err)
}

// formerClaims is a former that can claim keys. A runner never calls its Holder.
type formerClaims struct {
	*former
	store.Claims
}

// AppendClaiming is Append with claims.
func (f *formerClaims) AppendClaiming(
	ctx context.Context, s store.Stream, expected store.Expected, events []store.Event, claims []store.Claim,
) (store.Appended, error) {
	return f.where(ctx, s, func(s store.Stream) (store.Appended, error) {
		return f.Claims.AppendClaiming(ctx, s, expected, events, claims)
	})
}
