package props

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jsonl"
)

// Golden checks that stored events still mean what they meant when they were written.
// Each file in dir holds the events of one stream as they were stored, with the text of
// what each was decoded to and of the state after it. The suite must have a codec
// ([Suite.Codec]). Each file is a subtest. One more subtest fails if the codec writes an
// event, in some history of s, whose name and schema version appear in no file.
//
// With the flag -update, if the test program defines it, or with EVOLVE_UPDATE set in the
// environment, Golden writes what is missing: a stream for events that no file has, and
// the new meaning of events whose meaning has changed. It never changes the stored data.
// Keep the files under version control and review what changes in them, because events
// like them are stored in production.
//
// The files have the format that [Lines] reads.
func Golden[C, S, E any](t *testing.T, s Suite[C, S, E], dir string) {
	t.Helper()
	conclude(t, goldenInquiry(s, dir, setting[bool]("update") || os.Getenv("EVOLVE_UPDATE") != ""))
}

// goldenSeeds is how many histories are searched for kinds of events.
const goldenSeeds = 60

// shapeOfEvent is an event's name and schema version.
type shapeOfEvent struct {
	name   string
	schema uint32
}

func (s shapeOfEvent) String() string {
	return fmt.Sprintf("%s in schema version %d", s.name, s.schema)
}

func goldenInquiry[C, S, E any](s Suite[C, S, E], dir string, update bool) inquiry {
	return func(*testing.T) (found []finding, problem string) {
		if s.codec == nil {
			return nil, "props: Golden needs a codec: add Codec to the suite"
		}
		g := gold[C, S, E]{s, s.codec, dir, update, map[shapeOfEvent]bool{}}
		files, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err.Error()
		}
		for _, file := range files {
			if filepath.Ext(file.Name()) != ".jsonl" {
				continue
			}
			wrong, err := g.file(filepath.Join(dir, file.Name()))
			if err != nil {
				return nil, fmt.Sprintf("%s: %v", filepath.Join(dir, file.Name()), err)
			}
			found = append(found, told(file.Name(), wrong))
		}
		missing, err := g.missing()
		if err != nil {
			return nil, err.Error()
		}
		return append(found, told("every event has a golden stream", missing)), ""
	}
}

// gold is a check of golden files.
type gold[C, S, E any] struct {
	suite  Suite[C, S, E]
	codec  codec.Codec[E]
	dir    string
	update bool
	have   map[shapeOfEvent]bool
}

// file says what is wrong with the events of a file.
func (g gold[C, S, E]) file(name string) (wrong string, err error) {
	data, err := os.ReadFile(name) //nolint:gosec // a test file
	if err != nil {
		return "", err
	}
	var all []*jsonl.Line
	for l, err := range jsonl.Read(bytes.NewReader(data)) {
		if err != nil {
			return "", err
		}
		g.have[shapeOfEvent{l.Type, l.Schema}] = true
		all = append(all, l)
	}
	var wrongs []string
	now := g.mean(all)
	for i, l := range all {
		var was meaning
		if l.Golden != nil {
			if err := json.Unmarshal(l.Golden, &was); err != nil {
				return "", fmt.Errorf("line %d: golden: %w", l.Number, err)
			}
		}
		if was != now[i] {
			wrongs = append(wrongs, fmt.Sprintf("version %d, %s, does not mean what it meant\n  stored  %s\n%s",
				l.Version, shapeOfEvent{l.Type, l.Schema}, show.Cut(string(l.Recorded().Data), 2*maxColumn), was.against(now[i])))
			l.Golden = now[i].encode()
		}
	}
	if len(wrongs) == 0 {
		return "", nil
	}
	if g.update {
		data, err := encodeLines(all)
		if err != nil {
			return "", err
		}
		return "", os.WriteFile(name, data, 0o600)
	}
	return strings.Join(wrongs, "\n") + "\nif the change is intended, accept it with -update or EVOLVE_UPDATE=1", nil
}

// meaning is what a recorded event meant when it was last checked.
type meaning struct {
	Events string `json:"events"`
	State  string `json:"state"` // after the event
}

// encode returns m as a line has it.
func (m meaning) encode() json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		panic(err) // two texts
	}
	return b.Bytes()
}

// against describes how m differs from now.
func (m meaning) against(now meaning) string {
	var out []string
	if m.Events != now.Events {
		out = append(out, "  meant   "+m.Events+"\n  means   "+now.Events)
	}
	if m.State != now.State {
		out = append(out, "  state   "+m.State+"\n  is now  "+now.State)
	}
	return strings.Join(out, "\n")
}

// mean returns what the stored events of a stream mean today.
func (g gold[C, S, E]) mean(stored []*jsonl.Line) []meaning {
	d := g.suite.decider
	out := make([]meaning, len(stored))
	state := d.Start()
	for i, l := range stored {
		var events []E
		var err error
		panicked := catch(func() {
			if events, err = g.codec.Decode(nil, []store.Recorded{l.Recorded()}); err == nil {
				state = d.Fold(state, events...)
			}
		})
		if panicked != nil {
			err = panicked
		}
		out[i] = meaning{outcome(events, err), show.Text(state)}
	}
	return out
}

// missing returns which events no file has. With update it writes them.
func (g gold[C, S, E]) missing() (string, error) {
	lost := map[shapeOfEvent]string{}
	var refused error
	stored := 0 // events
	for seed := range uint64(goldenSeeds) {
		h := g.suite.Example(seed)
		stream, err := g.stream(h)
		if err != nil {
			refused = err
			continue
		}
		if !value.UTF8(h) {
			continue // it cannot be stored
		}
		stored += len(stream)
		fresh := false
		for _, l := range stream {
			if s := (shapeOfEvent{l.Type, l.Schema}); !g.have[s] {
				fresh = true
				lost[s] = s.String()
			}
		}
		if !fresh || !g.update {
			continue
		}
		if err := g.add(stream); err != nil {
			return "", err
		}
		for _, l := range stream {
			g.have[shapeOfEvent{l.Type, l.Schema}] = true
		}
	}
	if stored == 0 && refused != nil {
		return "", refused
	}
	if len(lost) == 0 || g.update {
		return "", nil
	}
	return "no file in " + filepath.Base(g.dir) + " has\n  " + strings.Join(slices.Sorted(maps.Values(lost)), "\n  ") +
		"\nwrite them with -update or EVOLVE_UPDATE=1, and commit the files", nil
}

// stream returns the events of h in the format of a golden file.
func (g gold[C, S, E]) stream(h History[C, S, E]) ([]*jsonl.Line, error) {
	var out []*jsonl.Line
	for _, e := range h.events() {
		stored, err := g.codec.Encode(e)
		if err != nil {
			return nil, err
		}
		l, err := jsonl.Of(&store.Recorded{
			Event: stored, Stream: store.Stream{Type: "Golden", ID: "1"}, Version: uint64(len(out)) + 1,
		})
		if err != nil {
			return nil, err
		}
		out = append(out, &l)
	}
	for i, m := range g.mean(out) {
		out[i].Golden = m.encode()
	}
	return out, nil
}

// add writes stream to a new file, with the first number that no file has.
func (g gold[C, S, E]) add(stream []*jsonl.Line) error {
	data, err := encodeLines(stream)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(g.dir, 0o750); err != nil {
		return err
	}
	for n := 1; ; n++ {
		file, err := os.OpenFile(filepath.Join(g.dir, fmt.Sprintf("%03d.jsonl", n)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		_, err = file.Write(data)
		return errors.Join(err, file.Close())
	}
}

// encodeLines returns the content of a file.
func encodeLines(all []*jsonl.Line) ([]byte, error) {
	var b bytes.Buffer
	out := jsonl.NewWriter(&b)
	for _, l := range all {
		if err := out.WriteLine(l); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
