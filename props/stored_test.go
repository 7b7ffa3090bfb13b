package props_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/props"
	"github.com/evolvego/evolve/store"
)

// status is an instance that can be stored: its status says what it waits for.
type status struct {
	Status string
	Seen   []string
}

func storable() decider.Process[any, status, any] {
	return decider.Process[any, status, any]{
		Key: orderOf,
		Evolve: func(s status, e any) status {
			switch e := e.(type) {
			case Placed:
				return status{"placed", append(slices.Clip(s.Seen), "placed "+e.Order)}
			case Late:
				return status{"late", append(slices.Clip(s.Seen), "late "+e.Order)}
			}
			return s
		},
		React: func(s status, e any) (r reaction) {
			switch e := e.(type) {
			case Placed:
				r.Send = []any{Charge(e)}
				r.Later = []decider.Timer[any]{{Name: "late", Event: Late{e.Order}, After: 1}}
			case Late:
				if s.Seen == nil {
					r.Send = []any{Remind(e)}
				}
			}
			return r
		},
	}
}

// forgetting is a codec that loses the order of each event.
type forgetting struct{ codec.Codec[any] }

func (forgetting) Decode(dst []any, recorded []store.Recorded) ([]any, error) {
	return append(dst, slices.Repeat([]any{Late{}}, len(recorded))...), nil
}

// TestStored checks the laws about stored values, on correct and broken ones.
func TestStored(t *testing.T) {
	t.Parallel()
	encode := func(s status) ([]byte, error) { return json.Marshal(s) }
	decode := func(data []byte) (s status, err error) { return s, json.Unmarshal(data, &s) }
	command := func(c any) ([]byte, error) { return json.Marshal(c) }
	timers := codec.JSON(map[string]any{"Late": Late{}})
	process := func(p decider.Process[any, status, any]) props.ProcessSuite[any, status, any] {
		return props.Process(p).Any(Placed{}, Late{}).Checks(60)
	}
	forgetful := storable()
	forgetful.Evolve = func(s status, e any) status {
		switch {
		case s.Seen == nil && s.Status != "": // only true after the instance was stored
			return status{Status: "lost"}
		case s.Seen == nil:
			return status{"new", []string{}}
		}
		return s
	}
	cut := storable()
	cut.React = func(s status, e any) reaction {
		if e, ok := e.(Placed); ok && e.Order != "" {
			return reaction{Send: []any{Charge{e.Order[:len(e.Order)-1], e.Amount}}}
		}
		return reaction{}
	}
	valid := func(c any) ([]byte, error) {
		if charge, ok := c.(Charge); ok && !utf8.ValidString(charge.Order) {
			return nil, errors.New("no UTF-8")
		}
		return command(c)
	}
	view := func(evolve func(v map[string]int, e Event) map[string]int) props.ViewSuite[map[string]int, Command, State, Event] {
		return props.Projects(samples(account()).Checks(60), decider.View[map[string]int, Event]{Evolve: evolve})
	}
	count := func(v map[string]int, e Event) map[string]int {
		v = maps.Clone(v)
		if v == nil {
			v = map[string]int{}
		}
		v[fmt.Sprintf("%T", e)]++
		return v
	}
	byKind := func(e Event) string { return fmt.Sprintf("%T", e) }
	for name, tt := range map[string]struct {
		inquiry props.Inquiry
		law     string // "" if none is broken
	}{
		"everything is correct": {props.ProcessInquiry(process(storable()).State(encode, decode).Commands(command).Timers(timers)), ""},
		"a field of the state that is lost": {props.ProcessInquiry(process(storable()).State(encode, func(data []byte) (status, error) {
			s, err := decode(data)
			return status{Status: s.Status}, err
		})), "instances survive encoding"},
		"a difference between empty and nil": {props.ProcessInquiry(process(forgetful).State(encode, func(data []byte) (status, error) {
			s, err := decode(data)
			if len(s.Seen) == 0 {
				s.Seen = nil
			}
			return s, err
		})), "stored instances react the same"},
		"a command that encodes by chance": {props.ProcessInquiry(process(storable()).Commands(func(any) ([]byte, error) {
			return fmt.Append(nil, rand.IntN(100)), nil
		})), "commands encode the same twice"},
		"a command that does not encode": {props.ProcessInquiry(process(storable()).Commands(func(c any) ([]byte, error) {
			if _, ok := c.(Charge); ok {
				return nil, errors.New("no")
			}
			return command(c)
		})), "commands encode the same twice"},
		"text of an event that cannot be stored":        {props.ProcessInquiry(process(storable()).Commands(valid)), ""},
		"a command that ends in the middle of a letter": {props.ProcessInquiry(process(cut).Commands(valid)), "commands encode the same twice"},
		"a state that cannot be stored": {props.ProcessInquiry(process(storable()).State(func(s status) ([]byte, error) {
			if s.Status == "late" {
				return nil, errors.New("it is late")
			}
			return encode(s)
		}, decode)), "instances survive encoding"},
		"a timer's event that the codec does not know": {props.ProcessInquiry(process(storable()).Timers(codec.JSON(map[string]any{"Placed": Placed{}}))), "events of timers survive encoding"},
		"a timer's event that loses a field":           {props.ProcessInquiry(process(storable()).Timers(forgetting{timers})), "events of timers survive encoding"},
		"a view that is right": {props.ViewInquiry(view(count).PartitionedBy(byKind).State(func(v map[string]int) ([]byte, error) { return json.Marshal(v) },
			func(data []byte) (v map[string]int, err error) { return v, json.Unmarshal(data, &v) })), ""},
		"a view that is wrong at the start": {props.ViewInquiry(view(count).Agrees("it counts", func(s State, v map[string]int) error {
			if !s.Open && !s.Closed && len(v) == 0 {
				return errors.New("nothing is counted")
			}
			return nil
		})), "it counts"},
		"a view that is stored in part": {props.ViewInquiry(view(count).State(func(v map[string]int) ([]byte, error) { return json.Marshal(v) },
			func([]byte) (map[string]int, error) { return nil, nil })), "the view survives encoding"},
		"a view of the last event": {props.ViewInquiry(view(func(_ map[string]int, e Event) map[string]int {
			return map[string]int{byKind(e): 1}
		}).PartitionedBy(byKind)), "keys are independent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failures, _, problem := props.Findings(t, tt.inquiry)
			switch {
			case problem != "":
				t.Error(problem)
			case tt.law == "" && len(failures) > 0, tt.law != "" && (len(failures) != 1 || failures[0].Law != tt.law):
				t.Errorf("%v, want %q alone", lawsOf(failures), tt.law)
				for _, f := range failures {
					t.Log(f.Text)
				}
			}
		})
	}
}

// TestStoredBreaches compares how histories break the laws about stored values with a
// golden file.
func TestStoredBreaches(t *testing.T) {
	t.Parallel()
	encode := func(s status) ([]byte, error) { return json.Marshal(s) }
	decode := func(data []byte) (s status, err error) { return s, json.Unmarshal(data, &s) }
	strict := func(c any) ([]byte, error) {
		if charge, ok := c.(Charge); ok && !utf8.ValidString(charge.Order) {
			return nil, errors.New("no UTF-8")
		}
		return json.Marshal(c)
	}
	calls, uses := 0, 0
	ninth := func(any) ([]byte, error) { // differs from the others
		calls++
		return fmt.Append(nil, calls/9), nil
	}
	once := func(any) ([]byte, error) {
		if uses++; uses > 1 {
			return nil, errors.New("used up")
		}
		return []byte("1"), nil
	}
	reacts := func(react func(s status, e any) reaction) props.ProcessSuite[any, status, any] {
		p := storable()
		p.React = react
		return props.Process(p).Any(Placed{}, Late{})
	}
	right := reacts(storable().React)
	fresh := storable()
	fresh.Evolve = func(s status, _ any) status { // an instance that was stored has no list
		if s.Seen == nil && s.Status != "" {
			return status{"stored", nil}
		}
		return status{"new", []string{}}
	}
	listed := storable()
	listed.React = func(s status, _ any) (r reaction) {
		if s.Seen == nil {
			r.Send = []any{Remind{"1"}}
		}
		return r
	}
	listed.Evolve = func(s status, _ any) status { // only a new instance gets a list
		if s.Status == "" {
			s.Seen = []string{}
		}
		return status{"listed", s.Seen}
	}
	charges := func(order string) props.ProcessSuite[any, status, any] {
		return reacts(func(status, any) reaction { return reaction{Send: []any{Charge{Order: "1"}, Charge{Order: order}}} })
	}
	remembers := reacts(func(s status, _ any) reaction { return reaction{Send: []any{Charge{Order: s.Seen[0]}}} })
	starts := func(event any) props.ProcessSuite[any, status, any] {
		return reacts(func(status, any) reaction {
			return reaction{Later: []decider.Timer[any]{{Name: "soon", Event: event}, {Name: "late", Event: Late{"1"}}}}
		})
	}
	late := codec.JSON(map[string]any{"Late": Late{}})
	process := func(s props.ProcessSuite[any, status, any], law string, events ...any) string {
		return props.ProcessBreach(t, s, law, events...)
	}
	last := func(_ string, e Event) string { return fmt.Sprintf("%T", e) }
	view := props.Projects(samples(account()), decider.View[string, Event]{Evolve: last})
	kinds := func(e Event) string { return fmt.Sprintf("%T", e) }
	const survive, same, twice, timers, keys = "instances survive encoding", "stored instances react the same", "commands encode the same twice",
		"events of timers survive encoding", "keys are independent"
	var all strings.Builder
	for _, tt := range []struct{ name, got string }{
		{"right", process(right.State(encode, decode), survive, Placed{Order: "1"}, Late{"1"})},
		{"not encoded", process(right.State(func(s status) ([]byte, error) {
			if s.Status == "late" {
				return nil, errors.New("it is late")
			}
			return encode(s)
		}, decode), survive, Placed{Order: "1"}, Late{"1"}, Placed{Order: "2"})},
		{"in part", process(right.State(encode, func(data []byte) (status, error) {
			s, err := decode(data)
			return status{Status: s.Status}, err
		}), survive, Placed{Order: "1"})},
		{"not UTF-8", process(right.State(encode, decode), survive, Placed{Order: "\xff"})},
		{"the same", process(right.State(encode, decode), same, Placed{Order: "1"}, Late{"1"})},
		{"nil or empty", process(props.Process(fresh).Any(Placed{}).State(encode, func(data []byte) (status, error) {
			s, err := decode(data)
			return status{Status: s.Status}, err
		}), same, Placed{Order: "1"}, Placed{Order: "2"}, Late{"1"})},
		{"nil or empty, in the reaction alone", process(props.Process(listed).Any(Placed{}).State(encode, func(data []byte) (status, error) {
			s, err := decode(data)
			return status{Status: s.Status}, err
		}), same, Placed{Order: "1"}, Placed{Order: "1"})},
		{"in part, which the law above reports", process(right.State(encode, func([]byte) (s status, err error) { return s, nil }), same, Placed{Order: "1"}, Late{"1"})},
		{"an error, which the law above reports", process(right.State(encode, func([]byte) (s status, err error) { return s, errors.New("no") }), same, Placed{Order: "1"}, Late{"1"})},
		{"commands", process(charges("1").Commands(strict), twice, Late{"1"})},
		{"a ninth encoding", process(charges("2").Commands(ninth), twice, Late{"1"})},
		{"one encoding", process(charges("2").Commands(once), twice, Late{"1"})},
		{"a bad command", process(charges("\xff").Commands(strict), twice, Late{"1"})},
		{"a bad event", process(charges("\xff").Commands(strict), twice, Late{"\xff"})},
		{"a bad instance", process(remembers.Commands(strict), twice, Placed{Order: "\xff"}, Late{"\xff"})},
		{"no command", process(charges("1").Commands(func(any) ([]byte, error) { return nil, errors.New("no") }), twice, Late{"\xff"})},
		{"timers", process(starts(Late{"2"}).Timers(late), timers, Late{"1"})},
		{"no event", process(starts(nil).Timers(late), timers, Late{"1"})},
		{"a bad timer", process(starts(Late{"\xff"}).Timers(late), timers, Late{"1"})},
		{"an unknown timer", process(starts(Placed{}).Timers(late), timers, Late{"1"})},
		{"a timer in part", process(starts(Late{}).Timers(forgetting{late}), timers, Late{"1"})},
		{"a view", props.ViewBreach(t, view.PartitionedBy(kinds), keys, opens, deposits, takes)},
		{"a view of the third event", props.ViewBreach(t, props.Projects(samples(account()), decider.View[string, Event]{Evolve: func(v string, e Event) string {
			switch v {
			case "":
				return "one"
			case "one":
				return "two"
			}
			return kinds(e)
		}}).PartitionedBy(kinds), keys, opens, deposits)},
		{"a view of one key", props.ViewBreach(t, view.PartitionedBy(func(Event) string { return "" }), keys, opens, deposits)},
		{"a view in part", props.ViewBreach(t, view.State(func(v string) ([]byte, error) { return []byte(v), nil }, func(data []byte) (string, error) {
			return strings.TrimSuffix(string(data), "Deposited"), nil
		}), "the view survives encoding", opens, takes, deposits)},
	} {
		fmt.Fprintf(&all, "%s: %s\n", tt.name, tt.got)
	}
	golden(t, "stored_breaches", all.String())
}
