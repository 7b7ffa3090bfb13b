package jetstream

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// TestTrails appends batches to a stream in a log with other streams, and parses each
// trail from its text. The trail must be unchanged, and lead from any event to any
// earlier one in few steps.
func TestTrails(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		positions := []uint64{0} // by version
		trails := []trail{{}}
		position := uint64(0)
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(1, 3), rapid.IntRange(1, 200)), 1, 30).Draw(t, "sizes")
		for _, size := range sizes {
			position += uint64(rapid.IntRange(1, 100_000).Draw(t, "gap"))
			planned := trails[len(trails)-1]
			for i := range size {
				planned = planned.next(0)
				text := planned.text(i)
				is := trails[len(trails)-1].next(position)
				got, ok := parseTrail(text, is.version, position)
				if !ok || !sameTrail(&got, &is) {
					t.Fatalf("parseTrail(%q) = %+v, %t; want %+v", text, got, ok, is)
				}
				trails, positions = append(trails, got), append(positions, position)
				position++
			}
		}
		last := len(trails) - 1
		from := rapid.IntRange(1, last).Draw(t, "from")
		to := rapid.IntRange(1, from).Draw(t, "to")
		at, steps := from, 0
		for ; at != to; steps++ {
			known, p := trails[at].above(uint64(to))
			if known >= uint64(at) || known < uint64(to) || p != positions[known] {
				t.Fatalf("trail of version %d: above(%d) = %d, %d, but that version is at %d", at, to, known, p, positions[known])
			}
			at = int(known)
		}
		if most := 3*8 + stride/window + 1; steps > most {
			t.Errorf("from version %d to %d it takes %d steps, want at most %d", from, to, steps, most)
		}
	})
}

func sameTrail(a, b *trail) bool {
	return a.version == b.version && a.position == b.position && a.first == b.first &&
		(len(a.far) == 0 && len(b.far) == 0 || reflect.DeepEqual(a.far, b.far)) &&
		(len(a.near) == 0 && len(b.near) == 0 || reflect.DeepEqual(a.near, b.near))
}
