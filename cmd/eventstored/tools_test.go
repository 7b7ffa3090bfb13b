package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jsonl"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/open"
)

// result is the result of a command.
type result struct {
	stdout, stderr string
	err            error
}

// do runs a command to its end.
func do(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), args, env{strings.NewReader(stdin), &stdout, &stderr, func(string) string { return "" }})
	return result{stdout.String(), stderr.String(), err}
}

// must runs a command that must succeed. It returns the lines of its output.
func must(t *testing.T, stdin string, args ...string) []string {
	t.Helper()
	got := do(t, stdin, args...)
	if got.err != nil {
		t.Fatalf("eventstored %q: %v", args, got.err)
	}
	return strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
}

// newFile returns the URL of a store that does not exist yet.
func newFile(t *testing.T) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "events.db")
}

func TestReadWhatWasAppended(t *testing.T) {
	t.Parallel()
	url := newFile(t)
	lines := `{"id":"e-1","type":"Opened","data":{"owner":"<Ann & Bob>"},"time":"2026-01-02T03:04:05.006Z","headers":{"k":"v"}}

{"id":"e-2","type":"Paid","schema":2,"content_type":"application/x","data_base64":"AAEC"}
`
	if got := must(t, lines, "append", "-store", url, "Account/acc/1", "-expect", "none"); got[0] != `{"version":2,"position":2}` {
		t.Errorf("append = %s", got)
	}
	if got := must(t, lines, "append", "-store", url, "Account/acc/1", "-expect", "0"); got[0] != `{"version":2,"position":2,"replayed":true}` {
		t.Errorf("append again = %s", got)
	}
	got := must(t, "", "read", "Account/acc/1", "-store", url)
	if len(got) != 2 ||
		!strings.HasPrefix(got[0], `{"position":1,"stream_type":"Account","stream_id":"acc/1","version":1,"id":"e-1","type":"Opened","content_type":"application/json","time":"2026-01-02T03:04:05.006Z",`) ||
		!strings.HasSuffix(got[0], `"headers":{"k":"v"},"data":{"owner":"<Ann & Bob>"}}`) ||
		!strings.Contains(got[1], `"type":"Paid","schema":2,"content_type":"application/x"`) || !strings.HasSuffix(got[1], `"data_base64":"AAEC"}`) {
		t.Errorf("read:\n%s", strings.Join(got, "\n"))
	}
	if back := must(t, "", "read", "Account/acc/1", "-store", url, "-backward", "-limit", "1"); len(back) != 1 || back[0] != got[1] {
		t.Errorf("read backward:\n%s", strings.Join(back, "\n"))
	}
	if rest := must(t, "", "read", "Account/acc/1", "-store", url, "-from", "2"); len(rest) != 1 || rest[0] != got[1] {
		t.Errorf("read from 2:\n%s", strings.Join(rest, "\n"))
	}
	if none := must(t, "", "read", "Account/acc/1", "-store", url, "-tenant", "acme"); len(none) != 1 || none[0] != "" {
		t.Errorf("read of another tenant:\n%s", strings.Join(none, "\n"))
	}
	if stats := strings.Join(must(t, "", "stats", "-store", url), "\n"); !strings.Contains(stats, "events          2\nstreams         1\nbytes of data   26\nlast position   2\n") ||
		!strings.Contains(stats, "Account Opened  1\nAccount Paid    1") {
		t.Errorf("stats:\n%s", stats)
	}
	if streams := must(t, "", "streams", "-store", url); len(streams) != 2 || !strings.HasPrefix(streams[1], "Account/acc/1  2        2 ") {
		t.Errorf("streams:\n%s", strings.Join(streams, "\n"))
	}
	if got := must(t, "", "find", "e-1", "-store", url); len(got) != 1 || !strings.Contains(got[0], `"id":"e-1","type":"Opened"`) {
		t.Errorf("find:\n%s", strings.Join(got, "\n"))
	}
	if err := do(t, "", "find", "e-none", "-store", url).err; err == nil || !strings.Contains(err.Error(), `no event of this tenant has the id "e-none"`) {
		t.Errorf("find of a missing id: %v", err)
	}
	if err := do(t, lines, "append", "-store", url, "Account/acc-2").err; !errors.Is(err, store.ErrDuplicate) {
		t.Errorf("append of taken ids: %v", err)
	}
	if err := do(t, `{"type":"Paid"}`, "append", "-store", url, "Account/acc/1", "-expect", "7").err; !errors.Is(err, store.ErrConflict) {
		t.Errorf("append at another version: %v", err)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	url := newFile(t)
	for _, tt := range []struct {
		args  []string
		stdin string
		want  string
	}{
		{[]string{"reed"}, "", `unknown command "reed"`},
		{[]string{"read"}, "", "the arguments of read are \"TYPE/ID\", not []"},
		{[]string{"read", "Account", "-store", url}, "", `a stream name is TYPE/ID, not "Account"`},
		{[]string{"read", "Account/a", "-limit", "-1"}, "", "-limit -1 is negative"},
		{[]string{"read", "Account/a", "-from", "x"}, "", "invalid value"},
		{[]string{"find", "a\xff", "-store", url}, "", "id is not valid UTF-8"},
		{[]string{"streams", "-type", "a\xff", "-store", url}, "", "type is not valid UTF-8"},
		{[]string{"tail", "-n", "-1"}, "", "-n -1 is negative"},
		{[]string{"tail", "x"}, "", "the arguments of tail are"},
		{[]string{"append", "Account/a", "-expect", "some"}, "", `-expect "some" is neither`},
		{[]string{"stats", "-store", "disk:x"}, "", "not the URL of a store"},
		{[]string{"stats", "-store", url, "-tenant", "a\x00"}, "", "tenant"},
		{[]string{"append", "Account/a", "-store", url}, `{"type":"A"}` + "\n{", "line 2: EOF"},
		{[]string{"append", "Account/a", "-store", url}, `{"type":"A","colour":"red"}`, `unknown field "colour"`},
		{[]string{"append", "Account/a", "-store", url}, `{"type":"A"} {"type":"B"}`, "line 1: has more text after the JSON object"},
		{[]string{"append", "Account/a", "-store", url}, `{"type":"A","data":1,"data_base64":"AA=="}`, "both data and data_base64"},
		{[]string{"append", "Account/a", "-store", url}, ``, "events"},
		{[]string{"import", "-store", url}, `{"type":"A"}`, "line 1: has no version or no id"},
	} {
		got := do(t, tt.stdin, tt.args...)
		if got.err == nil || !strings.Contains(got.err.Error(), tt.want) || got.stdout != "" {
			t.Errorf("eventstored %q = %v, %q; want an error with %q", tt.args, got.err, got.stdout, tt.want)
		}
	}
	if got := do(t, "", "export", "-store", url); !errors.Is(got.err, fs.ErrNotExist) && got.stdout != "" {
		t.Errorf("something was appended: %+v", got)
	}
}

// fill appends random events to random streams of st.
func fill(t *rapid.T, st store.Store) {
	ctx := context.Background()
	data := rapid.OneOf(
		rapid.SliceOf(rapid.Byte()),
		rapid.Map(rapid.SampledFrom([]string{"", "null", "1", `"é <&>  "`, `{"a": 1}`, `{"a":[1,"2",null]}`, "{", "1 2"}), func(s string) []byte { return []byte(s) }),
	)
	for range rapid.IntRange(0, 12).Draw(t, "appends") {
		stream := store.Stream{Type: rapid.SampledFrom([]string{"A", "B"}).Draw(t, "type"), ID: rapid.SampledFrom([]string{"1", "2/é"}).Draw(t, "id")}
		events := make([]store.Event, rapid.IntRange(1, 3).Draw(t, "n"))
		for i := range events {
			events[i] = store.Event{
				ID: store.NewID(), Type: "E", Schema: rapid.Uint32Range(0, 2).Draw(t, "schema"), Data: data.Draw(t, "data"),
				ContentType: rapid.SampledFrom([]string{"", "application/json", "text/plain"}).Draw(t, "content"),
				Time:        time.UnixMilli(rapid.Int64Range(1, 1<<40).Draw(t, "time")),
				Meta:        store.Metadata{ActorID: rapid.SampledFrom([]string{"", "ann"}).Draw(t, "actor"), Headers: rapid.SampledFrom([]map[string]string{nil, {"k": "v\n"}}).Draw(t, "headers")},
			}
		}
		if _, err := st.Append(ctx, stream, store.Any, events); err != nil {
			t.Fatal(err)
		}
	}
}

// everything returns the log of st, without the recording times.
func everything(t *rapid.T, st store.Log) []string {
	page, err := st.ReadAll(context.Background(), store.LogOptions{})
	if err != nil || !page.End {
		t.Fatalf("ReadAll: %v, %v", page.End, err)
	}
	all := make([]string, len(page.Events))
	for i := range page.Events {
		page.Events[i].RecordedAt = time.Time{}
		all[i] = fmt.Sprintf("%+v", page.Events[i])
	}
	return all
}

// TestImportIsExport checks that a log is the same after export and import, even if the
// import was interrupted and repeated.
func TestImportIsExport(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		from, to := memory.New(), memory.New()
		fill(t, from)
		var file, stderr bytes.Buffer
		if err := scan(ctx, from, env{stderr: &stderr}, jsonl.NewWriter(&file).Write); err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(file.String(), "\n")
		load := func(text string) {
			b := importing{st: to, shown: newProgress(&stderr)}
			if err := b.addAll(ctx, strings.NewReader(text)); err != nil {
				t.Fatal(err)
			}
			if err := b.flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
		load(strings.Join(lines[:rapid.IntRange(0, len(lines)).Draw(t, "stopped after")], ""))
		load(file.String())
		want, got := everything(t, from), everything(t, to)
		if strings.Join(want, "\n") != strings.Join(got, "\n") {
			t.Fatalf("imported\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestTailFollows(t *testing.T) {
	t.Parallel()
	url := newFile(t)
	st, err := open.Store(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	add := func(n int) {
		event := store.Event{ID: fmt.Sprint("e-", n), Type: "E"}
		if _, err := st.Append(t.Context(), store.Stream{Type: "A", ID: "1"}, store.Any, []store.Event{event}); err != nil {
			t.Error(err)
		}
	}
	for n := range 5 {
		add(n)
	}
	if got := must(t, "", "tail", "-n", "2", "-store", url); len(got) != 2 || !strings.Contains(got[0], `"e-3"`) || !strings.Contains(got[1], `"e-4"`) {
		t.Errorf("tail -n 2:\n%s", strings.Join(got, "\n"))
	}
	ctx, interrupt := context.WithCancel(t.Context())
	out := &watched{want: `"e-9"`, seen: interrupt}
	added := make(chan struct{})
	go func() {
		defer close(added)
		for n := 5; n < 10; n++ {
			add(n)
		}
	}()
	err = run(ctx, []string{"tail", "-f", "-n", "1", "-store", url}, env{strings.NewReader(""), out, out, func(string) string { return "" }})
	<-added
	lines := strings.Split(strings.TrimSpace(out.text.String()), "\n")
	if err != nil || !strings.Contains(lines[len(lines)-1], `"e-9"`) {
		t.Errorf("tail -f = %v:\n%s", err, out.text.String())
	}
	for i := 1; i < len(lines); i++ {
		var was, is int
		if _, err := fmt.Sscanf(lines[i-1]+lines[i], `{"position":%d,`, &was); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscanf(lines[i], `{"position":%d,`, &is); err != nil || is != was+1 {
			t.Errorf("line %d has position %d after %d", i+1, is, was)
		}
	}
}

// watched is a writer that calls seen once want was written.
type watched struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
	want string
	seen func()
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(p)
	if strings.Contains(w.text.String(), w.want) {
		w.seen()
	}
	return len(p), nil
}

// TestStreamsAndFind lists streams and finds an event, in a store that is a
// store.Finder and behind a server, which is not.
func TestStreamsAndFind(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	for _, stream := range []string{"Account/acc-2", "Transfer/t-1", "Account/acc-1", "Account/other"} {
		must(t, fmt.Sprintf(`{"id":"opened-%s","type":"Opened"}`, stream), "append", "-store", file, stream)
	}
	server := start(t, t.TempDir(), []string{"BIND_ADDR=127.0.0.1:0"}, "serve", "-store", file)
	for name, url := range map[string]string{"file": file, "server": "grpc://" + server.address} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for want, args := range map[string][]string{
				"Account/acc-1 Account/acc-2 Account/other Transfer/t-1": nil,
				"Transfer/t-1":                {"-type", "Transfer"},
				"Account/acc-1 Account/acc-2": {"-prefix", "acc-"},
				"":                            {"-type", "Transfer", "-prefix", "acc-"},
			} {
				var got []string
				for _, l := range must(t, "", append([]string{"streams", "-store", url}, args...)...)[1:] {
					got = append(got, strings.Fields(l)[0])
				}
				if strings.Join(got, " ") != want {
					t.Errorf("streams %q = %q, want %q", args, got, want)
				}
			}
			if got := must(t, "", "find", "opened-Transfer/t-1", "-store", url); len(got) != 1 || !strings.Contains(got[0], `"stream_id":"t-1"`) {
				t.Errorf("find = %q", got)
			}
		})
	}
}
