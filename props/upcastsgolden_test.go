package props_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/props"
	"github.com/evolvego/evolve/store"
)

// written returns a directory with the golden files of s.
func written(t *testing.T, s Suite) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "golden")
	failures, laws, problem := props.Findings(t, props.GoldenInquiry(s, dir, true))
	if len(failures) > 0 || problem != "" {
		t.Fatalf("writing the files of %v: %v %s", laws, failures, problem)
	}
	return dir
}

// contents returns the files in dir.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[f.Name()] = string(data)
	}
	return all
}

// goldenSuite is the suite of an account with another codec or Evolve.
func goldenSuite(c codec.Codec[Event], change func(d *Account)) Suite {
	return samples(changed(change)).Codec(c)
}

// taken is Withdrawn with another key.
type taken struct {
	Amount int `json:"sum"`
}

func (taken) event() {}

// swap is a codec that reads other amounts than it wrote.
func swap(e Event) Event {
	if w, ok := e.(Withdrawn); ok {
		return Withdrawn{Amount: w.Amount / 100}
	}
	return e
}

func TestGoldenFiles(t *testing.T) {
	t.Parallel()
	good := func(*Account) {}
	json := codec.Codec[Event](codec.JSON(allNames()))
	tests := map[string]struct {
		suite Suite
		want  string // in the report; "" if there is none
	}{
		"nothing has changed":  {goldenSuite(json, good), ""},
		"a codec that divides": {goldenSuite(wrong{decode: swap}, good), "does not mean what it meant"},
		"a missing name":       {goldenSuite(codec.JSON(map[string]Event{"Opened": Opened{}, "Deposited": Deposited{}, "Closed": Closed{}, "Taken": Withdrawn{}}), good), `unknown event type "Withdrawn"`},
		"an event in no file":  {goldenSuite(codec.JSON(map[string]Event{"Opened": Opened{}, "Deposited": Deposited{}, "Closed": Closed{}, "Taken": Withdrawn{}}), good), "Taken in schema version 1"},
		"a renamed key": {goldenSuite(codec.JSON(map[string]Event{"Opened": Opened{}, "Deposited": Deposited{}, "Closed": Closed{}, "Withdrawn": taken{}}), func(d *Account) {
			d.Decide = func(c Command, s State) ([]Event, error) {
				events, err := decide(c, s)
				if w, ok := c.(Withdraw); ok && err == nil {
					return []Event{taken(w)}, nil
				}
				return events, err
			}
		}), "  meant   Withdrawn{"},
		"another state": {goldenSuite(json, func(d *Account) {
			d.Evolve = on(func(s State, e Withdrawn) State { return moved(s, e.Amount, "out") })
		}), "  is now  State{"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := written(t, goldenSuite(json, good))
			was := contents(t, dir)
			failures, _, problem := props.Findings(t, props.GoldenInquiry(tt.suite, dir, false))
			var all strings.Builder
			for _, f := range failures {
				all.WriteString(f.Text)
			}
			if problem != "" || (tt.want == "") != (len(failures) == 0) || !strings.Contains(all.String(), tt.want) {
				t.Fatalf("the failures do not have %q: %s\n%s", tt.want, problem, all.String())
			}
			if now := contents(t, dir); len(now) != len(was) || now["001.jsonl"] != was["001.jsonl"] {
				t.Errorf("the files have changed without an update")
			}
			updateGolden(t, tt.suite, dir, was)
		})
	}
}

// updateGolden writes what events mean today, and checks that the stored data stays.
func updateGolden(t *testing.T, s Suite, dir string, was map[string]string) {
	t.Helper()
	for _, again := range []bool{true, false} {
		failures, _, problem := props.Findings(t, props.GoldenInquiry(s, dir, again))
		if len(failures) > 0 || problem != "" {
			t.Errorf("with update %v: %v %s", again, failures, problem)
		}
	}
	now := contents(t, dir)
	for name, before := range was {
		if stored(before) != stored(now[name]) {
			t.Errorf("what was stored in %s has changed:\n%s\nwas\n%s", name, now[name], before)
		}
	}
}

// stored returns text without the meaning of the events.
func stored(text string) string {
	var all []string
	for line := range strings.Lines(text) {
		data, _, _ := strings.Cut(line, `"golden":`)
		all = append(all, data)
	}
	return strings.Join(all, "\n")
}

// TestGoldenKeepsFiles checks that an update overwrites no file, whatever the names of
// files and directories.
func TestGoldenKeepsFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "[1] a")
	if err := os.Rename(written(t, goldenSuite(codec.JSON(allNames()), func(*Account) {})), dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "001.jsonl"), filepath.Join(dir, "002.jsonl")); err != nil {
		t.Fatal(err)
	}
	was := contents(t, dir)
	more := goldenSuite(codec.JSON(map[string]Event{"Opened": Opened{}, "Deposited": Deposited{}, "Closed": Closed{}, "Taken": Withdrawn{}, "Withdrawn": taken{}}), func(*Account) {})
	if failures, _, _ := props.Findings(t, props.GoldenInquiry(more, dir, false)); len(failures) == 0 {
		t.Error("an event that no file has is not reported")
	}
	updateGolden(t, more, dir, was)
	if now := contents(t, dir); len(was) != 1 || len(now) != 2 || now["001.jsonl"] == "" {
		t.Errorf("the files were %d and are %d", len(was), len(now))
	}
}

// inkless is a codec that encodes nothing.
type inkless struct{ codec.Codec[Event] }

func (inkless) Encode(Event) (store.Event, error) { return store.Event{}, errors.New("no ink") }

// TestGoldenFails checks that Golden says what it cannot read or encode.
func TestGoldenFails(t *testing.T) {
	t.Parallel()
	c := codec.JSON(allNames())
	in := func(file, content string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	link := func(name string) string { // to nothing
		dir := t.TempDir()
		if err := os.Symlink(filepath.Join(dir, "none", "none"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	line := `{"stream_type":"a","stream_id":"1","version":1,"type":"Opened","schema":1,"content_type":"application/json","data":{"Owner":""},"golden":5}`
	for name, tt := range map[string]struct {
		codec  codec.Codec[Event]
		dir    string
		want   string
		update bool
	}{
		"nothing encodes":         {inkless{c}, in("readme", "?\n"), "no ink", false},
		"no directory":            {c, filepath.Join(in("file", ""), "file"), "file", false},
		"not JSON":                {c, in("001.jsonl", "?\n"), "001.jsonl: line 1", false},
		"not a meaning":           {c, in("001.jsonl", line+"\n"), "001.jsonl: line 1: golden: ", false},
		"a link to nothing":       {c, link("001.jsonl"), "no such file", false},
		"a name that is not text": {renamed{c}, t.TempDir(), "is not UTF-8", false},
		"a folder that is a link": {c, filepath.Join(link("golden"), "golden"), "mkdir ", true},
		"some events do not encode": {unwilling[Event]{c, func(e Event) bool {
			_, closed := e.(Closed)
			return closed
		}}, t.TempDir(), "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, problem := props.Findings(t, props.GoldenInquiry(goldenSuite(tt.codec, func(*Account) {}), tt.dir, tt.update))
			if !strings.Contains(problem, tt.want) || (problem == "") != (tt.want == "") {
				t.Errorf("the problem is %q, want %q", problem, tt.want)
			}
		})
	}
}

// TestGoldenNeedsCodec checks that Golden is an error without a codec.
func TestGoldenNeedsCodec(t *testing.T) {
	t.Parallel()
	_, _, problem := props.Findings(t, props.GoldenInquiry(samples(account()), t.TempDir(), false))
	if !strings.Contains(problem, "needs a codec") {
		t.Errorf("the problem is %q", problem)
	}
}

// TestGoldenReplay checks the files in the tree, which Replay reads too.
func TestGoldenReplay(t *testing.T) {
	t.Parallel()
	props.Golden(t, goldenSuite(codec.JSON(allNames()), func(*Account) {}), filepath.Join("testdata", "golden"))
	file, err := os.Open(filepath.Join("testdata", "golden", "001.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	props.Replay(account(), codec.Codec[Event](codec.JSON(allNames()))).Check(t, props.Lines(file))
}

// renamed is a codec whose names are not UTF-8.
type renamed struct{ codec.Codec[Event] }

func (c renamed) Encode(e Event) (store.Event, error) {
	stored, err := c.Codec.Encode(e)
	stored.Type += "\xff"
	return stored, err
}

// TestGoldenUpdates checks that an environment variable makes Golden write files.
func TestGoldenUpdates(t *testing.T) { // not parallel, because of its environment
	dir := filepath.Join(t.TempDir(), "golden")
	s := goldenSuite(codec.JSON(allNames()), func(*Account) {})
	t.Setenv("EVOLVE_UPDATE", "1")
	props.Golden(t, s, dir)
	if files := contents(t, dir); len(files) == 0 {
		t.Error("there are no files")
	}
	t.Setenv("EVOLVE_UPDATE", "")
	props.Golden(t, s, dir)
}

// raw is a codec of opened accounts that stores any text.
type raw struct{}

func (raw) Encode(e Event) (store.Event, error) {
	return store.Event{Type: "Opened", Schema: 1, Data: []byte(e.(Opened).Owner)}, nil //nolint:errcheck // nothing else is decided
}

func (raw) Decode(dst []Event, recorded []store.Recorded) ([]Event, error) {
	for _, r := range recorded {
		dst = append(dst, Opened{Owner: string(r.Data)})
	}
	return dst, nil
}

// TestGoldenUTF8 checks that Golden passes over events that cannot be stored.
func TestGoldenUTF8(t *testing.T) {
	t.Parallel()
	s := props.For(account()).Commands(func(*rapid.T, State) Command { return Open{"\xff"} }).Codec(raw{})
	failures, _, problem := props.Findings(t, props.GoldenInquiry(s, t.TempDir(), false))
	if problem != "" || len(failures) > 0 {
		t.Errorf("failures are %v %s", failures, problem)
	}
}

// TestGoldenNewLine checks what is said of a line without a meaning, and how it gets one.
func TestGoldenNewLine(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "001.jsonl")
	line := `{"stream_type":"a","stream_id":"1","version":1,"type":"Opened","schema":1,"content_type":"application/json","data":{"Owner":"<a>"}}`
	if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		codec codec.Codec[Event]
		want  string
	}{
		"a meaning": {codec.JSON(allNames()), "version 1, Opened in schema version 1, does not mean what it meant\n  stored  {\"Owner\":\"<a>\"}\n" +
			"  meant   \n  means   Opened{Owner: \"<a>\"}\n  state   \n  is now  State{Owner: \"<a>\", Open: true}\nif the change is intended"},
		"a panic": {wrong{decode: func(Event) Event { panic("no opening") }}, "  means   ✗ panic: no opening"},
	} {
		failures, _, problem := props.Findings(t, props.GoldenInquiry(goldenSuite(tt.codec, func(*Account) {}), filepath.Dir(file), false))
		if problem != "" || len(failures) == 0 || failures[0].Law != "001.jsonl" || !strings.Contains(failures[0].Text, tt.want) {
			t.Errorf("%s: the failures are %v %s, want %s", name, failures, problem, tt.want)
		}
	}
	_, _, problem := props.Findings(t, props.GoldenInquiry(goldenSuite(codec.JSON(allNames()), func(*Account) {}), filepath.Dir(file), true))
	got := contents(t, filepath.Dir(file))["001.jsonl"]
	if want := `"golden":{"events":"Opened{Owner: \"<a>\"}","state":"State{Owner: \"<a>\", Open: true}"}`; problem != "" || !strings.Contains(got, want) {
		t.Errorf("the file is %s, want %s: %s", got, want, problem)
	}
}
