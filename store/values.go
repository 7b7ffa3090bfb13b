package store

import (
	"context"
	"slices"
)

// ValueReader is a store that keeps the Value of events, and can return the values of a
// stream without the rest of its events, which is much faster than [Store].Read. It is
// safe for concurrent use.
type ValueReader interface {
	// ReadValues returns the values of the events of stream s, in order, beginning at
	// version from; 0 means the first version. The value of an event without a Value is
	// nil. There may be fewer values than events in the stream: use Read for the others.
	// Nobody may ever change the values or what they point to.
	ReadValues(ctx context.Context, s Stream, from uint64) (Values, error)
}

// Values holds the values of consecutive events of a stream, in parts as the store
// keeps them. The zero Values is empty.
type Values struct {
	Head uint64 // the version of the stream when they were read

	part []any // the next one
	rest [][]any
	left uint64 // number of values left in part and rest
}

// LendValues returns the first n values of part and of rest, one part after another,
// from a stream at version head. The parts must contain at least n values, and a part
// before the nth value must not be empty.
func LendValues(head, n uint64, part []any, rest [][]any) Values {
	return Values{Head: head, part: part, rest: rest, left: n}
}

// Next returns the next part of the values, or nil at the end.
func (v *Values) Next() []any {
	if v.left == 0 {
		return nil
	}
	part := v.part
	if uint64(len(part)) > v.left {
		part = part[:v.left]
	}
	v.left -= uint64(len(part))
	if v.part = nil; len(v.rest) > 0 {
		v.part, v.rest = v.rest[0], v.rest[1:]
	}
	return slices.Clip(part)
}
