package runnerhttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/decider/runner/runnerhttp"
	"github.com/evolvego/evolve/store"
)

// request returns a POST whose headers are the given pairs of name and value.
func request(headers ...string) *http.Request {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/counters/c-1", http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func TestOptionsRefuse(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", store.MaxName+1)
	tests := map[string]struct {
		headers []string
		header  string
	}{
		"unquoted tag":           {[]string{"If-Match", "7"}, "If-Match"},
		"half a tag":             {[]string{"If-Match", `"7`}, "If-Match"},
		"weak tag":               {[]string{"If-Match", `W/"7"`}, "If-Match"},
		"star":                   {[]string{"If-Match", "*"}, "If-Match"},
		"two tags":               {[]string{"If-Match", `"7", "8"`}, "If-Match"},
		"not a number":           {[]string{"If-Match", `"seven"`}, "If-Match"},
		"another spelling":       {[]string{"If-Match", `"07"`}, "If-Match"},
		"empty tag":              {[]string{"If-Match", ""}, "If-Match"},
		"negative":               {[]string{"If-Match", `"-1"`}, "If-Match"},
		"too large":              {[]string{"If-Match", `"9007199254740992"`}, "If-Match"},
		"If-Match twice":         {[]string{"If-Match", `"7"`, "If-Match", `"7"`}, "If-Match"},
		"none of a version":      {[]string{"If-None-Match", `"7"`}, "If-None-Match"},
		"If-None-Match twice":    {[]string{"If-None-Match", "*", "If-None-Match", "*"}, "If-None-Match"},
		"both conditions":        {[]string{"If-Match", `"7"`, "If-None-Match", "*"}, "If-Match"},
		"empty key":              {[]string{"Idempotency-Key", ""}, "Idempotency-Key"},
		"empty quoted key":       {[]string{"Idempotency-Key", `""`}, "Idempotency-Key"},
		"open key":               {[]string{"Idempotency-Key", `"k`}, "Idempotency-Key"},
		"key with a quote":       {[]string{"Idempotency-Key", `"a"b"`}, "Idempotency-Key"},
		"long key":               {[]string{"Idempotency-Key", long}, "Idempotency-Key"},
		"Idempotency-Key twice":  {[]string{"Idempotency-Key", "a", "Idempotency-Key", "a"}, "Idempotency-Key"},
		"idempotency-key casing": {[]string{"idempotency-key", ""}, "Idempotency-Key"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts, err := runnerhttp.Options(request(tt.headers...))
			var bad *runnerhttp.HeaderError
			if !errors.As(err, &bad) || !errors.Is(err, runnerhttp.ErrHeader) || bad.Header != tt.header || opts != nil {
				t.Errorf("Options(%q) = %v, %v, want a *HeaderError about %s", tt.headers, opts, err, tt.header)
			}
		})
	}
}

// TestOptionsTag checks that the tag which SetETag writes is the version that
// Options reads: the command happens at that version, and at no other.
func TestOptionsTag(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 5).Draw(t, "events")
		tag := rapid.Uint64Range(0, 6).Draw(t, "tag")
		counters := newCounters()
		for range n {
			if _, err := counters.Handle(context.Background(), "c-1", add(1)); err != nil {
				t.Fatal(err)
			}
		}
		r, h := request(), http.Header{}
		runnerhttp.SetETag(h, tag)
		if got, want := h.Get("ETag"), strconv.Quote(strconv.FormatUint(tag, 10)); got != want {
			t.Fatalf("ETag = %s, want %s", got, want)
		}
		r.Header.Set("If-Match", h.Get("ETag"))
		opts, err := runnerhttp.Options(r)
		if err != nil {
			t.Fatal(err)
		}
		_, err = counters.Handle(context.Background(), "c-1", add(1), opts...)
		if int(tag) == n && err != nil || int(tag) != n && !errors.Is(err, store.ErrConflict) {
			t.Fatalf("Handle with If-Match %d at version %d: %v", tag, n, err)
		}
	})
}

func TestOptionsCreate(t *testing.T) {
	t.Parallel()
	counters := newCounters()
	opts, err := runnerhttp.Options(request("If-None-Match", "*"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := counters.Handle(t.Context(), "c-1", add(1), opts...); err != nil {
		t.Errorf("the first creation: %v", err)
	}
	if _, err := counters.Handle(t.Context(), "c-1", add(1), opts...); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the second creation: %v, want a conflict", err)
	}
}

// TestOptionsKey checks that a key names the command with its quotes and without.
func TestOptionsKey(t *testing.T) {
	t.Parallel()
	counters := newCounters()
	for i, key := range []string{"k-1", `"k-1"`, `"k-2"`} {
		opts, err := runnerhttp.Options(request("Idempotency-Key", key))
		if err != nil {
			t.Fatal(err)
		}
		out, err := counters.Handle(t.Context(), "c-1", add(1), opts...)
		if err != nil || out.Replayed != (i == 1) {
			t.Errorf("Handle with key %s: replayed %v, %v", key, out.Replayed, err)
		}
	}
	if got, err := counters.Load(t.Context(), "c-1"); err != nil || got.State != 2 {
		t.Errorf("the counter is %v, %v, want 2", got, err)
	}
}

// teapotError is an error with a status of its own.
type teapotError struct{}

func (teapotError) Error() string   { return "short and stout" }
func (teapotError) HTTPStatus() int { return http.StatusTeapot }

func TestWriteProblem(t *testing.T) {
	t.Parallel()
	conflict := &store.ConflictError{Stream: store.Stream{Type: "Counter", ID: "c-1"}, Expected: store.Exactly(7), Actual: 9}
	tests := map[string]struct {
		err     error
		headers []string
		status  int
		detail  string
		retry   string
	}{
		"rejection":          {&runner.RejectedError{Err: errNegative}, nil, 422, "counter: below zero", ""},
		"own status":         {&runner.RejectedError{Err: fmt.Errorf("tea: %w", teapotError{})}, nil, 418, "tea: short and stout", ""},
		"unhandled":          {&runner.RejectedError{Err: decider.ErrUnhandled}, nil, 400, "decider: unhandled command", ""},
		"bad header":         {&runnerhttp.HeaderError{Header: "If-Match", Reason: "is odd"}, nil, 400, "runnerhttp: bad header If-Match: is odd", ""},
		"invalid id":         {&store.InvalidError{Field: "stream.id", Reason: "is empty"}, nil, 400, "store: invalid argument: stream.id is empty", ""},
		"If-Match":           {conflict, []string{"If-Match", `"7"`}, 412, "expected version 7, found version 9", ""},
		"If-None-Match":      {conflict, []string{"If-None-Match", "*"}, 412, "expected version 7, found version 9", ""},
		"exhausted":          {&runner.ExhaustedError{Attempts: 10, Err: conflict}, nil, 409, "too many others change this: send it again", "1"},
		"unknown outcome":    {&runner.UnknownOutcomeError{Err: io.EOF}, nil, 503, "it is not known whether this happened: send it again with the same Idempotency-Key", "1"},
		"unknown under ctx":  {&runner.UnknownOutcomeError{Err: context.Canceled}, nil, 503, "it is not known whether this happened: send it again with the same Idempotency-Key", "1"},
		"deadline":           {context.DeadlineExceeded, nil, 503, "this took too long and did not happen: send it again", "1"},
		"canceled":           {fmt.Errorf("read: %w", context.Canceled), nil, 503, "this took too long and did not happen: send it again", "1"},
		"taken key":          {&store.ClaimedError{Key: "email:a@b", Holder: conflict.Stream}, nil, 409, `"email:a@b" is taken`, ""},
		"fault":              {errors.New("password is hunter2"), nil, 500, "", ""},
		"conflict under tag": {&runner.ExhaustedError{Attempts: 1, Err: conflict}, []string{"If-Match", `"7"`}, 412, "expected version 7, found version 9", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			status := runnerhttp.WriteProblem(w, request(tt.headers...), tt.err)
			var body map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatalf("body %q: %v", w.Body, err)
			}
			want := map[string]any{"title": http.StatusText(tt.status), "status": float64(tt.status)}
			if tt.detail != "" {
				want["detail"] = tt.detail
			}
			if status != tt.status || w.Code != tt.status || fmt.Sprint(body) != fmt.Sprint(want) {
				t.Errorf("WriteProblem(%v) = %d, wrote %d %v, want %v", tt.err, status, w.Code, body, want)
			}
			if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("Content-Type = %q", got)
			}
			if got := w.Header().Get("Retry-After"); got != tt.retry {
				t.Errorf("Retry-After = %q, want %q", got, tt.retry)
			}
		})
	}
}
