package store

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"time"
)

// NewID returns a new event id, a UUID of version 7 (RFC 9562 §5.7): the milliseconds
// since 1970, and 74 random bits. Ids made at about the same time are close to each
// other in a database index, which keeps writes to the index local. An id is unique, but
// no secret: the bits come from math/rand/v2.
func NewID() string {
	text := newID().text(0)
	return string(text[:])
}

// NewIDs returns n new event ids like that of [NewID], which count up from the first one.
// It costs less than n calls of NewID, because the ids share the time, the random bits and
// one allocation. It panics if n is negative.
func NewIDs(n int) []string {
	ids := make([]string, n) // NewIDs is inlined, so that few of them are on the caller's stack
	setIDs(ids)
	return ids
}

// setIDs sets ids to new ones.
func setIDs(ids []string) {
	switch len(ids) {
	case 0:
		return
	case 1:
		ids[0] = NewID()
		return
	}
	var all strings.Builder
	all.Grow(len(ids) * IDLen)
	first := newID()
	for i := range ids {
		text := first.text(uint64(i))
		all.Write(text[:])
		ids[i] = all.String()[i*IDLen:]
	}
}

// bits are the bits of a UUID of version 7.
type bits struct{ hi, lo uint64 }

func newID() bits {
	const version = 7
	millisecond := uint64(time.Now().UnixMilli())                                 //nolint:forbidigo // says nothing but an order
	return bits{millisecond<<16 | version<<12 | rand.Uint64()>>52, rand.Uint64()} //nolint:gosec // ChaCha8 is unique enough, and nobody relies on not guessing it
}

// text returns the id that follows b after n others, in the random bits of lo.
func (b bits) text(n uint64) [IDLen]byte {
	const variant = 2
	return FormatID(b.hi, variant<<62|(b.lo+n)<<2>>2)
}

// IDLen is the length of an id that [NewID] or [FormatID] returns.
const IDLen = 36

// FormatID returns the UUID (RFC 9562) of these 128 bits, the higher ones in hi, as text in
// the form 8-4-4-4-12 with lower-case digits.
func FormatID(hi, lo uint64) (text [IDLen]byte) {
	second, third := hexDigits(uint32(hi)), hexDigits(uint32(lo>>32)) //nolint:gosec // the lower half
	binary.BigEndian.PutUint64(text[0:], hexDigits(uint32(hi>>32)))
	binary.BigEndian.PutUint32(text[9:], uint32(second>>32))
	binary.BigEndian.PutUint32(text[14:], uint32(second)) //nolint:gosec // the lower half
	binary.BigEndian.PutUint32(text[19:], uint32(third>>32))
	binary.BigEndian.PutUint32(text[24:], uint32(third))         //nolint:gosec // the lower half
	binary.BigEndian.PutUint64(text[28:], hexDigits(uint32(lo))) //nolint:gosec // the lower half
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return text
}

// hexDigits returns the eight digits of x, the first one in the highest byte. It makes
// all of them at the same time, because making them one by one takes half the time of a
// new id.
func hexDigits(x uint32) uint64 {
	const ones = 0x0101010101010101
	v := uint64(x)
	v = (v | v<<16) & 0x0000ffff0000ffff
	v = (v | v<<8) & 0x00ff00ff00ff00ff
	v = (v | v<<4) & 0x0f0f0f0f0f0f0f0f // a digit in each byte
	letters := (v + 6*ones) >> 4 & ones // 1 where the digit is above 9
	return v + '0'*ones + letters*('a'-'0'-10)
}
