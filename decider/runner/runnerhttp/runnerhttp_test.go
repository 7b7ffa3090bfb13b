package runnerhttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
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
		"unquoted tag":                {[]string{"If-Match", "7"}, "If-Match"},
		"half a tag":                  {[]string{"If-Match", `"7`}, "If-Match"},
		"star in a list":              {[]string{"If-Match", `*, "7"`}, "If-Match"},
		"two stars":                   {[]string{"If-Match", "*", "If-Match", "*"}, "If-Match"},
		"no comma":                    {[]string{"If-Match", `"7" "8"`}, "If-Match"},
		"a semicolon":                 {[]string{"If-Match", `"7"; "8"`}, "If-Match"},
		"lower-case weak tag":         {[]string{"If-Match", `w/"7"`}, "If-Match"},
		"a space in a tag":            {[]string{"If-Match", `"7 8"`}, "If-Match"},
		"DEL in a tag":                {[]string{"If-Match", "\"7\x7f\""}, "If-Match"},
		"half a tag in If-None-Match": {[]string{"If-None-Match", `7"`}, "If-None-Match"},
		"empty key":                   {[]string{"Idempotency-Key", ""}, "Idempotency-Key"},
		"empty quoted key":            {[]string{"Idempotency-Key", `""`}, "Idempotency-Key"},
		"open key":                    {[]string{"Idempotency-Key", `"k`}, "Idempotency-Key"},
		"key with a quote":            {[]string{"Idempotency-Key", `"a"b"`}, "Idempotency-Key"},
		"long key":                    {[]string{"Idempotency-Key", long}, "Idempotency-Key"},
		"Idempotency-Key twice":       {[]string{"Idempotency-Key", "a", "Idempotency-Key", "a"}, "Idempotency-Key"},
		"idempotency-key casing":      {[]string{"idempotency-key", ""}, "Idempotency-Key"},
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

// TestOptionsConditions checks conditions against RFC 9110 (§13.1.1, §13.1.2, §13.2.2),
// at every version.
func TestOptionsConditions(t *testing.T) {
	t.Parallel()
	tag := rapid.SampledFrom([]string{`"0"`, `"1"`, `"2"`, `W/"1"`, `"one"`, `"01"`, `""`, `"a,b"`, `"é"`, `"9007199254740992"`, `"-1"`})
	list := rapid.OneOf(rapid.Just([]string{"*"}), rapid.SliceOfN(tag, 0, 3))
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.IntRange(0, 3).Draw(t, "version")
		counters := newCounters()
		for range version {
			if _, err := counters.Handle(context.Background(), "c-1", add(1)); err != nil {
				t.Fatal(err)
			}
		}
		r, want := request(), true
		current := strconv.Quote(strconv.Itoa(version))
		if rapid.Bool().Draw(t, "with If-Match") {
			tags := list.Draw(t, "If-Match")
			send(t, r, "If-Match", tags)
			want = slices.Contains(tags, current) || version > 0 && slices.Contains(tags, "*")
		}
		if rapid.Bool().Draw(t, "with If-None-Match") {
			tags := list.Draw(t, "If-None-Match")
			send(t, r, "If-None-Match", tags)
			want = want && !slices.Contains(tags, current) && !slices.Contains(tags, "W/"+current) &&
				(version == 0 || !slices.Contains(tags, "*"))
		}
		opts, err := runnerhttp.Options(r)
		if err != nil {
			t.Fatalf("Options of %q: %v", r.Header, err)
		}
		_, err = counters.Handle(context.Background(), "c-1", add(1), opts...)
		if want && err != nil || !want && !errors.Is(err, store.ErrConflict) {
			t.Fatalf("at version %d, with %q: %v, want it done: %t", version, r.Header, err, want)
		}
		if w := httptest.NewRecorder(); err != nil && runnerhttp.WriteProblem(w, r, err) != http.StatusPreconditionFailed {
			t.Fatalf("with %q: status %d, want 412", r.Header, w.Code)
		}
	})
}

// TestOptionsConditionsAtOne checks, at version 1, conditions that are easy to get wrong.
func TestOptionsConditionsAtOne(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		match, none string // "-": not sent
		want        bool
	}{
		"it exists and does not":                  {"*", "*", false},
		"it exists, but not at that version":      {"*", `"1"`, false},
		"it exists, not at other versions":        {"*", `"0", "2"`, true},
		"at one of them, but not at that version": {`"1", "2"`, `"1"`, false},
		"at one of them, not at other versions":   {`"1", "2"`, `"2"`, true},
		"another spelling":                        {`"01"`, "-", false},
		"a weak tag":                              {`W/"1"`, "-", false},
		"a weak tag and a strong one":             {`W/"1", "1"`, "-", true},
		"not a weak tag":                          {"-", `W/"1"`, false},
		"nothing listed":                          {"", "-", false},
		"none of nothing":                         {"-", "", true},
		"a tag with a comma":                      {`"1,2"`, "-", false},
	} {
		counters, r := newCounters(), request()
		if _, err := counters.Handle(t.Context(), "c-1", add(1)); err != nil {
			t.Fatal(err)
		}
		if tt.match != "-" {
			r.Header.Set("If-Match", tt.match)
		}
		if tt.none != "-" {
			r.Header.Set("If-None-Match", tt.none)
		}
		opts, err := runnerhttp.Options(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err = counters.Handle(t.Context(), "c-1", add(1), opts...); (err == nil) != tt.want || err != nil && !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: %v, want it done: %t", name, err, tt.want)
		}
	}
}

// send adds a list of tags to r, in one line or in several, with spaces and empty
// elements that the grammar allows.
func send(t *rapid.T, r *http.Request, name string, tags []string) {
	if len(tags) > 1 && rapid.Bool().Draw(t, "in lines") {
		r.Header[name] = tags
		return
	}
	comma := rapid.SampledFrom([]string{",", ", ", " ,\t", ",, ,"}).Draw(t, "comma")
	r.Header[name] = []string{strings.Join(tags, comma)}
}

// TestOptionsTag checks that Options reads the version in the tag that SetETag writes:
// the command is handled at that version, and at no other.
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

// TestOptionsKey checks that a key identifies the command with quotes and without.
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

// TestOptionsReusedKey checks that another request with the same key does nothing, that
// the same request gets the same answer, and that its body can still be read.
func TestOptionsReusedKey(t *testing.T) {
	t.Parallel()
	counters := newCounters()
	handle := func(method, url, body string) (runner.Outcome[int, added], error) {
		r := httptest.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		r.Header.Set("Idempotency-Key", "k-1")
		opts, err := runnerhttp.Options(r)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r.Body); err != nil || string(got) != body {
			t.Errorf("the body reads %q, %v after Options, want %q", got, err, body)
		}
		n, _ := strconv.Atoi(body)
		return counters.Handle(t.Context(), "c-1", add(n), opts...)
	}
	if out, err := handle("POST", "/up", "5"); err != nil || out.State != 5 {
		t.Fatalf("Handle = %+v, %v", out, err)
	}
	if out, err := handle("POST", "/up", "5"); err != nil || !out.Replayed {
		t.Errorf("the same request again = %+v, %v, want it replayed", out, err)
	}
	for name, r := range map[string][3]string{
		"another body": {"POST", "/up", "6"}, "another path": {"POST", "/down", "5"},
		"another query": {"POST", "/up?twice", "5"}, "another method": {"PUT", "/up", "5"},
		"text moved between parts": {"POST", "/u", "p5"},
	} {
		var reused *runner.ReusedError
		_, err := handle(r[0], r[1], r[2])
		if !errors.As(err, &reused) || reused.CommandID != "k-1" || reused.Version != 1 || !errors.Is(err, runner.ErrReused) || errors.Is(err, runner.ErrUnknownOutcome) {
			t.Errorf("%s = %v, want a *ReusedError", name, err)
		}
	}
	if got, err := counters.Load(t.Context(), "c-1"); err != nil || got.State != 5 {
		t.Errorf("the counter is %v, %v, want 5", got, err)
	}
}

// TestOptionsBody checks how Options treats a body that it cannot accept.
func TestOptionsBody(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body   io.Reader
		status int
	}{
		"too large":           {io.LimitReader(zeros{}, 4<<20+1), http.StatusRequestEntityTooLarge},
		"too large for mux":   {http.MaxBytesReader(nil, io.NopCloser(strings.NewReader("four")), 3), http.StatusRequestEntityTooLarge},
		"as large as allowed": {io.LimitReader(zeros{}, 4<<20), 0},
		"broken":              {io.MultiReader(strings.NewReader("{"), broken{}), http.StatusBadRequest},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", tt.body)
		if _, err := runnerhttp.Options(r); err != nil {
			t.Errorf("%s: Options without a key = %v: it must not read the body", name, err)
		}
		r.Header.Set("Idempotency-Key", "k-1")
		opts, err := runnerhttp.Options(r)
		if tt.status == 0 {
			if err != nil || len(opts) != 2 {
				t.Errorf("%s: Options = %v, %v", name, opts, err)
			}
			continue
		}
		var body *runnerhttp.BodyError
		if !errors.As(err, &body) || body.HTTPStatus() != tt.status || opts != nil {
			t.Errorf("%s: Options = %v, %v, want a *BodyError of status %d", name, opts, err, tt.status)
		}
	}
}

type (
	zeros  struct{}
	broken struct{}
)

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
func (broken) Read([]byte) (int, error)  { return 0, io.ErrUnexpectedEOF }

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
		"rejection":             {&runner.RejectedError{Err: errNegative}, nil, 422, "counter: below zero", ""},
		"own status":            {&runner.RejectedError{Err: fmt.Errorf("tea: %w", teapotError{})}, nil, 418, "tea: short and stout", ""},
		"unhandled":             {&runner.RejectedError{Err: decider.ErrUnhandled}, nil, 400, "decider: unhandled command", ""},
		"bad header":            {&runnerhttp.HeaderError{Header: "If-Match", Reason: "is odd"}, nil, 400, "runnerhttp: bad header If-Match: is odd", ""},
		"invalid id":            {&store.InvalidError{Field: "stream.id", Reason: "is empty"}, nil, 400, "store: invalid argument: stream.id is empty", ""},
		"If-Match":              {conflict, []string{"If-Match", `"7"`}, 412, "it is at version 9", ""},
		"If-None-Match":         {conflict, []string{"If-None-Match", "*"}, 412, "it is at version 9", ""},
		"no aggregate to match": {&store.ConflictError{Expected: store.Exists}, []string{"If-Match", ""}, 412, "it does not exist", ""},
		"reused key":            {&runner.ReusedError{CommandID: "k"}, nil, 422, "another request used this Idempotency-Key: send a new one", ""},
		"large body":            {&runnerhttp.BodyError{Err: &http.MaxBytesError{Limit: 5}}, nil, 413, "runnerhttp: body: http: request body too large", ""},
		"broken body":           {&runnerhttp.BodyError{Err: io.ErrUnexpectedEOF}, nil, 400, "runnerhttp: body: unexpected EOF", ""},
		"exhausted":             {&runner.ExhaustedError{Attempts: 10, Err: conflict}, nil, 409, "too many concurrent changes: send it again", "1"},
		"unknown outcome":       {&runner.UnknownOutcomeError{Err: io.EOF}, nil, 503, "it is not known whether this happened: send it again with the same Idempotency-Key", "1"},
		"unknown under ctx":     {&runner.UnknownOutcomeError{Err: context.Canceled}, nil, 503, "it is not known whether this happened: send it again with the same Idempotency-Key", "1"},
		"deadline":              {context.DeadlineExceeded, nil, 503, "this took too long and did not happen: send it again", "1"},
		"canceled":              {fmt.Errorf("read: %w", context.Canceled), nil, 503, "this took too long and did not happen: send it again", "1"},
		"taken key":             {&store.ClaimedError{Key: "email:a@b", Holder: conflict.Stream}, nil, 409, `"email:a@b" is taken`, ""},
		"fault":                 {errors.New("password is hunter2"), nil, 500, "", ""},
		"conflict under tag":    {&runner.ExhaustedError{Attempts: 1, Err: conflict}, []string{"If-Match", `"7"`}, 412, "it is at version 9", ""},
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
