package runnerhttp

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/samber/lo"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
)

// ErrHeader is the error that every *HeaderError matches by errors.Is.
var ErrHeader = errors.New("runnerhttp: bad header")

// HeaderError is the error of a request header that is not understood.
type HeaderError struct {
	Header string // its name
	Reason string // what is wrong with it
}

// Error names the header and says what is wrong with it.
func (e *HeaderError) Error() string {
	return "runnerhttp: bad header " + e.Header + ": " + e.Reason
}

// Is reports whether target is [ErrHeader].
func (e *HeaderError) Is(target error) bool { return target == ErrHeader }

// Options converts the headers of r to options of a runner:
//
//   - If-Match (RFC 9110 §13.1.1) lists entity tags as [SetETag] writes them: "7" is
//     [runner.ExpectVersion](7), and "7", "8" is [runner.ExpectOneOf](7, 8). Tags are
//     compared strongly, so a weak tag, or one that is not a version, never matches. *
//     means that the aggregate must exist.
//   - If-None-Match (§13.1.2) is the opposite: * means that the aggregate must not exist,
//     which a client sends to create it, and a list is [runner.ExpectNoneOf].
//   - Idempotency-Key: "K" (draft-ietf-httpapi-idempotency-key-header), with or without
//     the quotes, is [runner.CommandID](K): however often the request is sent, the
//     command takes effect once. The method, the URL and the body of r are its
//     [runner.Fingerprint]: another request with the same key is refused.
//
// If a condition does not hold, the answer is 412, at once. A request without these
// headers has no options.
//
// With an Idempotency-Key, Options reads the body and replaces it by a copy, so call it
// before you read the body. If the body cannot be read, or has more than 4 MiB, Options
// returns a *BodyError. If a header has invalid syntax, or an Idempotency-Key is
// repeated, empty or longer than [store.MaxName] bytes, it returns a *HeaderError.
func Options(r *http.Request) ([]runner.Option, error) {
	var opts []runner.Option
	condition, err := expected(r.Header)
	if err != nil {
		return nil, err
	}
	if condition != nil {
		opts = append(opts, condition)
	}
	key, ok, err := single(r.Header, "Idempotency-Key")
	if err != nil || !ok {
		return opts, err
	}
	if key, err = unquote(key); err != nil {
		return nil, err
	}
	of, err := fingerprint(r)
	if err != nil {
		return nil, err
	}
	return append(opts, runner.CommandID(key), runner.Fingerprint(of)), nil
}

// SetETag sets the ETag of a response to an aggregate's version, as in "7".
func SetETag(h http.Header, version uint64) {
	h.Set("ETag", `"`+strconv.FormatUint(version, 10)+`"`)
}

// expected returns the condition that h puts on the version, or nil if there is none.
func expected(h http.Header) (runner.Option, error) {
	match, err := parseTags(h, "If-Match", false)
	if err != nil {
		return nil, err
	}
	none, err := parseTags(h, "If-None-Match", true)
	if err != nil {
		return nil, err
	}
	switch {
	case !match.sent && !none.sent, !match.sent && !none.any && len(none.versions) == 0:
		return nil, nil
	case !match.sent && none.any, match.sent && !match.any && none.any:
		zero := []uint64{0} // of the possible versions, only 0 means that there is no aggregate
		if match.sent && !slices.Contains(match.versions, 0) {
			zero = nil
		}
		return runner.ExpectOneOf(zero...), nil
	case !match.sent:
		return runner.ExpectNoneOf(none.versions...), nil
	case match.any && none.any:
		return runner.ExpectOneOf(), nil
	case match.any:
		return runner.ExpectNoneOf(append([]uint64{0}, none.versions...)...), nil
	}
	return runner.ExpectOneOf(lo.Without(match.versions, none.versions...)...), nil
}

// tags is the parsed value of If-Match or If-None-Match.
type tags struct {
	sent     bool
	any      bool // *
	versions []uint64
}

// parseTags returns the tags in the header called name, which may be sent in several
// lines. Weak tags count if weak is set.
func parseTags(h http.Header, name string, weak bool) (t tags, err error) {
	lines := h[textproto.CanonicalMIMEHeaderKey(name)]
	list := strings.Trim(strings.Join(lines, ","), " \t")
	if t.sent = len(lines) > 0; list == "*" {
		t.any = true
		return t, nil
	}
	for rest := list; ; {
		if rest = strings.TrimLeft(rest, " \t,"); rest == "" {
			return t, nil
		}
		var tag string
		tag, rest = cutTag(rest)
		if rest = strings.TrimLeft(rest, " \t"); tag == "" || rest != "" && rest[0] != ',' {
			return t, &HeaderError{name, fmt.Sprintf(`is %.100q; it must be * or list entity tags, such as "7"`, list)}
		}
		strong, isWeak := strings.CutPrefix(tag, "W/")
		if version, ok := parseVersion(strong); ok && (weak || !isWeak) {
			t.versions = append(t.versions, version)
		}
	}
}

// cutTag returns the entity tag at the start of text (RFC 9110 §8.8.3), or "" if there is
// none, and the rest.
func cutTag(text string) (tag, rest string) {
	opaque, ok := strings.CutPrefix(strings.TrimPrefix(text, "W/"), `"`)
	if !ok {
		return "", text
	}
	opaque, rest, ok = strings.Cut(opaque, `"`)
	if !ok || strings.ContainsFunc(opaque, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return "", text
	}
	return text[:len(text)-len(rest)], rest
}

// parseVersion returns the version in tag, or false if SetETag did not write it.
func parseVersion(tag string) (uint64, bool) {
	digits := strings.Trim(tag, `"`)
	version, err := strconv.ParseUint(digits, 10, 64)
	return version, err == nil && version <= store.MaxVersion && strconv.FormatUint(version, 10) == digits
}

// unquote returns an idempotency key without the quotes of a structured field string (RFC
// 8941 §3.3.3).
func unquote(key string) (string, error) {
	if inner, ok := strings.CutPrefix(key, `"`); ok {
		inner, ok = strings.CutSuffix(inner, `"`)
		if !ok || strings.ContainsAny(inner, `"\`) {
			return "", &HeaderError{"Idempotency-Key", fmt.Sprintf("is %q, an invalid string", key)}
		}
		key = inner
	}
	if key == "" || len(key) > store.MaxName {
		return "", &HeaderError{"Idempotency-Key", fmt.Sprintf("has %d bytes; it must have 1 to %d", len(key), store.MaxName)}
	}
	return key, nil
}

// single returns the value of a header that may be sent only once.
func single(h http.Header, name string) (value string, ok bool, err error) {
	values := h[textproto.CanonicalMIMEHeaderKey(name)]
	if len(values) > 1 {
		return "", false, &HeaderError{name, "was sent twice"}
	}
	if len(values) == 0 {
		return "", false, nil
	}
	return strings.TrimSpace(values[0]), true, nil
}
