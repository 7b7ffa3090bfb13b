package runner

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/evolvego/evolve/store"
)

// idLen is the length of an event ID, a UUID as text.
const idLen = store.IDLen

// key is the source of the event IDs of one call: its command ID, or without one the time
// and a random number. It stays the same for all attempts of the call.
type key struct {
	command string
	first   string // the first type of the streams, if it is not today's
	hi, lo  uint64 // if command is empty: 0, or 48 bits of milliseconds since 1970 and random bits; lo is 0 only if both are
}

// begun returns k with a source for its IDs, made now if it had none yet.
func (k key) begun(now time.Time) key {
	if k.command != "" || k.lo != 0 {
		return k
	}
	k.hi = uint64(now.UnixMilli())<<16 | rand.Uint64()>>48 //nolint:gosec // 74 bits of ChaCha8 are unique within a millisecond, and IDs need not be unguessable
	k.lo = rand.Uint64()                                   //nolint:gosec // as above
	return k
}

// id returns the ID of the event at index among those that the command appends to s.
func (k key) id(s store.Stream, index int) string {
	text := k.text(s, index)
	return string(text[:])
}

// ids returns the IDs of the command's first n events in s, one after the other in one
// string, each idLen long.
func (k key) ids(s store.Stream, n int) string {
	if n == 1 {
		return k.id(s, 0) // without a builder, whose memory takes longer to get
	}
	var all strings.Builder
	all.Grow(n * idLen)
	for i := range n {
		text := k.text(s, i)
		all.Write(text[:])
	}
	return all.String()
}

// text returns a UUID of version 8 (RFC 9562 §5.8). With a command ID its bits are those
// of SHA-256 over the stream's type and ID and the command ID, each after its length, and
// the index. Otherwise they are those of k, plus the index.
func (k key) text(s store.Stream, index int) [idLen]byte {
	hi, lo := k.hi, k.lo+uint64(index) //nolint:gosec // an index is not negative
	if k.command != "" {
		hi, lo = k.hash(s, index)
	}
	hi = hi&^0xf000 | 0x8000         // version 8
	lo = lo&^(3<<62) | uint64(2)<<62 // variant of the RFC
	return store.FormatID(hi, lo)
}

// hash returns the first 16 bytes of the hash of the command's event at index.
func (k key) hash(s store.Stream, index int) (hi, lo uint64) {
	var space [256]byte
	b := space[:0]
	for _, part := range [...]string{cmp.Or(k.first, s.Type), s.ID, k.command} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
		b = append(b, part...)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(index)) //nolint:gosec // an index is not negative
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16])
}
