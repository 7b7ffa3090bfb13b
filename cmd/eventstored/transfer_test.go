package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jsonl"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/open"
)

// TestReadersMakeNoFile checks that a command that only reads fails on a file that does
// not exist, and creates none.
func TestReadersMakeNoFile(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"read", "Account/a"},
		{"tail"},
		{"tail", "-f"},
		{"streams"},
		{"stats"},
		{"export"},
		{"checkpoints"},
		{"checkpoints", "view"},
		{"checkpoints", "view", "-reset"},
		{"check"},
	} {
		dir := t.TempDir()
		got := do(t, "", append(args, "-store", "sqlite:"+filepath.Join(dir, "typo.db"))...)
		if args[0] == "check" {
			if got.err != nil || !strings.Contains(got.stdout, "does not exist yet") {
				t.Errorf("check = %+v", got)
			}
		} else if !os.IsNotExist(unwrapAll(got.err)) || got.stdout != "" {
			t.Errorf("eventstored %q = %+v, want an error that the file does not exist", args, got)
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
			t.Errorf("eventstored %q has created %v, %v", args, files, err)
		}
	}
}

// unwrapAll returns the innermost error of err that says that a file does not exist.
func unwrapAll(err error) error {
	for e := err; e != nil; {
		if os.IsNotExist(e) {
			return e
		}
		switch u := e.(type) { //nolint:errorlint // one after the other
		case interface{ Unwrap() error }:
			e = u.Unwrap()
		case interface{ Unwrap() []error }:
			for _, e := range u.Unwrap() {
				if found := unwrapAll(e); os.IsNotExist(found) {
					return found
				}
			}
			return err
		default:
			return err
		}
	}
	return err
}

const goodLine = `{"stream_type":"A","stream_id":"1","version":1,"id":"e1","type":"E","data":{"a":1}}`

// TestImportIsStrict imports lines that import would change or misread. It must fail
// with the number of the line, after appending the lines before it.
func TestImportIsStrict(t *testing.T) {
	t.Parallel()
	second := func(field, text string) string {
		return `{"stream_type":"A","stream_id":"1","version":2,"id":"e2","type":"E",` + field + `:` + text + `}`
	}
	for name, line := range map[string]string{
		"another brace":         strings.Replace(goodLine, `"version":1`, `"version":2`, 1) + "}",
		"another object":        second(`"data"`, "1") + "{}",
		"another value":         second(`"data"`, "1") + " 7",
		"text after it":         second(`"data"`, "1") + " // done",
		"a NUL after it":        second(`"data"`, "1") + "\x00",
		"another case":          second(`"Data"`, "1"),
		"another case of two":   second(`"Type"`, `"F"`),
		"a field twice":         second(`"type"`, `"F"`),
		"data twice":            second(`"data":1,"data"`, "2"),
		"a header twice":        second(`"headers"`, `{"k":"1","k":"2"}`),
		"an unknown field":      second(`"colour"`, `"red"`),
		"not UTF-8 in data":     second(`"data"`, "\"caf\xe9\""),
		"not UTF-8 in a header": second(`"headers"`, "{\"k\":\"caf\xe9\"}"),
		"not UTF-8 in a key":    second("\"caf\xe9\"", "1"),
		"half of a pair":        second(`"actor_id"`, `"\ud83c"`),
		"the other half":        second(`"actor_id"`, `"\udfe6"`),
		"half in a header":      second(`"headers"`, `{"k":"\\\ud83c"}`),
		"a number for a text":   second(`"actor_id"`, "7"),
		"an array":              `[1]`,
		"a text":                `"x"`,
		"nothing but a brace":   `{`,
		"a half":                goodLine[:40],
		"a comma too many":      second(`"data"`, "1,"),
		"bad base64":            second(`"data_base64"`, `"***"`),
		"a time that is none":   second(`"time"`, `"yesterday"`),
		"a negative version":    strings.Replace(goodLine, `"version":1`, `"version":-1`, 1),
		"a broken version":      strings.Replace(goodLine, `"version":1`, `"version":1.5`, 1),
	} {
		url := newFile(t)
		got := do(t, goodLine+"\n"+line+"\n", "import", "-store", url)
		if got.err == nil || !strings.Contains(got.err.Error(), "line 2") {
			t.Errorf("%s: %v, want an error about line 2", name, got.err)
		}
	}
	for name, line := range map[string]string{
		"a pair":               second(`"actor_id"`, `"\ud83c\udfe6"`),
		"a backslash before u": second(`"actor_id"`, `"\\ud83c"`),
		"half, kept as it is":  second(`"data"`, `"\ud83c"`),
		"a null":               second(`"headers"`, "null"),
		"blanks around it":     "  " + second(`"data"`, "1") + " \t\r",
	} {
		if got := do(t, goodLine+"\n\n"+line+"\n", "import", "-store", newFile(t)); got.err != nil || !strings.Contains(got.stderr, "imported 2 events") {
			t.Errorf("%s: %v, %s", name, got.err, got.stderr)
		}
	}
}

// TestImportSaysWhichLines checks that the error of an append names the lines of its
// events, not the last line that was read.
func TestImportSaysWhichLines(t *testing.T) {
	t.Parallel()
	lines := make([]string, 9)
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"stream_type":"A","stream_id":"%d","version":%d,"id":"e%d","type":"E"}`, i/4, i%4+1, i)
	}
	lines[4] = strings.Replace(lines[4], `"id":"e4"`, `"id":"e1"`, 1) // this id is already recorded in another stream
	got := do(t, strings.Join(lines, "\n"), "import", "-store", newFile(t))
	if got.err == nil || !strings.HasPrefix(got.err.Error(), "line 5: ") {
		t.Errorf("a taken id: %v, want line 5", got.err)
	}
	lines[4] = strings.Replace(lines[4], `"id":"e1"`, `"id":""`, 1)
	if got := do(t, strings.Join(lines, "\n"), "import", "-store", newFile(t)); got.err == nil || !strings.HasPrefix(got.err.Error(), "line 5: ") {
		t.Errorf("no id: %v, want line 5", got.err)
	}
	lines = []string{lines[0], lines[1], strings.Replace(lines[2], `"version":3`, `"version":7`, 1), lines[3]}
	if got := do(t, strings.Join(lines, "\n"), "import", "-store", newFile(t)); got.err == nil || !strings.HasPrefix(got.err.Error(), "line 3: ") {
		t.Errorf("a gap: %v, want line 3", got.err)
	}
}

// counted is a store that records the sizes of its appends.
type counted struct {
	*memory.Store

	bytes, events []int
}

func (c *counted) Append(ctx context.Context, s store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	size := 0
	for i := range events {
		size += len(events[i].Data)
	}
	c.bytes, c.events = append(c.bytes, size), append(c.events, len(events))
	return c.Store.Append(ctx, s, expected, events)
}

// TestImportCountsBytes imports events of all sizes. No append may be larger than a
// request, or smaller than necessary.
func TestImportCountsBytes(t *testing.T) {
	t.Parallel()
	from := memory.New()
	sizes := []int{10, 1 << 20, 1 << 20, 1 << 20, 15 << 20, 15 << 20, 100, 3 << 20, 100}
	for i, size := range sizes {
		event := store.Event{ID: fmt.Sprint("e", i), Type: "E", Data: append(append([]byte{'"'}, bytes.Repeat([]byte("x"), size)...), '"')}
		if _, err := from.Append(t.Context(), store.Stream{Type: "A", ID: "1"}, store.Any, []store.Event{event}); err != nil {
			t.Fatal(err)
		}
	}
	small := make([]store.Event, 1200)
	for i := range small {
		small[i] = store.Event{ID: fmt.Sprint("s", i), Type: "E"}
	}
	if _, err := from.Append(t.Context(), store.Stream{Type: "A", ID: "2"}, store.Any, small); err != nil {
		t.Fatal(err)
	}
	var file, stderr bytes.Buffer
	if err := scan(t.Context(), from, env{stderr: &stderr}, jsonl.NewWriter(&file).Write); err != nil {
		t.Fatal(err)
	}
	to := &counted{Store: memory.New()}
	b := importing{st: to, shown: newProgress(&stderr)}
	if err := b.addAll(t.Context(), &file); err != nil {
		t.Fatal(err)
	}
	if err := b.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, size := range to.bytes {
		if size > importBytes && to.events[i] > 1 {
			t.Errorf("append %d has %d bytes in %d events", i, size, to.events[i])
		}
	}
	if want := []int{2, 1, 1, 1, 1, 1, 1, 1, 500, 500, 200}; !slices.Equal(to.events, want) {
		t.Errorf("the appends have %d events, want %d", to.events, want)
	}
	if head, err := to.Head(t.Context()); err != nil || head != uint64(len(sizes)+len(small)) {
		t.Errorf("%d events were imported, %v", head, err)
	}
}

// FuzzImport imports arbitrary text.
func FuzzImport(f *testing.F) {
	f.Add([]byte(goodLine))
	f.Add([]byte(goodLine + "\n" + goodLine + "}"))
	f.Add([]byte(`{"type":"E","Type":"F","data":null,"headers":{"a":"\ud800"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		st := memory.New()
		b := importing{st: st, shown: newProgress(&bytes.Buffer{})}
		err := b.addAll(t.Context(), bytes.NewReader(text))
		if err == nil {
			err = b.flush(t.Context())
		}
		if err != nil && !strings.HasPrefix(err.Error(), "line") {
			t.Errorf("%v, which does not name the line", err)
		}
	})
}

// FuzzFlags passes arbitrary arguments to the commands that only read.
func FuzzFlags(f *testing.F) {
	f.Add("check -store\nmemory:\n-listen\n:1")
	f.Add("serve -store=postgres://u:hunter2@h/db\n-log\nx")
	f.Add("hash-token a *")
	f.Fuzz(func(t *testing.T, text string) {
		args := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == ' ' })
		if len(args) == 0 || !slices.Contains([]string{"hash-token", "version", "help", "-h"}, args[0]) {
			args = append([]string{"read"}, args...) // it needs an operand, and opens the store read-only
		}
		_ = do(t, "token", args...)
	})
}

// TestCheckpoints lists checkpoints and moves one back.
func TestCheckpoints(t *testing.T) {
	t.Parallel()
	url := newFile(t)
	st, err := open.Store(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		if err := add(t.Context(), st, fmt.Sprint("a-", n)); err != nil {
			t.Fatal(err)
		}
	}
	events, err := st.ReadAll(t.Context(), store.LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	at := func(position uint64) store.Checkpoint {
		return store.Checkpoint{Position: position, EventID: events.Events[position-1].ID}
	}
	all := st.(store.Checkpoints) //nolint:errcheck // sqlite has them
	for name, c := range map[string]store.Checkpoint{"projection/balance@1": at(4), "other": at(2)} {
		if err := all.SaveCheckpoint(t.Context(), name, store.Checkpoint{}, c); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	list := func() string { return strings.Join(must(t, "", "checkpoints", "-store", url, "-json"), "\n") }
	line := func(name string, c store.Checkpoint) string {
		return fmt.Sprintf(`{"name":%q,"position":%d,"event_id":%q,"lag":%d}`, name, c.Position, c.EventID, 5-c.Position)
	}
	if got, want := list(), line("other", at(2))+"\n"+line("projection/balance@1", at(4)); got != want {
		t.Errorf("checkpoints:\n%s\nwant\n%s", got, want)
	}
	if got := must(t, "", "checkpoints", "-store", url, "other"); len(got) != 2 || !strings.HasPrefix(got[1], "other  2         3    ") {
		t.Errorf("checkpoints other:\n%s", strings.Join(got, "\n"))
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-reset"}, "is missing"},
		{[]string{"other", "-reset", "-before", "1"}, "exclude each other"},
		{[]string{"other", "-yes"}, "-yes needs"},
		{[]string{"missing", "-reset", "-yes"}, "is at the beginning, or does not exist"},
		{[]string{"other", "-before", "4", "-yes"}, "can only move back"},
	} {
		if got := do(t, "", append([]string{"checkpoints", "-store", url}, tt.args...)...); got.err == nil || !strings.Contains(got.err.Error(), tt.want) {
			t.Errorf("checkpoints %q = %v, want %q", tt.args, got.err, tt.want)
		}
	}
	before := list()
	if got := must(t, "", "checkpoints", "-store", url, "projection/balance@1", "-before", "3"); !strings.Contains(got[0], "would move") || list() != before {
		t.Errorf("without -yes: %s\n%s", got, list())
	}
	must(t, "", "checkpoints", "-store", url, "projection/balance@1", "-before", "3", "-yes")
	if got, want := list(), line("other", at(2))+"\n"+line("projection/balance@1", at(2)); got != want {
		t.Errorf("after -before 3:\n%s\nwant\n%s", got, want)
	}
	must(t, "", "checkpoints", "-store", url, "other", "-reset", "-yes")
	if got, want := list(), line("projection/balance@1", at(2)); got != want {
		t.Errorf("after -reset:\n%s\nwant\n%s", got, want)
	}
	if got := do(t, "", "checkpoints", "-store", "grpc://127.0.0.1:1"); got.err == nil {
		t.Error("checkpoints of a server")
	}
}

// TestHashToken makes the line of a token, and checks that a server accepts the token.
func TestHashToken(t *testing.T) {
	t.Parallel()
	got := must(t, "s3cret\n", "hash-token", "ann", "acme,other")
	if len(got) != 1 || got[0] != "ann acme,other 1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0" {
		t.Errorf("hash-token = %q", got)
	}
	for name, tt := range map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"no token":        {"\n", []string{"ann", "*"}, "no token on standard input"},
		"two lines":       {"s3cret\ns3cret2\n", []string{"ann", "*"}, "one line"},
		"a long one":      {strings.Repeat("s", 5000), []string{"ann", "*"}, "one line of at most"},
		"no tenants":      {"s3cret", []string{"ann"}, "NAME TENANTS"},
		"an empty tenant": {"s3cret", []string{"ann", "a,,b"}, "not a list of tenants"},
		"two names":       {"s3cret", []string{"ann smith", "*"}, `"ann smith" cannot be`},
		"no name":         {"s3cret", []string{"", "*"}, `"" cannot be`},
		"two lists":       {"s3cret", []string{"ann", "a b"}, `"a b" cannot be`},
		"a comment":       {"s3cret", []string{"#ann", "*"}, "comment"},
	} {
		got := do(t, tt.stdin, append([]string{"hash-token"}, tt.args...)...)
		if got.err == nil || !strings.Contains(got.err.Error(), tt.want) || strings.Contains(got.err.Error(), "s3cret") {
			t.Errorf("%s: %v, want %q and not the token", name, got.err, tt.want)
		}
	}
}

// TestVersion checks the output of version.
func TestVersion(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"version"}, {"-version"}, {"--version"}} {
		if got := must(t, "", args...); len(got) != 1 || !strings.HasPrefix(got[0], "eventstored ") || !strings.Contains(got[0], " go1.") {
			t.Errorf("%q = %q", args, got)
		}
	}
}
