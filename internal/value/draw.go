package value

import (
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// oddly reports whether to take an odd value. It is false unless the history has odd
// values.
func (s *Source) oddly() bool { return s.Odd && s.Rand.IntN(3) == 0 }

// integer returns a signed number of that many bits. Most are small, and some have been
// seen before.
func integer(s *Source, bits int) int64 {
	r := s.Rand
	largest := int64(math.MaxInt64) >> (64 - bits)
	n := r.IntN(40)
	if s.oddly() {
		n = 24 + r.IntN(8)
	}
	switch {
	case n < 18:
		return r.Int64N(6)
	case n < 24:
		return r.Int64N(101)
	case n < 27:
		return -r.Int64N(6)
	case n < 29:
		return r.Int64N(largest>>(bits/2)) - r.Int64N(largest>>(bits/2))
	case n < 31:
		return largest - r.Int64N(2)
	case n == 31:
		return -largest - 1
	}
	known := s.known()
	if len(known.Ints) == 0 {
		return r.Int64N(6)
	}
	x := pick(r, known.Ints, known.own.ints)
	switch r.IntN(8) { // the number itself, or one near it
	case 0:
		x++
	case 1:
		x--
	case 2:
		x += pick(r, known.Ints, known.own.ints)
	}
	if x > largest || x < -largest-1 {
		return r.Int64N(6)
	}
	return x
}

// natural returns an unsigned number of that many bits. Most are small, and some have
// been seen before.
func natural(s *Source, bits int) uint64 {
	r := s.Rand
	largest := uint64(math.MaxUint64) >> (64 - bits)
	n := r.IntN(40)
	if s.oddly() {
		n = 28 + r.IntN(4)
	}
	switch {
	case n < 20:
		return r.Uint64N(6)
	case n < 28:
		return r.Uint64N(101)
	case n < 30:
		return r.Uint64N(largest >> (bits / 2))
	case n < 32:
		return largest - r.Uint64N(2)
	}
	known := s.known()
	if len(known.Ints) == 0 {
		return r.Uint64N(6)
	}
	x := pick(r, known.Ints, known.own.ints) + r.Int64N(3) - 1
	if x < 0 || uint64(x) > largest {
		return r.Uint64N(6)
	}
	return uint64(x)
}

// float returns a number of that many bits. It is often an amount with two decimals,
// whose sums are rounded, and sometimes a number that breaks careless code.
func float(s *Source, bits int) float64 {
	r := s.Rand
	n := r.IntN(64)
	if s.oddly() {
		n = 63
	}
	switch {
	case n < 14:
		return float64(r.IntN(6))
	case n < 30:
		return float64(r.IntN(1000)) / 100
	case n < 36:
		return float64(r.IntN(20)) / 10
	case n < 40:
		return float64(r.IntN(64)) / 4
	case n < 44:
		return -float64(r.IntN(1000)) / 100
	case n < 56:
		if known := s.known(); len(known.Floats) > 0 {
			x := pick(r, known.Floats, known.own.floats)
			return [...]float64{x, x, math.Round(x*100) / 100, math.Round(x*100) / 100, x + 0.01, x - 0.01}[r.IntN(6)]
		}
		return float64(r.IntN(101))
	}
	tenth, largest, smallest := 0.1, math.MaxFloat64, math.SmallestNonzeroFloat64
	if bits == 32 {
		largest, smallest = math.MaxFloat32, math.SmallestNonzeroFloat32
	}
	odd := [...]float64{
		tenth + 0.2, 1. / 3, 1e-9, 1e16, 1<<53 + 1, largest, -largest, smallest,
		math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1),
	}
	return odd[r.IntN(len(odd))]
}

const (
	longText = 1 << 8    // bytes of a text whose length does not fit in a byte
	hugeText = 4<<10 + 1 // bytes of a text that is longer than expected
	rarely   = 20        // of 256 texts are that long, or not UTF-8
)

// word returns a text. There are few words, so two texts are often equal or nearly so:
// a word comes again as it was, in another case, with spaces around it, or with its
// accents decomposed.
func word(s *Source) string {
	r := s.Rand
	common := func() string {
		words := [...]string{"", "a", "a", "b", "b", "c", "ann", "bob", "a b", "é", "日本", "O'Neil \"x\"\n"}
		return words[r.IntN(len(words))]
	}
	seen := func() string {
		if known := s.known(); len(known.Texts) > 0 {
			return pick(r, known.Texts, known.own.texts)
		}
		return common()
	}
	n := r.IntN(256)
	if s.oddly() {
		n = 190 + r.IntN(66)
		if r.IntN(2) == 0 {
			n = 256 - rarely + r.IntN(rarely)
		}
	}
	switch {
	case n < 120:
		return common()
	case n < 170:
		return seen()
	case n < 215:
		return another(r, seen())
	case n < 225:
		return another(r, common())
	case n < 256-rarely:
		odd := [...]string{
			"A", "Ann", "BOB", " ", " a", "a ", "\t", "e\u0301", "É", "ß", "ẞ", "İ", "ı", "👍🏽", "👩‍👧", "a\u200db", "\u202eabc", "\ufeffa",
			"0", "-1", "1e3", "0x1", "null", "NaN", "%s%d", "%_*>.", "..", "a/b", `\`, "<b>&amp;", "';--", "\x00", "a\nb", "a\r\nb", "\ufffd", "𝔸",
		}
		return odd[r.IntN(len(odd))]
	case n < 256-rarely/4:
		return long(r, [...]int{longText, longText, hugeText}[n%3])
	}
	return [...]string{"\xff", "caf\xe9", "\xed\xa0\x80"}[r.IntN(3)] // not UTF-8
}

// long returns a text of n bytes, or a few more. Half of them consist of letters that take
// several bytes, because a program that cuts a text after some bytes may cut a letter.
func long(r *rand.Rand, n int) string {
	letter := [...]string{"x", "x", "é", "日"}[r.IntN(4)]
	ahead := r.IntN(len(letter)) // so that letters begin anywhere
	return strings.Repeat("x", ahead) + strings.Repeat(letter, (n-ahead+len(letter)-1)/len(letter))
}

// another returns a text that differs from s but looks like it to people.
func another(r *rand.Rand, s string) string {
	for n := r.IntN(variants); ; n = (n + 1) % variants {
		if like := variant(n, s); like != s {
			return like
		}
	}
}

// variants is how many ways variant has: upper case has three of them, because the case
// is what programs forget most often.
const variants = 10

// variant returns a text that people take for s, and a program may not. Way 7 always
// changes it.
func variant(n int, s string) string {
	switch n {
	case 0, 8, 9:
		return strings.ToUpper(s)
	case 1:
		return strings.ToLower(s)
	case 2:
		first, size := utf8.DecodeRuneInString(s)
		if first == utf8.RuneError {
			return s
		}
		return string(unicode.ToTitle(first)) + s[size:]
	case 3:
		return " " + s
	case 4:
		return s + " "
	case 5:
		return strings.NewReplacer("é", "e\u0301", "e\u0301", "é", "ö", "o\u0308", "É", "E\u0301").Replace(s)
	case 6:
		return strings.ReplaceAll(s, " ", "\u00a0")
	}
	return s + "a"
}

// uptime is the moment that all times with a monotonic reading are measured from, so
// that their differences agree.
var uptime = sync.OnceValue(time.Now) //nolint:gochecknoglobals,forbidigo // read once, only for its monotonic reading

// instant returns a time near the beginning of 2000, the zero time, or a time that has
// been seen before. It is in UTC, in another zone, or has a monotonic reading.
func instant(s *Source) time.Time {
	r := s.Rand
	t := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	switch n := r.IntN(20); {
	case n == 0:
		t = time.Time{}
	case n < 6:
		t = t.AddDate(0, 0, r.IntN(40))
	case n < 12:
		t = t.Add(time.Duration(r.IntN(48)) * time.Hour)
	case n < 15:
		t = t.Add(time.Duration(r.Int64N(int64(48 * time.Hour))))
	case n == 15:
		t = [...]time.Time{
			time.Unix(0, 0).UTC(), time.Unix(-1, 999999999).UTC(), time.Date(2000, 2, 29, 23, 59, 59, 999999999, time.UTC),
			time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC), time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
		}[r.IntN(6)]
	default:
		if known := s.known(); len(known.Times) > 0 {
			t = pick(r, known.Times, known.own.times).Add([...]time.Duration{0, 0, time.Nanosecond, -time.Nanosecond, 24 * time.Hour}[r.IntN(5)])
		}
	}
	switch r.IntN(8) {
	case 0:
		return t.In(time.FixedZone("", 5*3600+45*60)) // like that of Nepal
	case 1:
		return t.In(time.FixedZone("NST", -(3*3600 + 30*60)))
	case 2:
		if t.Year() > 1900 && t.Year() < 2100 {
			return uptime().Add(t.Sub(uptime()))
		}
	}
	return t
}
