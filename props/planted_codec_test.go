package props_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// wrong is a codec with a bug. Functions that are nil are correct.
type wrong struct {
	encode func(Event)                               // called first
	stored func(Event, store.Event) store.Event      // returns what to store instead
	decode func(Event) Event                         // returns nil to drop the event
	each   func(store.Recorded) (e Event, err error) // replaces the decoder for the data that it knows
	all    func([]store.Recorded) []store.Recorded   // called first
}

func (w wrong) Encode(e Event) (store.Event, error) {
	if w.encode != nil {
		w.encode(e)
	}
	s, err := codec.JSON(allNames()).Encode(e)
	if w.stored != nil && err == nil {
		s = w.stored(e, s)
	}
	return s, err
}

// errRight is the error that each returns for data that it leaves to the decoder.
var errRight = errors.New("decoded as it should")

func (w wrong) Decode(dst []Event, recorded []store.Recorded) ([]Event, error) {
	if w.all != nil {
		recorded = w.all(recorded)
	}
	for _, r := range recorded {
		if w.each != nil {
			if e, err := w.each(r); !errors.Is(err, errRight) {
				if err != nil {
					return dst, err
				}
				dst = append(dst, e)
				continue
			}
		}
		events, err := codec.JSON(allNames()).Decode(nil, []store.Recorded{r})
		if err != nil {
			return dst, err
		}
		for _, e := range events {
			if w.decode != nil {
				e = w.decode(e)
			}
			if e != nil {
				dst = append(dst, e)
			}
		}
	}
	return dst, nil
}

// besides is a codec that decodes a Closed, and returns an error too.
type besides struct{ codec.Codec[Event] }

func (b besides) Decode(dst []Event, recorded []store.Recorded) ([]Event, error) {
	dst, err := b.Codec.Decode(dst, recorded)
	if err == nil && slices.Contains(dst, Event(Closed{})) {
		err = errors.New("already closed")
	}
	return dst, err
}

// alternating returns a suite whose codec changes every second event that it encodes.
func alternating(change func(s *store.Event)) func() Suite {
	return func() Suite {
		var n atomic.Int64
		return samples(account()).Codec(wrong{
			stored: func(_ Event, s store.Event) store.Event {
				if n.Add(1)%2 == 0 {
					change(&s)
				}
				return s
			},
			all: func(recorded []store.Recorded) []store.Recorded {
				recorded = slices.Clone(recorded)
				for i := range recorded {
					r := &recorded[i]
					r.Type, r.Schema, r.ContentType = strings.TrimSuffix(r.Type, "+"), 1, "application/json"
				}
				return recorded
			},
		})
	}
}

var plantedCodecs = map[string]bug{
	"an event that is not registered": {func() Suite {
		registered := allNames()
		delete(registered, "Withdrawn")
		return samples(account()).Codec(codec.JSON(registered))
	}, []string{"every event encodes"}, 3},
	"a codec that panics": {func() Suite {
		return samples(account()).Codec(wrong{encode: func(e Event) {
			if d, ok := e.(Deposited); ok && len(d.Tags) > 1 {
				panic("too many tags")
			}
		}})
	}, []string{"every event encodes"}, 2},
	"a codec that loses a field": {func() Suite {
		return samples(account()).Codec(wrong{decode: func(e Event) Event {
			if d, ok := e.(Deposited); ok {
				return Deposited{Amount: d.Amount}
			}
			return e
		}})
	}, []string{"events survive encoding"}, 2},
	"a codec that drops events": {func() Suite {
		return samples(account()).Codec(wrong{decode: func(e Event) Event {
			if _, ok := e.(Closed); ok {
				return nil
			}
			return e
		}})
	}, []string{"events survive encoding"}, 2},
	"a snapshot without the totals": {func() Suite {
		return samples(account()).Snapshot(encodeState, func(data []byte) (State, error) {
			s, err := decodeState(data)
			s.Totals = nil
			return s, err
		})
	}, []string{"snapshots make no difference"}, 2},
	"a snapshot that cannot be read": {func() Suite {
		return samples(account()).Snapshot(encodeState, func(data []byte) (s State, err error) {
			var strict struct{ Owner string }
			err = json.Unmarshal(data[:len(data)-min(1, len(data)/90)], &strict)
			return s, err
		})
	}, []string{"snapshots make no difference"}, 2},
	"data that differs each time": {func() Suite {
		var n atomic.Int64
		return samples(account()).Codec(wrong{stored: func(_ Event, s store.Event) store.Event {
			s.Data = append(slices.Clone(s.Data), strings.Repeat(" ", int(n.Add(1)%2))...)
			return s
		}})
	}, []string{"encoding is stable"}, 1},
	"names that differ each time":         {alternating(func(s *store.Event) { s.Type += "+" }), []string{"encoding is stable"}, 1},
	"schemas that differ each time":       {alternating(func(s *store.Event) { s.Schema++ }), []string{"encoding is stable"}, 1},
	"content types that differ each time": {alternating(func(s *store.Event) { s.ContentType = "text/json" }), []string{"encoding is stable"}, 1},
	"an event that encodes every second time": {func() Suite {
		var n atomic.Int64
		return samples(account()).Codec(wrong{encode: func(Event) {
			if n.Add(1)%2 == 0 {
				panic("not again")
			}
		}})
	}, []string{"encoding is stable"}, 1},
	"one name for both directions": {func() Suite {
		return samples(account()).Codec(wrong{
			stored: func(e Event, s store.Event) store.Event {
				if w, ok := e.(Withdrawn); ok {
					s.Type, s.Data = "Deposited", fmt.Appendf(nil, `{"Amount":%d}`, -w.Amount)
				}
				return s
			},
			decode: func(e Event) Event {
				if d, ok := e.(Deposited); ok && d.Amount < 0 {
					return Withdrawn{-d.Amount}
				}
				return e
			},
		})
	}, []string{"names tell events apart"}, 3},
	"two names for deposits": {func() Suite {
		return samples(account()).Codec(wrong{
			stored: func(e Event, s store.Event) store.Event {
				if d, ok := e.(Deposited); ok && d.Amount > 50 {
					s.Type = "LargelyDeposited"
				}
				return s
			},
			all: func(recorded []store.Recorded) []store.Recorded {
				recorded = slices.Clone(recorded)
				for i := range recorded {
					recorded[i].Type = strings.TrimPrefix(recorded[i].Type, "Largely")
				}
				return recorded
			},
		})
	}, []string{"names tell events apart"}, 3},
	"the newest event first": {func() Suite {
		return samples(account()).Codec(wrong{all: func(recorded []store.Recorded) []store.Recorded {
			recorded = slices.Clone(recorded)
			slices.Reverse(recorded)
			return recorded
		}})
	}, []string{"stored events lead to the same state"}, 3},
	"a decoder of the first event alone": {func() Suite {
		return samples(account()).Codec(wrong{each: func(r store.Recorded) (Event, error) {
			if r.Version > 1 {
				return nil, errors.New("not the first")
			}
			return nil, errRight
		}})
	}, []string{"stored events lead to the same state"}, 2},
	"a decoder with an error beside the event": {func() Suite {
		return samples(account()).Codec(besides{wrong{}})
	}, []string{"events survive encoding"}, 2},
	"a decoder that trusts the first bytes": {func() Suite {
		return samples(account()).Codec(wrong{each: func(r store.Recorded) (Event, error) {
			if r.Data[0] != '{' || r.Data[1] == 0 {
				return nil, errors.New("no object")
			}
			return nil, errRight
		}})
	}, []string{"damaged data is an error"}, 1},
	"an error that is forgotten": {func() Suite {
		return samples(account()).Codec(wrong{each: func(r store.Recorded) (Event, error) {
			if r.Type != "Withdrawn" || len(r.Data) == 0 {
				return nil, errRight
			}
			var w Withdrawn
			_ = json.Unmarshal(r.Data, &w)
			return w, nil
		}})
	}, []string{"damaged data is an error"}, 3},
	"an owner that is a part of the data": {func() Suite {
		return samples(account()).Codec(wrong{each: func(r store.Recorded) (Event, error) {
			const prefix = `{"Owner":"`
			owner, ok := bytes.CutPrefix(bytes.TrimSuffix(r.Data, []byte(`"}`)), []byte(prefix))
			if !ok || len(owner) == 0 || bytes.ContainsAny(owner, `\"`) || !json.Valid(r.Data) {
				return nil, errRight
			}
			return Opened{unsafe.String(&owner[0], len(owner))}, nil
		}})
	}, []string{"decoded events own their memory"}, 1},
	"numbers as JavaScript has them": {func() Suite {
		return samples(account()).Codec(wrong{each: func(r store.Recorded) (Event, error) {
			var w struct{ Amount *float64 }
			if r.Type != "Withdrawn" || json.Unmarshal(r.Data, &w) != nil || w.Amount == nil {
				return nil, errRight
			}
			return Withdrawn{int(*w.Amount)}, nil
		}})
	}, []string{"large numbers survive encoding"}, 3},
	"a snapshot that makes a map": {func() Suite {
		d := account()
		d.Decide = func(c Command, s State) ([]Event, error) {
			if _, ok := c.(Close); ok && s.Open && s.Totals != nil && len(s.Totals) == 0 {
				return nil, errBalance
			}
			return decide(c, s)
		}
		return samples(d).Snapshot(encodeState, func(data []byte) (State, error) {
			s, err := decodeState(data)
			if s.Totals == nil {
				s.Totals = map[string]int{}
			}
			return s, err
		})
	}, []string{"decisions on a snapshot are the same"}, 2},
	"a snapshot without an error": {func() Suite {
		return samples(account()).Snapshot(encodeState, func(data []byte) (s State, err error) {
			_ = json.Unmarshal(data, &s)
			return s, nil
		})
	}, []string{"a damaged snapshot is an error"}, 1},
	"a snapshot with a length": {func() Suite {
		return samples(account()).Snapshot(
			func(s State) ([]byte, error) {
				data, err := encodeState(s)
				return append([]byte{byte(len(data))}, data...), err
			},
			func(data []byte) (State, error) {
				if len(data) == 0 || len(data) > 200 {
					return State{}, errors.New("no length")
				}
				return decodeState(data[1:][:data[0]])
			})
	}, []string{"a damaged snapshot is an error"}, 1},
}

// plantedDomains are bugs that only laws about the domain can find.
var plantedDomains = map[string]bug{
	"a close that is unreachable": {func() Suite {
		d := account()
		d.Decide = func(c Command, s State) ([]Event, error) {
			if _, ok := c.(Close); ok && s.Totals["out"] != 0 {
				return nil, errBalance
			}
			return decide(c, s)
		}
		return samples(d).Possible("an open account can be closed", isOpen, emptyAndClose, isClosed)
	}, []string{"an open account can be closed"}, 3},
	"a start from which nothing is possible": {func() Suite {
		return eager().Possible("an account can be opened", isNew, func(State) []Command { return nil }, isOpen)
	}, []string{"an account can be opened"}, 0},
	"a case that never occurs": {func() Suite {
		return samples(account()).Possible("a negative balance can be settled", func(s State) bool { return s.Balance < 0 }, emptyAndClose, isClosed)
	}, []string{"a negative balance can be settled: there is such a state"}, 0},
	"a close that is booked twice": {func() Suite {
		d := account()
		d.Terminal = nil
		d.Decide = func(c Command, s State) ([]Event, error) {
			if _, ok := c.(Close); ok && s.Closed {
				return []Event{Closed{}}, nil
			}
			return decide(c, s)
		}
		return samples(d).Idempotent(Close{}, Open{})
	}, []string{"a repeated command changes nothing"}, 2},
	"an undeclared error": {func() Suite {
		d := account()
		d.Decide = func(c Command, s State) ([]Event, error) {
			events, err := decide(c, s)
			if errors.Is(err, errNotOpen) {
				err = fmt.Errorf("lookup of %q failed", s.Owner)
			}
			return events, err
		}
		return samples(d).Rejections(errOpen, errNotOpen, errAmount, errFunds, errBalance)
	}, []string{"rejections are declared"}, 1},
}

// eager is the suite of an account that any command opens, so that only the start is new.
func eager() Suite {
	return plant(func(d *Account) {
		d.Decide = func(c Command, s State) ([]Event, error) {
			if isNew(s) {
				return []Event{Opened{}}, nil
			}
			return decide(c, s)
		}
	})()
}

func isNew(s State) bool    { return !s.Open && !s.Closed }
func isOpen(s State) bool   { return s.Open && !s.Closed }
func isClosed(s State) bool { return s.Closed }

func emptyAndClose(s State) []Command {
	var plan []Command
	for left := s.Balance; left > 0; left -= min(left, limit) {
		plan = append(plan, Withdraw{min(left, limit)})
	}
	return append(plan, Close{})
}
