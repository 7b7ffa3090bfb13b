package store

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// NewID returns a new event id, a UUID of version 7 (RFC 9562 §5.7): the milliseconds
// since 1970, and 74 random bits. Ids made at about the same time are close to each
// other in a database index, which keeps writes to the index local. An id is unique, but
// no secret: the bits come from math/rand/v2.
func NewID() string {
	text := newID(milliseconds())
	return string(text[:])
}

// NewIDs returns n new event ids like those of [NewID]. It costs less than n calls of
// NewID, because the ids share the time and one allocation. It returns nil if n is 0,
// and panics if n is negative.
func NewIDs(n int) []string {
	if n == 0 {
		return nil
	}
	ids := make([]string, n)
	var all strings.Builder
	all.Grow(n * IDLen)
	now := milliseconds()
	for i := range ids {
		text := newID(now)
		all.Write(text[:])
		ids[i] = all.String()[i*IDLen:]
	}
	return ids
}

func milliseconds() uint64 {
	return uint64(time.Now().UnixMilli()) //nolint:forbidigo // says nothing but an order
}

// newID returns the text of a new id for a millisecond.
func newID(millisecond uint64) [IDLen]byte {
	const version, variant = 7, 2
	hi := millisecond<<16 | version<<12 | rand.Uint64()>>52 //nolint:gosec // ChaCha8 is unique enough, and nobody relies on not guessing it
	lo := variant<<62 | rand.Uint64()>>2                    //nolint:gosec // as above
	return FormatID(hi, lo)
}

// IDLen is the length of an id that [NewID] or [FormatID] returns.
const IDLen = 36

// FormatID returns the UUID (RFC 9562) of these 128 bits, the higher ones in hi, as text in
// the form 8-4-4-4-12 with lower-case digits.
func FormatID(hi, lo uint64) (text [IDLen]byte) {
	var digits [32]byte
	binary.BigEndian.PutUint64(digits[0:], hexDigits(uint32(hi>>32)))
	binary.BigEndian.PutUint64(digits[8:], hexDigits(uint32(hi&math.MaxUint32)))
	binary.BigEndian.PutUint64(digits[16:], hexDigits(uint32(lo>>32)))
	binary.BigEndian.PutUint64(digits[24:], hexDigits(uint32(lo&math.MaxUint32)))
	copy(text[0:8], digits[0:8])
	copy(text[9:13], digits[8:12])
	copy(text[14:18], digits[12:16])
	copy(text[19:23], digits[16:20])
	copy(text[24:36], digits[20:32])
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
