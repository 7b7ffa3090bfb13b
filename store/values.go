package store

import (
	"context"
	"slices"
)

// ValueReader is a store that keeps the Value of events, and can lend the values of a stream
// without the rest of its events, which is much faster than [Store].Read. It is safe for
// concurrent use.
type ValueReader interface {
	// ReadValues returns the values of the events of stream s from version from on, in
	// order; 0 is the first version. An event without a Value has a nil one. There
	// may be fewer than the stream has events: Read returns the others. Nobody may
	// change the values or what they point to, ever.
	ReadValues(ctx context.Context, s Stream, from uint64) (Values, error)
}

// Values is the values of consecutive events of a stream, in parts as the store keeps
// them. The zero Values has none.
type Values struct {
	Head uint64 // the version of the stream when they were read

	part []any // the next one
	rest [][]any
	left uint64 // values in part and rest that count
}

// LendValues returns the first n values of part and of rest, one part after the other,
// from a stream at version head. A part must not be empty before there are n, and n not
// more than they have.
func LendValues(head, n uint64, part []any, rest [][]any) Values {
	return Values{Head: head, part: part, rest: rest, left: n}
}

// Next returns the next part of the values, and nil at the end.
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
