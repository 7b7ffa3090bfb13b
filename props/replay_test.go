package props_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/props"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// sent returns the commands that three accounts get.
func sent() [3][]Command {
	return [...][]Command{
		{Open{"ann"}, Deposit{Amount: 5}, Withdraw{3}, Withdraw{3}, Withdraw{2}, Close{}},
		{Deposit{Amount: 1}, Open{"bob"}, Open{"bob"}, Deposit{Amount: 7, Tags: []string{"a", "b"}}, Deposit{Amount: 1}, Withdraw{8}},
		{Open{}, Close{}},
	}
}

// production returns the events of these accounts, mixed. Change may damage them.
func production(change func(r *store.Recorded)) (all []store.Recorded) {
	var states [3]State
	var versions [3]uint64
	for i := range 6 {
		for n, cmds := range sent() {
			if i >= len(cmds) {
				continue
			}
			after, events, _ := account().Step(cmds[i], states[n])
			states[n] = after
			for _, e := range events {
				stored, err := codec.JSON(allNames()).Encode(e)
				if err != nil {
					panic(err)
				}
				stored.Meta = store.Metadata{CausationID: fmt.Sprint("command ", i), Headers: map[string]string{"n": strconv.Itoa(n), "i": strconv.Itoa(i)}}
				versions[n]++
				r := store.Recorded{Event: stored, Stream: store.Stream{Type: "Account", ID: strconv.Itoa(n)}, Version: versions[n]}
				change(&r)
				all = append(all, r)
			}
		}
	}
	return all
}

// recalled returns the command that led to a batch.
func recalled(batch []store.Recorded) (Command, bool) {
	n, err1 := strconv.Atoi(batch[0].Meta.Headers["n"])
	i, err2 := strconv.Atoi(batch[0].Meta.Headers["i"])
	if err1 != nil || err2 != nil {
		return nil, false
	}
	return sent()[n][i], true
}

func yields(events []store.Recorded, end error) iter.Seq2[store.Recorded, error] {
	return func(yield func(store.Recorded, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
		if end != nil {
			yield(store.Recorded{}, end)
		}
	}
}

func TestReplayRecorded(t *testing.T) {
	t.Parallel()
	look := func(change func(r *store.Recorded), d func(*Account)) func() props.Inquiry {
		return func() props.Inquiry {
			s := props.Replay(changed(d), codec.JSON(allNames())).Invariant("balance is never negative", solvent).Commands(recalled)
			return props.ReplayInquiry(s, yields(production(change), nil))
		}
	}
	asIs, good := func(*store.Recorded) {}, func(*Account) {}
	find(t, map[string]flaw{
		"a stream with a gap": {look(func(r *store.Recorded) {
			if r.Version > 2 {
				r.Version++
			}
		}, good), []string{"streams have no gap"}, 0, true},
		"a name that is forgotten": {look(func(r *store.Recorded) {
			if r.Type == "Withdrawn" {
				r.Type = "MoneyWithdrawn"
			}
		}, good), []string{"every recorded event decodes"}, 0, true},
		"data that is broken": {look(func(r *store.Recorded) {
			if r.Version == 2 {
				r.Data = r.Data[:len(r.Data)-1]
			}
		}, good), []string{"every recorded event decodes"}, 0, true},
		"a decoder that panics": {func() props.Inquiry {
			c := wrong{decode: func(e Event) Event {
				if _, ok := e.(Withdrawn); ok {
					panic("no")
				}
				return e
			}}
			return props.ReplayInquiry(props.Replay(account(), codec.Codec[Event](c)), yields(production(asIs), nil))
		}, []string{"every recorded event decodes"}, 0, true},
		"an encoder that loses a field": {func() props.Inquiry {
			c := wrong{stored: func(e Event, s store.Event) store.Event {
				if _, ok := e.(Withdrawn); ok {
					s.Data = []byte("{}")
				}
				return s
			}, decode: func(e Event) Event { return e }}
			return props.ReplayInquiry(props.Replay(account(), codec.Codec[Event](c)), yields(production(asIs), nil))
		}, []string{"every recorded event can be written again"}, 0, true},
		"an event that cannot be written": {func() props.Inquiry {
			c := wrong{encode: func(e Event) {
				if _, ok := e.(Withdrawn); ok {
					panic("no")
				}
			}, decode: func(e Event) Event { return e }}
			return props.ReplayInquiry(props.Replay(account(), codec.Codec[Event](c)), yields(production(asIs), nil))
		}, []string{"every recorded event can be written again"}, 0, true},
		"a panic on a recorded event": {look(asIs, func(d *Account) {
			d.Evolve = on(func(s State, e Withdrawn) State { panic("unreachable") })
		}), []string{"evolve is total on recorded events"}, 0, true},
		"a counter in evolve": {look(asIs, func(d *Account) {
			n := 0
			d.Evolve = on(func(s State, e Deposited) State {
				n++
				return moved(s, n, "in")
			})
		}), []string{"replay gives the same state"}, 0, true},
		"a stricter rule": {look(asIs, func(d *Account) {
			d.Decide = func(c Command, s State) ([]Event, error) {
				if w, ok := c.(Withdraw); ok && w.Amount > 1 {
					return nil, errFunds
				}
				return decide(c, s)
			}
		}), []string{"decisions are the same today"}, 0, true},
		"a panic on a recorded command": {look(asIs, func(d *Account) {
			d.Decide = func(c Command, s State) ([]Event, error) {
				if dep, ok := c.(Deposit); ok && len(dep.Tags) > 0 {
					panic("no tags")
				}
				return decide(c, s)
			}
		}), []string{"decisions are the same today"}, 0, true},
		"a withdrawal that was not covered": {look(func(r *store.Recorded) {
			if r.Type == "Withdrawn" {
				r.Data = []byte(`{"Amount":2000000000}`)
			}
		}, good), []string{"balance is never negative", "decisions are the same today"}, 0, true},
	}, look(asIs, good), look(func(r *store.Recorded) { r.Meta.CausationID = "" }, good))
}

// TestReplayReport checks that a report shows the last five events, and how often a law is
// broken.
func TestReplayReport(t *testing.T) {
	t.Parallel()
	var events []store.Recorded
	for i := range 9 {
		stored, err := codec.JSON(allNames()).Encode(Deposited{Amount: i + 1})
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, store.Recorded{Event: stored, Stream: store.Stream{Type: "Account", ID: "a"}, Version: uint64(i + 1)})
	}
	var texts strings.Builder
	for _, most := range []int{44, 35, 27} {
		s := props.Replay(account(), codec.Codec[Event](codec.JSON(allNames()))).Invariant("not rich", func(s State) error {
			if s.Balance > most {
				return fmt.Errorf("more than %d", most)
			}
			return nil
		})
		failures, _, problem := props.Findings(t, props.ReplayInquiry(s, yields(events, nil)))
		if len(failures) != 1 || problem != "" {
			t.Fatalf("%v %s", failures, problem)
		}
		texts.WriteString(failures[0].Text + "\n\n")
	}
	golden(t, "replay_report", texts.String())
}

// TestReplayBatches checks which events are decided at once, and that nothing is said
// about the decision of a command that is not known, or whose events cannot all be read.
func TestReplayBatches(t *testing.T) {
	t.Parallel()
	d := changed(func(d *Account) {
		d.Decide = func(c Command, s State) ([]Event, error) {
			events, err := decide(c, s)
			if d, ok := c.(Deposit); ok && err == nil {
				events = append(events, Deposited{Amount: d.Amount})
			}
			if c == (Withdraw{5}) {
				err = errFunds
			}
			return events, err
		}
	})
	recorded := func(causes string, events ...Event) (all []store.Recorded) {
		for i, e := range events {
			stored, err := codec.JSON(allNames()).Encode(e)
			if err != nil {
				t.Fatal(err)
			}
			stored.Meta.CausationID = strings.TrimSpace(causes[i : i+1])
			all = append(all, store.Recorded{Event: stored, Stream: store.Stream{Type: "Account", ID: "a"}, Version: uint64(i + 1)})
		}
		return all
	}
	commands := map[string]Command{"a": Open{"ann"}, "b": Deposit{Amount: 3}, "c": Withdraw{6}, "d": Withdraw{5}, "": Withdraw{1}}
	events := []Event{Opened{"ann"}, Deposited{Amount: 3}, Deposited{Amount: 3}, Withdrawn{6}}
	damaged := recorded("abbc", events...)
	damaged[2].Type = "unknown"
	for name, tt := range map[string]struct {
		events []store.Recorded
		broken string
	}{
		"a batch of two":          {recorded("abbc", events...), ""},
		"two events of no batch":  {recorded("abb  ", append(events[:3:3], Withdrawn{1}, Withdrawn{1})...), ""},
		"half of a batch":         {recorded("abc", append(events[:2:2], Withdrawn{6})...), `"decisions are the same today" in 0`},
		"the last batch":          {recorded("abbc", append(events[:3:3], Withdrawn{5})...), `"decisions are the same today" in 0`},
		"events beside an error":  {recorded("abbd", append(events[:3:3], Withdrawn{5})...), `"decisions are the same today" in 0`},
		"an unknown command":      {recorded("axbbc", append([]Event{Opened{"ann"}, Opened{"ann"}}, events[1:]...)...), ""},
		"half of a batch is lost": {damaged, `"every recorded event decodes" in 0`},
	} {
		s := props.Replay(d, codec.Codec[Event](codec.JSON(allNames()))).Commands(func(batch []store.Recorded) (Command, bool) {
			c, ok := commands[batch[0].Meta.CausationID]
			return c, ok
		})
		failures, _, problem := props.Findings(t, props.ReplayInquiry(s, yields(tt.events, nil)))
		if got := lawsOf(failures); got != tt.broken || problem != "" {
			t.Errorf("%s: broken is %q, want %q: %s, %v", name, got, tt.broken, problem, failures)
		}
	}
}

// TestReplayMemory replays the events of a store.
func TestReplayMemory(t *testing.T) {
	t.Parallel()
	st, stream := memory.New(), store.Stream{Type: "Account", ID: "a"}
	for _, e := range []Event{Opened{"ann"}, Deposited{Amount: 5}, Withdrawn{3}} {
		stored, err := codec.JSON(allNames()).Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		stored.ID = store.NewID()
		if _, err := st.Append(t.Context(), stream, store.Any, []store.Event{stored}); err != nil {
			t.Fatal(err)
		}
	}
	s := props.Replay(account(), codec.Codec[Event](codec.JSON(allNames()))).Invariant("balance is never negative", solvent)
	s.Check(t, store.Events(t.Context(), st, stream, 0))

	var file bytes.Buffer
	if err := props.WriteLines(&file, store.Events(t.Context(), st, stream, 0)); err != nil {
		t.Fatal(err)
	}
	s.Check(t, props.Lines(&file))
}

func TestReplayProblems(t *testing.T) {
	t.Parallel()
	s := props.Replay(account(), codec.Codec[Event](codec.JSON(allNames())))
	ended := errors.New("the store is down")
	for want, events := range map[string]iter.Seq2[store.Recorded, error]{
		"no events to replay": yields(nil, nil),
		"the store is down":   yields(production(func(*store.Recorded) {})[:1], ended),
		"line 2":              props.Lines(strings.NewReader("{}\n{")),
	} {
		if _, _, problem := props.Findings(t, props.ReplayInquiry(s, events)); !strings.Contains(problem, want) {
			t.Errorf("the problem is %q, want %q", problem, want)
		}
	}
}

// TestLines checks that lines are read exactly as they were written.
func TestLines(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"", "a", "<é&\u2028>", "\"\n", "Account"})
		when := rapid.SampledFrom([]time.Time{{}, time.Unix(5, 7).UTC(), time.Date(1970, 1, 1, 0, 0, 0, 1, time.UTC)})
		data := rapid.OneOf(
			rapid.SampledFrom([]string{`{}`, `{"a":1}`, ` {"a":1}`, `{"a": 1}`, `"<>"`, `null`, `1e400`, "\"\u2028\"", `{"a":1}{}`, "\xff", `"\u003c"`}),
			rapid.String())
		var events []store.Recorded
		for range rapid.IntRange(0, 4).Draw(t, "events") {
			r := store.Recorded{Event: store.Event{
				ID: word.Draw(t, "id"), Type: word.Draw(t, "type"), Schema: rapid.Uint32().Draw(t, "schema"),
				ContentType: word.Draw(t, "content type"), Data: []byte(data.Draw(t, "data")),
				Meta: store.Metadata{
					CorrelationID: word.Draw(t, "correlation"), CausationID: word.Draw(t, "causation"), ActorID: word.Draw(t, "actor"),
					Headers: rapid.MapOf(word, word).Draw(t, "headers"),
				}, Time: when.Draw(t, "time"),
			}, Stream: store.Stream{Type: word.Draw(t, "stream"), ID: word.Draw(t, "stream id")}, Version: rapid.Uint64().Draw(t, "version"), Position: rapid.Uint64().Draw(t, "position"), RecordedAt: when.Draw(t, "recorded at")}
			if len(r.Data) == 0 {
				r.Data = nil
			}
			if len(r.Meta.Headers) == 0 {
				r.Meta.Headers = nil
			}
			events = append(events, r)
		}
		var file bytes.Buffer
		if err := props.WriteLines(&file, yields(events, nil)); err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(file.Bytes(), []byte("\n")); n != len(events) {
			t.Fatalf("%d events are in %d lines:\n%s", len(events), n, &file)
		}
		text := file.String()
		var got []store.Recorded
		for r, err := range props.Lines(&file) {
			if err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
			got = append(got, r)
		}
		if !reflect.DeepEqual(got, events) {
			t.Fatalf("read\n%+v\nwant\n%+v\nfrom\n%s", got, events, text)
		}
	})
}

func TestLinesErrors(t *testing.T) {
	t.Parallel()
	ended := errors.New("the store is down")
	if err := props.WriteLines(&bytes.Buffer{}, yields(nil, ended)); !errors.Is(err, ended) {
		t.Errorf("WriteLines = %v, want %v", err, ended)
	}
	value := store.Recorded{Event: store.Event{Value: 1}, Version: 3, Stream: store.Stream{Type: "Account", ID: "a"}}
	if err := props.WriteLines(&bytes.Buffer{}, yields([]store.Recorded{value}, nil)); err == nil || !strings.Contains(err.Error(), "version 3 of Account/a") {
		t.Errorf("WriteLines = %v, of a value", err)
	}
	times := 0
	for _, err := range props.Lines(strings.NewReader("{}\n\n{}\n{}")) {
		if err != nil {
			t.Error(err)
		}
		if times++; times == 2 {
			break
		}
	}
	if times != 2 {
		t.Errorf("Lines continued after the loop had ended")
	}
}

// TestLinesAreStrict reads lines from which something would be lost or changed.
func TestLinesAreStrict(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"another brace":     `{"type":"E"}}`,
		"another object":    `{"type":"E"}{}`,
		"another case":      `{"Type":"E"}`,
		"a field twice":     `{"type":"E","type":"F"}`,
		"a header twice":    `{"type":"E","headers":{"k":"1","k":"2"}}`,
		"an unknown field":  `{"type":"E","colour":"red"}`,
		"not UTF-8":         "{\"type\":\"caf\xe9\"}",
		"data of two kinds": `{"type":"E","data":1,"data_base64":"AA=="}`,
		"an array":          `[]`,
	} {
		var last error
		events := 0
		for _, err := range props.Lines(strings.NewReader(`{"type":"E"}` + "\n" + text)) {
			events, last = events+1, err
		}
		if events != 2 || last == nil || !strings.Contains(last.Error(), "line 2") {
			t.Errorf("%s: %d events, and last %v; want an error about line 2", name, events, last)
		}
	}
}
