package runnerhttp_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider/runner/runnerhttp"
	"github.com/evolvego/evolve/store"
)

// TestPosition checks that AtLeast reads the position that SetPosition writes.
func TestPosition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.Uint64Range(0, store.MaxVersion).Draw(t, "position")
		h := http.Header{}
		runnerhttp.SetPosition(h, want)
		r := request()
		if text := h.Get("Position"); text != "" {
			r.Header.Set("At-Least", text)
		}
		if got, err := runnerhttp.AtLeast(r); got != want || err != nil {
			t.Fatalf("AtLeast of %q = %d, %v, want %d", h, got, err, want)
		}
	})
	for name, headers := range map[string][]string{
		"empty": {"At-Least", ""}, "not a number": {"At-Least", "seven"}, "negative": {"At-Least", "-1"},
		"too large": {"At-Least", "9007199254740992"}, "twice": {"At-Least", "1", "At-Least", "1"},
	} {
		_, err := runnerhttp.AtLeast(request(headers...))
		if bad, ok := errors.AsType[*runnerhttp.HeaderError](err); !ok || bad.Header != "At-Least" {
			t.Errorf("%s: AtLeast = %v, want a *HeaderError", name, err)
		}
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		headers []string
		want    store.Metadata
	}{
		"nothing":            {nil, store.Metadata{}},
		"all":                {[]string{"x-correlation-id", "c", "x-causation-id", "d", "x-actor-id", "a", "x-request-id", "r"}, store.Metadata{CorrelationID: "c", CausationID: "d", ActorID: "a"}},
		"a request id":       {[]string{"X-Request-Id", "r"}, store.Metadata{CorrelationID: "r"}},
		"a tenant":           {[]string{"X-Tenant-Id", "acme"}, store.Metadata{}},
		"sent twice":         {[]string{"X-Actor-Id", "a", "X-Actor-Id", "b"}, store.Metadata{}},
		"too long":           {[]string{"X-Actor-Id", strings.Repeat("a", store.MaxName+1)}, store.Metadata{}},
		"as long as allowed": {[]string{"X-Actor-Id", strings.Repeat("a", store.MaxName)}, store.Metadata{ActorID: strings.Repeat("a", store.MaxName)}},
		"not UTF-8":          {[]string{"X-Actor-Id", "caf\xe9"}, store.Metadata{}},
	} {
		if got := runnerhttp.Metadata(request(tt.headers...)); got.CorrelationID != tt.want.CorrelationID ||
			got.CausationID != tt.want.CausationID || got.ActorID != tt.want.ActorID || got.Headers != nil {
			t.Errorf("%s: Metadata = %+v, want %+v", name, got, tt.want)
		}
	}
}
