package jetstream

import (
	"strconv"
	"strings"
)

// trail says where the events before one event of its stream are, so that no server has
// to search for them. It has the position of version 1, of the window versions right
// before, of the last version before that is a multiple of stride, of the last multiple
// of four times stride, and so on.
type trail struct {
	version  uint64
	position uint64
	first    uint64   // the position of version 1, or 0 if this is version 1
	far      []uint64 // the positions of the last multiples below version
	near     []uint64 // the positions of version-1, version-2, …
}

const (
	window = 16
	stride = 64
)

// at returns the position of a version, and false if t does not know it.
func (t *trail) at(version uint64) (uint64, bool) {
	switch {
	case version == t.version:
		return t.position, true
	case version == 0 || version > t.version:
		return 0, false
	case version == 1:
		return t.first, true
	}
	if back := t.version - version; back <= uint64(len(t.near)) {
		return t.near[back-1], true
	}
	for level, position := range t.far {
		if multiple(t.version, level) == version {
			return position, true
		}
	}
	return 0, false
}

// above returns the lowest version that t knows from version on. version must not be
// above that of t.
func (t *trail) above(version uint64) (known, position uint64) {
	known = t.version
	for level := range t.far {
		if m := multiple(t.version, level); m >= version {
			known = min(known, m)
		}
	}
	if n := uint64(len(t.near)); n > 0 {
		if low := max(t.version-n, version); low < known {
			known = low
		}
	}
	position, _ = t.at(known)
	return known, position
}

// multiple returns the last multiple of the stride of level below version, or 0 if
// there is none.
func multiple(version uint64, level int) uint64 {
	size := uint64(stride) << (2 * level)
	return (version - 1) / size * size
}

// next returns the trail of the event after that of t, at position. The zero trail
// comes before the first event of a stream.
func (t *trail) next(position uint64) trail {
	n := trail{version: t.version + 1, position: position, first: t.first}
	if t.version == 0 {
		return n
	}
	if t.version == 1 {
		n.first = t.position
	}
	n.near = make([]uint64, 0, window)
	n.near = append(n.near, t.position)
	n.near = append(n.near, t.near[:min(len(t.near), window-1)]...)
	for level := 0; ; level++ {
		m := multiple(n.version, level)
		if m == 0 {
			return n
		}
		p, _ := t.at(m)
		n.far = append(n.far, p)
	}
}

// text returns t as a header of its event. index is the number of events of its stream
// right before it in the same append: their positions are not known yet, but follow
// from its own.
func (t *trail) text(index int) string {
	together := uint64(index) //nolint:gosec // not negative
	known := func(version uint64) bool { return t.version-version <= together }
	var b strings.Builder
	number := func(n uint64) { b.WriteString(strconv.FormatUint(n, 36)) }
	number(together)
	b.WriteByte(';')
	if t.version > 1 && !known(1) {
		number(t.first)
	}
	for level, position := range t.far {
		b.WriteByte(';')
		if !known(multiple(t.version, level)) {
			number(position)
		}
	}
	b.WriteByte('/')
	for i, previous := index, uint64(0); i < len(t.near); i++ {
		if previous == 0 {
			number(t.near[i])
		} else {
			b.WriteByte('.')
			number(previous - t.near[i])
		}
		previous = t.near[i]
	}
	return b.String()
}

// parseTrail parses the text of the header of the event of this version at position. It
// returns false if the text cannot be its trail.
func parseTrail(text string, version, position uint64) (trail, bool) {
	t := trail{version: version, position: position}
	if version == 0 || position < version {
		return trail{}, false
	}
	places, near, ok := strings.Cut(text, "/")
	parts := strings.Split(places, ";")
	together, err := strconv.ParseUint(parts[0], 36, 64)
	if !ok || len(parts) < 2 || err != nil || together >= version {
		return trail{}, false
	}
	good := true
	number := func(text string, of uint64) uint64 { // of is the version whose position it is
		if version-of <= together {
			return position - (version - of)
		}
		n, err := strconv.ParseUint(text, 36, 64)
		good = good && err == nil && n > 0 && n < position
		return n
	}
	if version > 1 {
		t.first = number(parts[1], 1)
	}
	for level, part := range parts[2:] {
		m := uint64(0)
		if level < 26 {
			m = multiple(version, level)
		}
		if m == 0 {
			return trail{}, false
		}
		t.far = append(t.far, number(part, m))
	}
	t.near, ok = parseNear(near, version, position, together)
	return t, good && ok && multiple(version, len(t.far)) == 0
}

// parseNear returns the positions of the versions right before version.
func parseNear(text string, version, position, together uint64) ([]uint64, bool) {
	size := min(version-1, window)
	if size == 0 {
		return nil, text == ""
	}
	near := make([]uint64, 0, size)
	for i := range min(together, size) {
		near = append(near, position-i-1)
	}
	if uint64(len(near)) == size {
		return near, text == ""
	}
	previous := uint64(0)
	for part := range strings.SplitSeq(text, ".") {
		n, err := strconv.ParseUint(part, 36, 64)
		if err != nil || n == 0 || uint64(len(near)) == size {
			return nil, false
		}
		if previous > 0 {
			if n >= previous {
				return nil, false
			}
			n = previous - n
		}
		if n >= position {
			return nil, false
		}
		near, previous = append(near, n), n
	}
	return near, uint64(len(near)) == size
}
