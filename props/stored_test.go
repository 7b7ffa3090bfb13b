package props_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
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
