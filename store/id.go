package store

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"
)

// NewID returns a new event id, a UUID of version 7 (RFC 9562 §5.7): the milliseconds
// since 1970, and 74 random bits. Ids made at about the same time are close to each
// other in a database index, which keeps writes to the index local.
func NewID() string {
	var random [randomBytes]byte
	rand.Read(random[:]) // never fails: crypto/rand ends the program instead
	var text [idLength]byte
	writeID(&text, time.Now().UnixMilli(), random[:]) //nolint:forbidigo // says nothing but an order
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
	all.Grow(n * idLength)
	now := time.Now().UnixMilli() //nolint:forbidigo // says nothing but an order
	var random [16 * randomBytes]byte
	var text [idLength]byte
	for i := range ids {
		at := i % 16 * randomBytes
		if at == 0 {
			rand.Read(random[:min(16, n-i)*randomBytes])
		}
		writeID(&text, now, random[at:])
		all.Write(text[:])
		ids[i] = all.String()[i*idLength:]
	}
	return ids
}

const (
	idLength    = 36
	randomBytes = 10
)

// writeID writes the id made of milliseconds and the first randomBytes of random.
func writeID(text *[idLength]byte, milliseconds int64, random []byte) {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(milliseconds)<<16) //nolint:gosec // since 1970
	copy(b[6:], random)
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	hex.Encode(text[0:8], b[0:4])
	hex.Encode(text[9:13], b[4:6])
	hex.Encode(text[14:18], b[6:8])
	hex.Encode(text[19:23], b[8:10])
	hex.Encode(text[24:36], b[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
}
