package value

import (
	"math/rand/v2"
	"testing"
	"unicode/utf8"
)

// TestLong checks that long texts reach the lengths at which programs cut texts, and that a
// cut there, or anywhere else, often divides a letter.
func TestLong(t *testing.T) {
	t.Parallel()
	s := &Source{Rand: rand.New(rand.NewPCG(1, 1)), Known: func() *Known { return new(Known) }}
	long, divided := 0, map[int]int{}
	for range 20_000 {
		text := word(s)
		if len(text) < longText {
			continue
		}
		long++
		for _, at := range []int{50, 64, 255} {
			if !utf8.ValidString(text[:at]) {
				divided[at]++
			}
		}
	}
	for _, at := range []int{50, 64, 255} {
		if long < 500 || divided[at] < long/6 {
			t.Errorf("of %d long texts, %d are divided within a letter at %d bytes, want a sixth of 500 or more", long, divided[at], at)
		}
	}
}
