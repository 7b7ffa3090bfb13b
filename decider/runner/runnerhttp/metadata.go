package runnerhttp

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/evolvego/evolve/store"
)

// Metadata returns the metadata in the headers of r, for [runner.Metadata] or
// [runner.Runner.WithMetadata]: X-Correlation-Id, or X-Request-Id if there is none,
// X-Causation-Id and X-Actor-Id. A header that is repeated, is not UTF-8 or has more than
// [store.MaxName] bytes counts as missing.
//
// Anyone who can send a request can send these headers. Accept them only from a proxy
// that you trust, and take the actor from your authentication. A tenant is never taken
// from a header.
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

// text returns the value of a header if metadata can hold it, and "" otherwise.
func text(h http.Header, name string) string {
	value, _, err := single(h, name)
	if err != nil || len(value) > store.MaxName || !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
		return ""
	}
	return value
}
