package runnerhttp

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/evolvego/evolve/store"
)

// Metadata returns what the headers of r say of where a command comes from, for
// [runner.Metadata] or [runner.Runner.WithMetadata]: X-Correlation-Id, or X-Request-Id
// if there is none, X-Causation-Id and X-Actor-Id. A header that comes twice, is not
// UTF-8 or has more than [store.MaxName] bytes counts as missing.
//
// Whoever can send a request can send these headers. Let through only those of a proxy
// that you trust, and take the actor from what you have authenticated. A tenant is never
// taken from a header.
func Metadata(r *http.Request) store.Metadata {
	m := store.Metadata{
		CorrelationID: text(r.Header, "X-Correlation-Id"),
		CausationID:   text(r.Header, "X-Causation-Id"),
		ActorID:       text(r.Header, "X-Actor-Id"),
	}
	if m.CorrelationID == "" {
		m.CorrelationID = text(r.Header, "X-Request-Id")
	}
	return m
}

// text returns the value of a header that metadata can have, empty if there is none.
func text(h http.Header, name string) string {
	value, _, err := single(h, name)
	if err != nil || len(value) > store.MaxName || !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
		return ""
	}
	return value
}
