package runnerhttp

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
)

// ErrHeader is what a *HeaderError matches.
var ErrHeader = errors.New("runnerhttp: bad header")

// HeaderError is a request header that cannot be understood.
type HeaderError struct {
	Header string // its name
	Reason string // why
}

// Error says which header, and why.
func (e *HeaderError) Error() string {
	return "runnerhttp: bad header " + e.Header + ": " + e.Reason
}

// Is reports whether target is [ErrHeader].
func (e *HeaderError) Is(target error) bool { return target == ErrHeader }

// Options returns what the headers of r ask of a runner:
//
//   - If-Match: "7" (RFC 9110 §13.1.1) is [runner.ExpectVersion](7), and
//     If-None-Match: * (§13.1.2), with which a client asks to create, is
//     ExpectVersion(0). Their answer on a conflict is 412, at once.
//   - Idempotency-Key: "K" (draft-ietf-httpapi-idempotency-key-header), with or
//     without the quotes, is [runner.CommandID](K): however often the request
//     is sent, the command happens once. What is decided is the first request;
//     that a later one has another body goes unnoticed.
//
// A request without them has no options. Anything else in these headers, also
// one header twice, both conditions, or a key that is empty or longer than
// [store.MaxName] bytes, is a *HeaderError.
func Options(r *http.Request) ([]runner.Option, error) {
	var opts []runner.Option
	version, ok, err := expected(r.Header)
	if err != nil {
		return nil, err
	}
	if ok {
		opts = append(opts, runner.ExpectVersion(version))
	}
	key, ok, err := single(r.Header, "Idempotency-Key")
	if err != nil {
		return nil, err
	}
	if ok {
		if key, err = unquote(key); err != nil {
			return nil, err
		}
		opts = append(opts, runner.CommandID(key))
	}
	return opts, nil
}

// SetETag sets the ETag of a response to an aggregate's version, as in "7".
func SetETag(h http.Header, version uint64) {
	h.Set("ETag", `"`+strconv.FormatUint(version, 10)+`"`)
}

// expected returns the version that the condition in h names, if there is one.
func expected(h http.Header) (version uint64, ok bool, err error) {
	match, hasMatch, err := single(h, "If-Match")
	if err != nil {
		return 0, false, err
	}
	none, hasNone, err := single(h, "If-None-Match")
	if err != nil {
		return 0, false, err
	}
	switch {
	case hasMatch && hasNone:
		return 0, false, &HeaderError{"If-Match", "cannot be sent together with If-None-Match"}
	case hasMatch:
		version, err = entityTag(match)
		return version, true, err
	case hasNone && none != "*":
		return 0, false, &HeaderError{"If-None-Match", fmt.Sprintf("is %q; only * is possible, to create", none)}
	}
	return 0, hasNone, nil
}

// entityTag returns the version in a strong entity tag.
func entityTag(tag string) (uint64, error) {
	digits, ok := strings.CutPrefix(tag, `"`)
	if ok {
		digits, ok = strings.CutSuffix(digits, `"`)
	}
	version, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil || version > store.MaxVersion || strconv.FormatUint(version, 10) != digits {
		return 0, &HeaderError{"If-Match", fmt.Sprintf(`is %q; it must be one version as the ETag has it, such as "7"`, tag)}
	}
	return version, nil
}

// unquote returns an idempotency key without the quotes of a structured field
// string (RFC 8941 §3.3.3).
func unquote(key string) (string, error) {
	if inner, ok := strings.CutPrefix(key, `"`); ok {
		inner, ok = strings.CutSuffix(inner, `"`)
		if !ok || strings.ContainsAny(inner, `"\`) {
			return "", &HeaderError{"Idempotency-Key", fmt.Sprintf("is %q, a broken string", key)}
		}
		key = inner
	}
	if key == "" || len(key) > store.MaxName {
		return "", &HeaderError{"Idempotency-Key", fmt.Sprintf("has %d bytes; it must have 1 to %d", len(key), store.MaxName)}
	}
	return key, nil
}

// single returns the value of a header that may be sent once.
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
