package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/console"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/props"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jsonl"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/open"
)

// TestLinesOfProps checks that export prints exactly the lines that the console exports
// and that props reads, and that import accepts the lines that props writes.
func TestLinesOfProps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ctx, from, to := context.Background(), memory.New(), memory.New()
		fill(t, from)
		page, err := from.ReadAll(ctx, store.LogOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var exported, written, stderr bytes.Buffer
		if err := scan(ctx, from, env{stderr: &stderr}, jsonl.NewWriter(&exported).Write); err != nil {
			t.Fatal(err)
		}
		if got := consoleExport(from); got != exported.String() {
			t.Fatalf("the console exports\n%s\nexport printed\n%s", got, &exported)
		}
		i := 0
		for r, err := range props.Lines(bytes.NewReader(exported.Bytes())) {
			if err != nil {
				t.Fatalf("%v in\n%s", err, &exported)
			}
			want := page.Events[i]
			if len(want.Data) == 0 {
				want.Data = r.Data // no data, in either representation
			}
			if r.Time.Equal(want.Time) && r.RecordedAt.Equal(want.RecordedAt) {
				r.Time, r.RecordedAt = want.Time, want.RecordedAt
			}
			if !reflect.DeepEqual(r, want) {
				t.Fatalf("props read %+v\nwant %+v", r, want)
			}
			i++
		}
		if i != len(page.Events) {
			t.Fatalf("props read %d events, want %d", i, len(page.Events))
		}
		if err := props.WriteLines(&written, func(yield func(store.Recorded, error) bool) {
			for _, r := range page.Events {
				if !yield(r, nil) {
					return
				}
			}
		}); err != nil {
			t.Fatal(err)
		}
		if written.String() != exported.String() {
			t.Fatalf("props wrote\n%s\nexport printed\n%s", &written, &exported)
		}
		b := importing{st: to, shown: newProgress(&stderr)}
		if err := b.addAll(ctx, &written); err != nil {
			t.Fatal(err)
		}
		if err := b.flush(ctx); err != nil {
			t.Fatal(err)
		}
		if want, got := everything(t, from), everything(t, to); strings.Join(want, "\n") != strings.Join(got, "\n") {
			t.Fatalf("imported\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// consoleExport returns the export of the log, as a browser gets it.
func consoleExport(st store.Store) string {
	r, w := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "http://localhost/export?format=jsonl", nil), httptest.NewRecorder()
	r.RemoteAddr = "127.0.0.1:1"
	console.New(console.Config{Store: st}).ServeHTTP(w, r)
	return w.Body.String()
}

type increased struct{ N int }

// TestExportIsReplayed exports the events of a runner, and replays them.
func TestExportIsReplayed(t *testing.T) {
	t.Parallel()
	url := newFile(t)
	st, err := open.Store(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	counter := decider.New(
		func(n, sum int) ([]increased, error) { return []increased{{n}}, nil },
		func(sum int, e increased) int { return sum + e.N })
	events := codec.JSON(map[string]increased{"Counted": {}})
	counters := runner.New("Counter", counter, st, events)
	for i := range 20 {
		if _, err := counters.Handle(t.Context(), fmt.Sprint("c-", i%3), i); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(must(t, "", "export", "-store", url), "\n")
	props.Replay(counter, codec.Codec[increased](events)).
		Invariant("never negative", func(sum int) error {
			if sum < 0 {
				return fmt.Errorf("the sum is %d", sum)
			}
			return nil
		}).
		Check(t, props.Lines(strings.NewReader(text)))
}
