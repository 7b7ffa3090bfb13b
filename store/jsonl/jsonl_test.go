package jsonl_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jsonl"
)

func Example() {
	events := []store.Recorded{{
		Event:    store.Event{ID: "e-1", Type: "Opened", Data: []byte(`{"Owner":"Ann"}`)},
		Stream:   store.Stream{Type: "Account", ID: "a-1"},
		Version:  1,
		Position: 1,
	}}
	var file bytes.Buffer
	if err := jsonl.NewWriter(&file).Write(events); err != nil {
		panic(err)
	}
	os.Stdout.Write(file.Bytes())
	for line, err := range jsonl.Read(&file) {
		if err != nil {
			panic(err)
		}
		event := line.Recorded()
		fmt.Println(line.Number, event.Stream, event.Type)
	}
	// Output:
	// {"position":1,"stream_type":"Account","stream_id":"a-1","version":1,"id":"e-1","type":"Opened","data":{"Owner":"Ann"}}
	// 1 Account/a-1 Opened
}

// fields returns the names of the fields of a line that has them all.
func fields() []string {
	return []string{
		"position", "stream_type", "stream_id", "version", "id", "type", "schema", "content_type", "time", "recorded_at",
		"correlation_id", "causation_id", "actor_id", "headers", "data", "data_base64", "golden",
	}
}

const goodLine = `{"stream_type":"A","stream_id":"1","version":1,"id":"e1","type":"E","data":{"a":1}}`

// awkward draws texts that formats often break.
func awkward() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"", "null", "\\ud800", `"`, "\x00", "\r\n", "\u2028", "\u202e", "\ufeff", "\U0001f3e6", "</script>", "<&>", "e\u0301", "é", "\x7f", strings.Repeat("long", 200), "\xff", "caf\xe9", "\ufffd",
	}))
}

func awkwardData() *rapid.Generator[[]byte] {
	return rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.Map(rapid.OneOf(awkward(), rapid.SampledFrom([]string{
		"{}", "[]", "1", "1e400", "-0", "0.10", "12345678901234567890", `{"a":1,"a":2}`, `{"b":1,"a":2}`, `{"a": 1}`, `"\ud800"`, `"<&>"`, `"\u003c"`, "null", "true", " 1", "1\n", "1 2", `{"a":null}`,
		strings.Repeat("[", 100) + strings.Repeat("]", 100),
	})), func(s string) []byte { return []byte(s) }))
}

func recorded() *rapid.Generator[store.Recorded] {
	return rapid.Custom(func(t *rapid.T) store.Recorded {
		text, number := awkward(), rapid.Uint64()
		zone := time.FixedZone("", rapid.IntRange(-12, 14).Draw(t, "zone")*1800)
		at := rapid.Map(rapid.Int64Range(-1<<60, 1<<60), func(ns int64) time.Time { return time.Unix(0, ns).In(zone) })
		r := store.Recorded{
			Event: store.Event{
				ID: text.Draw(t, "id"), Type: text.Draw(t, "type"), Schema: rapid.Uint32().Draw(t, "schema"), ContentType: text.Draw(t, "content"),
				Data: awkwardData().Draw(t, "data"), Time: at.Draw(t, "time"),
				Meta: store.Metadata{CorrelationID: text.Draw(t, "correlation"), CausationID: text.Draw(t, "causation"), ActorID: text.Draw(t, "actor")},
			},
			Stream: store.Stream{Type: text.Draw(t, "stream"), ID: text.Draw(t, "stream id")}, Version: number.Draw(t, "version"),
			Position: number.Draw(t, "position"), RecordedAt: at.Draw(t, "recorded"),
		}
		if n := rapid.IntRange(0, 2).Draw(t, "headers"); n > 0 {
			r.Meta.Headers = rapid.MapOfN(text, text, n, n).Draw(t, "header")
		}
		return r
	})
}

// TestRoundTrip writes events with arbitrary content: what is written must be read
// unchanged, and what cannot be written must be an error.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var all []store.Recorded
		var file bytes.Buffer
		out := jsonl.NewWriter(&file)
		for _, e := range rapid.SliceOfN(recorded(), 1, 4).Draw(t, "events") {
			if err := out.Write([]store.Recorded{e}); err == nil {
				all = append(all, e)
			} else if !strings.Contains(err.Error(), "is not UTF-8") {
				t.Fatal(err)
			}
		}
		lines := 0
		for l, err := range jsonl.Read(bytes.NewReader(file.Bytes())) {
			if err != nil {
				t.Fatalf("%v\n%s", err, &file)
			}
			want, got := all[lines], l.Recorded()
			if lines++; l.Number != lines {
				t.Fatalf("line %d says that it is %d", lines, l.Number)
			}
			if !got.Time.Equal(want.Time) || !got.RecordedAt.Equal(want.RecordedAt) || !bytes.Equal(got.Data, want.Data) {
				t.Fatalf("read %+v\nwant %+v", got, want)
			}
			got.Time, got.RecordedAt, got.Data = want.Time, want.RecordedAt, want.Data
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("read %+v\nwant %+v", got, want)
			}
		}
		if lines != len(all) || bytes.Count(file.Bytes(), []byte("\n")) != lines {
			t.Fatalf("%d events became %d lines\n%s", len(all), lines, &file)
		}
	})
}

// TestValue checks that a value that is not encoded is an error, and not an event
// without data.
func TestValue(t *testing.T) {
	t.Parallel()
	err := jsonl.NewWriter(&bytes.Buffer{}).Write([]store.Recorded{{
		Event: store.Event{Type: "E", Value: new(int)}, Stream: store.Stream{Type: "A", ID: "1"}, Version: 7,
	}})
	if err == nil || err.Error() != "write version 7 of A/1: has a value that is not encoded" {
		t.Errorf("Write: %v", err)
	}
}

// TestBoth checks that a line cannot have its data twice.
func TestBoth(t *testing.T) {
	t.Parallel()
	if _, err := jsonl.Parse([]byte(`{"type":"E","data":1,"data_base64":"MQ=="}`)); err == nil {
		t.Error("a line with both data and data_base64 is read")
	}
}

// TestAnyLine parses texts that are nearly lines: an accepted line must survive
// unchanged.
func TestAnyLine(t *testing.T) {
	t.Parallel()
	piece := rapid.OneOf(rapid.SampledFrom([]string{
		"{", "}", `"`, ":", ",", "[", "]", " ", `"type"`, `"Type"`, `"data"`, `"id"`, `"version"`, "1", "null", `"headers"`, `{"k":"v"}`, `"E"`, "\\", `\ud800`, "\xff", "\x00",
	}), rapid.StringN(0, 3, 6))
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(piece, 0, 20).Draw(t, "pieces"), "")
		if rapid.Bool().Draw(t, "of a line") {
			at := rapid.IntRange(0, len(goodLine)).Draw(t, "at")
			text = goodLine[:at] + text + goodLine[at:]
		}
		wantAsItWas(t, []byte(text))
	})
}

// wantAsItWas fails if parsing text changes it.
func wantAsItWas(tb rapid.TB, text []byte) {
	tb.Helper()
	l, err := jsonl.Parse(text)
	if err != nil {
		return
	}
	var parts map[string]any
	if err := json.Unmarshal(text, &parts); err != nil {
		tb.Fatalf("%q is accepted, but is not a JSON object: %v", text, err)
	}
	for name, value := range parts {
		if !slices.Contains(fields(), name) {
			tb.Fatalf("%q is accepted, with the field %q", text, name)
		}
		if is, ok := value.(string); ok && strings.ContainsRune(is, '\uFFFD') && !bytes.Contains(text, []byte("\uFFFD")) && name != "data" &&
			!strings.Contains(strings.ToLower(string(text)), `\ufffd`) {
			tb.Fatalf("%q is accepted, but %s has changed", text, name)
		}
	}
	if is, ok := parts["type"].(string); ok && is != l.Type {
		tb.Fatalf("%q has the type %q", text, l.Type)
	}
}

// FuzzParse parses arbitrary text.
func FuzzParse(f *testing.F) {
	f.Add([]byte(goodLine))
	f.Add([]byte(`{"type":"E","Type":"F","data":null,"headers":{"a":"\ud800"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for l := range bytes.SplitSeq(text, []byte("\n")) {
			wantAsItWas(t, l)
		}
	})
}
