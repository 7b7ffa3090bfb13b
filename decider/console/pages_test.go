package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/decider/console"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/capability"
	"github.com/evolvego/evolve/store/memory"
)

func TestLog(t *testing.T) {
	t.Parallel()
	s := open(t, console.Config{Store: bank(t)})
	page := s.get("")
	s.want(page, 200, "<h1>Log</h1>", `href="stream?id=ann&amp;type=Account&amp;v=3"`, "Withdrawn", `{&#34;Cents&#34;:10}`, "bob", `data-tail="tail?from=6"`)
	if strings.Index(page.body, "Noted") > strings.Index(page.body, "Withdrawn") {
		t.Error("the newest event is not the first")
	}
	for query, want := range map[string][]uint64{
		"":                       {5, 4, 3, 2, 1},
		"?type=Note":             {5, 4},
		"?type=Note,Account":     {5, 4, 3, 2, 1},
		"?event=Opened,%20Noted": {5, 4, 1},
		"?id=n":                  {5, 4},
		"?q=:30":                 {2},
		"?q=req-1":               {5, 4},
		"?q=ann":                 {3, 2, 1},
		"?from=2":                {2, 1},
		"?from=2&dir=newer":      {5, 4, 3, 2},
		"?type=Account&from=9":   {3, 2, 1},
		"?type=None":             {},
		"?at=2001-01-01":         {},
		"?at=2999-01-01":         {5, 4, 3, 2, 1},
	} {
		var got struct {
			Events []struct{ Position uint64 } `json:"events"`
		}
		if err := json.Unmarshal([]byte(s.json(query)), &got); err != nil {
			t.Fatal(err)
		}
		positions := []uint64{}
		for _, e := range got.Events {
			positions = append(positions, e.Position)
		}
		if !slices.Equal(positions, want) {
			t.Errorf("GET ./%s shows positions %v, want %v", query, positions, want)
		}
	}
	s.want(s.get("?from=x"), 400, "must be a number")
	s.want(s.get("?at=yesterday"), 400, "is not a time")
	s.want(open(t, console.Config{Store: memory.New()}).get(""), 200, "The log is empty")
}

// TestLogPages pages through a log, older and back to newer, and checks that each event
// appears once.
func TestLogPages(t *testing.T) {
	t.Parallel()
	st := memory.New()
	for i := range 260 {
		appendTo(t, st, store.Stream{Type: "T" + strconv.Itoa(i%2), ID: "1"}, store.Event{ID: strconv.Itoa(i), Type: "E"})
	}
	s := open(t, console.Config{Store: st})
	for _, filter := range []string{"", "type=T1&", "type=T1&q=T&", "q=E&"} {
		var down, up []uint64
		walk := func(query, next string, seen *[]uint64) {
			for range 20 {
				var got struct {
					Events []struct{ Position uint64 } `json:"events"`
					Older  uint64                      `json:"older"`
					Newer  uint64                      `json:"newer"`
				}
				if err := json.Unmarshal([]byte(s.json("?"+filter+query)), &got); err != nil {
					t.Fatal(err)
				}
				if next == "newer" {
					slices.Reverse(got.Events)
				}
				for _, e := range got.Events {
					*seen = append(*seen, e.Position)
				}
				at := got.Older
				if next == "newer" {
					at = got.Newer
				}
				if at == 0 {
					return
				}
				query = fmt.Sprintf("from=%d&dir=%s", at, next)
			}
			t.Errorf("%q never ends", filter)
		}
		walk("", "older", &down)
		walk("from=1&dir=newer", "newer", &up)
		slices.Reverse(up)
		if len(down) == 0 || !slices.Equal(down, up) {
			t.Errorf("filter %q: older shows %v,\nand newer shows %v", filter, down, up)
		}
		for i := range len(down) - 1 {
			if down[i] <= down[i+1] {
				t.Errorf("filter %q: position %d comes before %d", filter, down[i], down[i+1])
			}
		}
	}
}

func TestStreams(t *testing.T) {
	t.Parallel()
	st := bank(t)
	for i := range 60 {
		add(t, st, store.Stream{Type: "Account", ID: fmt.Sprintf("b-%02d", i)}, Opened{"Bob"})
	}
	set := capability.Of(st)
	set.Finder = nil
	for name, st := range map[string]store.Store{"with a finder": st, "without": set.Compose()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, console.Config{Store: st})
			page := s.get("streams")
			s.want(page, 200, "Account/ann", "b-48", `href="streams?after=b-48&amp;after_type=Account"`)
			if strings.Contains(page.body, "b-49") {
				t.Error("there are more than fifty streams on a page")
			}
			s.want(s.get("streams?after=b-48&after_type=Account"), 200, "b-49", "b-59", "Note/n/1")
			page = s.get("streams?type=Note")
			if s.want(page, 200, "Note/n/1"); strings.Contains(page.body, "Account/ann") {
				t.Error("a type does not choose")
			}
			page = s.get("streams?id=b-5")
			if s.want(page, 200, "b-50", "b-59"); strings.Contains(page.body, "b-49") {
				t.Error("a prefix does not choose")
			}
			s.want(s.get("streams?after=x"), 400)
		})
	}
}

func TestStreamWithoutModel(t *testing.T) {
	t.Parallel()
	s := open(t, console.Config{Store: bank(t)})
	s.want(s.get("stream?type=Note&id=n/1"), 200, "Difference", "from the Noted at version 1", `<span class="k">n</span> <del>1</del>`, "<ins>2</ins>")
	s.want(s.get("stream?type=Note&id=n/1&v=1"), 200, `class="later"`, "This page has no earlier event of this type")
	s.want(s.get("stream?type=Note&id=none"), 404)
	s.want(s.get("stream?type=Note"), 400)
}

func TestStreamTravels(t *testing.T) {
	t.Parallel()
	s := open(t, console.Config{Store: bank(t), Types: []console.Type{account()}})
	for v, want := range []struct{ balance, change string }{
		{"0", ""}, {"0", "Open: false → true; Owner: \"\" → \"Ann\"; Limits: {} → {day: 1000}"}, {"30", "Balance: 0 → 30"}, {"20", "Balance: 30 → 20"},
	} {
		var got struct {
			Version uint64
			State   struct{ Kids []struct{ Name, Text string } }
			Changes []struct{ Path, From, To string }
		}
		text := s.json("stream?type=Account&id=ann&v=" + strconv.Itoa(v))
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		var changes []string
		for _, c := range got.Changes {
			changes = append(changes, c.Path+": "+c.From+" → "+c.To)
		}
		if got.Version != uint64(v) || got.State.Kids[2].Text != want.balance || strings.Join(changes, "; ") != want.change {
			t.Errorf("version %d has the balance %s and changes %q, want %s and %q:\n%s", v, got.State.Kids[2].Text, changes, want.balance, want.change, text)
		}
	}
	s.want(s.get("stream?type=Account&id=ann"), 200, "at version 3", "Try a command here", "Replay with other rules", `max="3" value="3"`)
}

// TestAnswered checks that an answer of user code is never mistaken for the end of the
// request, also if the answer is there before anything waits for it.
func TestAnswered(t *testing.T) {
	t.Parallel()
	for range 20_000 {
		if err := console.Within(t.Context(), func(context.Context) error { runtime.Gosched(); return nil }); err != nil {
			t.Fatalf("the answer is %v", err)
		}
	}
}

func TestStreamThatCannotBeFolded(t *testing.T) {
	t.Parallel()
	st := bank(t)
	add(t, st, ann, Broken{}, Deposited{5})
	appendTo(t, st, store.Stream{Type: "Account", ID: "odd"}, store.Event{ID: "odd", Type: "Missing", Data: []byte(`{}`)})
	s := open(t, console.Config{Store: st, Types: []console.Type{account()}})
	s.want(s.get("stream?type=Account&id=ann&v=5"), 200, "The state of this version cannot be computed", "Evolve of version 4 panicked: evolve is broken", `<span class="v number">20</span>`)
	s.want(s.get("stream?type=Account&id=odd"), 200, "cannot be computed", "Missing")
	s.want(s.post("try", url.Values{"type": {"Account"}, "id": {"ann"}, "v": {"5"}, "name": {"Deposit"}, "json": {"{}"}}), 200, "cannot be computed")
}

func TestEvent(t *testing.T) {
	t.Parallel()
	st := bank(t)
	trace := map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
	appendTo(t, st, ann, store.Event{ID: "raw", Type: "Raw", ContentType: "application/x", Data: []byte("a\x00b\xff"), Meta: store.Metadata{Headers: trace}})
	appendTo(t, st, ann, store.Event{ID: "big", Type: "Raw", ContentType: "text/plain", Data: []byte(strings.Repeat("日", 100_000))})
	s := open(t, console.Config{Store: st, TraceURL: "https://traces.example/{trace}"})
	s.want(s.get("event?id=note-2"), 200, "hello", `href="flow?correlation=req-1"`, `href="event?id=note-1"`, "bob", "22 bytes")
	s.want(s.get("event?position=4"), 200, "note-1")
	s.want(s.get("event?id=raw"), 200, "61 00 62 ff", "https://traces.example/4bf92f3577b34da6a3ce929d0e0e4736", "traceparent")
	s.want(s.get("event?id=big"), 200, "日日日", "Only the beginning of 300,000 bytes is shown")
	s.want(s.get("event?id=none"), 404)
	s.want(s.get("event?position=99"), 404)
	s.want(s.get("event"), 404)
	data := s.get("data?id=raw")
	s.want(data, 200, "a\x00b\xff")
	if data.header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(data.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("the headers of a payload are %v", data.header)
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	s := open(t, console.Config{Store: bank(t)})
	for text, want := range map[string]string{
		"Account/ann": "stream?id=ann&type=Account", "Account/an": "streams?id=an&type=Account", "Note/n/1": "stream?id=n%2F1&type=Note",
		"note-1": "event?id=note-1", "3": "./?from=3", "1,204": "./?from=1204", "2026-11-20 14:00": "./?at=2026-11-20+14%3A00",
		"corr:req-1": "flow?correlation=req-1", "": "./", "whatever": "./?q=whatever", "\xff": "./?q=%FF",
	} {
		if got := s.get("search?find=" + url.QueryEscape(text)); got.code != http.StatusSeeOther || strings.TrimPrefix(got.header.Get("Location"), "/") != strings.TrimPrefix(want, "./") && got.header.Get("Location") != want {
			t.Errorf("search for %q redirects to %q, want %q", text, got.header.Get("Location"), want)
		}
	}
}

func TestFlow(t *testing.T) {
	t.Parallel()
	s := open(t, console.Config{Store: bank(t)})
	s.want(s.get("flow?id=note-2"), 200, "2 events in 1 stream", "flowchart TD", "e4 --&gt; e5")
	s.want(s.get("flow?correlation=req-1"), 200, "2 events in 1 stream")
	s.want(s.get("flow?id=none"), 404)
	s.want(s.get("flow?correlation=none"), 200, "None of the newest events has this correlation")
}

func TestExport(t *testing.T) {
	t.Parallel()
	st := bank(t)
	appendTo(t, st, ann, store.Event{ID: "=1+1", Type: "@Formula", Data: []byte("-1")})
	s := open(t, console.Config{Store: st})
	lines := s.get("export?format=jsonl")
	if all := strings.Split(strings.TrimSpace(lines.body), "\n"); len(all) != 6 ||
		!strings.HasPrefix(all[0], `{"position":1,"stream_type":"Account","stream_id":"ann","version":1,"id":`) || !strings.HasSuffix(all[0], `"data":{"Owner":"Ann"}}`) {
		t.Errorf("the export is\n%s", lines.body)
	}
	if one := s.get("export?of=stream&type=Note&id=n/1&format=jsonl"); strings.Count(one.body, "\n") != 2 {
		t.Errorf("the export of a stream is\n%s", one.body)
	}
	if one := s.get("export?type=Note&q=2&format=jsonl"); strings.Count(one.body, "\n") != 1 {
		t.Errorf("the export of a filter is\n%s", one.body)
	}
	table := s.get("export?format=csv")
	s.want(table, 200, "position,recorded_at", "'=1+1", "'@Formula", "'-1")
	if !strings.HasPrefix(table.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("the headers of an export are %v", table.header)
	}
	s.want(s.get("export?format=xml"), 400)
}

func TestJSON(t *testing.T) {
	t.Parallel()
	s := open(t, console.Config{Store: bank(t), Types: []console.Type{account()}, Recent: console.NewRecent(1)})
	for _, path := range []string{"", "streams", "stream?type=Account&id=ann", "event?id=note-1", "flow?id=note-1", "try?type=Account&id=ann", "replay?type=Account", "recent", "nothing", "event?id=none"} {
		if text := s.json(path); !json.Valid([]byte(text)) {
			t.Errorf("GET %s as JSON is %s", path, text)
		}
	}
}

// TestTimes jumps to times in a log whose positions have gaps.
func TestTimes(t *testing.T) {
	t.Parallel()
	var at time.Time
	st := memory.New(memory.WithClock(func() time.Time { return at }))
	begin := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for i := range 100 {
		at = begin.Add(time.Duration(i) * time.Minute)
		appendTo(t, st, ann, store.Event{ID: strconv.Itoa(i), Type: "E"})
	}
	s := open(t, console.Config{Store: st})
	for text, want := range map[string]string{
		"2026-11-20T12:10:30Z": `"position": 11,`, "2026-11-20 12:00": `"position": 1,`, "2026-11-20 13:39": `"position": 100,`, "2026-12-01": `"position": 100,`,
	} {
		if got := s.json("?at=" + url.QueryEscape(text)); strings.Index(got, `"position"`) != strings.Index(got, want) {
			t.Errorf("the log up to %s does not begin with %s:\n%.300s", text, want, got)
		}
	}
}
