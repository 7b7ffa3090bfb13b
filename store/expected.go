package store

import "strconv"

// Expected is the condition that an append puts on the version of its stream:
// [NoStream], [Exists], [Any], or [Exactly] a version. The zero value is invalid, so
// that nobody appends without a check by mistake.
type Expected int64

const (
	// NoStream expects a stream without events.
	NoStream Expected = -1
	// Exists expects a stream with at least one event.
	Exists Expected = -2
	// Any expects nothing: the stream may have any version, or no events.
	Any Expected = -3
)

// MaxVersion is the largest version and the largest position: 2⁵³−1, which every
// language can represent.
const MaxVersion uint64 = 1<<53 - 1

// Exactly expects a stream whose last event has this version. Exactly(0) is
// [NoStream]. The result is invalid if version is above [MaxVersion].
func Exactly(version uint64) Expected {
	switch {
	case version == 0:
		return NoStream
	case version > MaxVersion:
		return 0
	}
	return Expected(version)
}

// Matches reports whether a stream at version satisfies e. Version 0 is a stream
// without events. An invalid e matches nothing.
func (e Expected) Matches(version uint64) bool {
	switch e {
	case Any:
		return true
	case Exists:
		return version > 0
	case NoStream:
		return version == 0
	}
	return e > 0 && uint64(e) == version
}

// Version returns the only version that e matches, which is 0 for [NoStream]. It
// returns false if e matches no version, or more than one.
func (e Expected) Version() (version uint64, ok bool) {
	switch {
	case e == NoStream:
		return 0, true
	case e > 0:
		return uint64(e), true
	}
	return 0, false
}

// String returns e as it appears in messages, such as "version 7" or "no stream".
func (e Expected) String() string {
	switch {
	case e == Any:
		return "any version"
	case e == Exists:
		return "an existing stream"
	case e == NoStream:
		return "no stream"
	case e > 0:
		return "version " + strconv.FormatInt(int64(e), 10)
	}
	return "nothing (the zero Expected is invalid)"
}
