package props_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/props"
	"github.com/evolvego/evolve/store"
)

// Earlier events of the account: at first a deposit held euros, then euros and cents, and
// opening had another key.
type (
	depositedV1 struct{ Euros int16 }
	depositedV2 struct {
		Euros int16
		Cents int8
	}
	openedV1 struct {
		Name string
		Note string
	}
)

func firstToSecond(d depositedV1) depositedV2 { return depositedV2{Euros: d.Euros} }
func secondToNow(d depositedV2) Event         { return Deposited{Amount: 100*int(d.Euros) + int(d.Cents)} }
func firstOpened(o openedV1) Event            { return Opened{Owner: o.Name} }

// releases returns the two earlier programs, each with its codec.
func releases() []props.Release {
	return []props.Release{
		props.Released(codec.JSON(map[string]any{"Deposited": depositedV1{}, "Opened": openedV1{}}),
			any(depositedV1{}), any(openedV1{})).Forgets("openedV1.Note"),
		props.Released(codec.JSON(map[string]any{"Deposited": depositedV2{}, "Opened": openedV1{}},
			codec.Up("Deposited", 1, firstToSecond)), any(depositedV2{}), any(openedV1{})).Forgets("openedV1.Note"),
	}
}

func today(up ...codec.Upcaster) codec.Codec[Event] {
	if up == nil {
		up = []codec.Upcaster{codec.Up("Deposited", 1, firstToSecond), codec.Up("Deposited", 2, secondToNow), codec.Up("Opened", 1, firstOpened)}
	}
	return codec.JSON(allNames(), up...)
}

// peeking is a codec whose events depend on more than their data.
type peeking struct {
	codec.Codec[Event]
	change func(e Event, r store.Recorded, n int) Event
}

func (p peeking) Decode(dst []Event, recorded []store.Recorded) ([]Event, error) {
	for i, r := range recorded {
		events, err := p.Codec.Decode(nil, recorded[i:i+1])
		if err != nil {
			return dst, err
		}
		for _, e := range events {
			dst = append(dst, p.change(e, r, i))
		}
	}
	return dst, nil
}

func TestUpcasts(t *testing.T) {
	t.Parallel()
	look := func(c codec.Codec[Event]) func() props.Inquiry {
		return func() props.Inquiry { return props.UpcastInquiry(c, releases()...) }
	}
	with := func(up ...codec.Upcaster) func() props.Inquiry { return look(today(up...)) }
	deposits := []codec.Upcaster{codec.Up("Deposited", 1, firstToSecond), codec.Up("Deposited", 2, secondToNow)}
	flaws := map[string]flaw{
		"an upcaster that panics": {with(append(deposits, codec.Up("Opened", 1, func(o openedV1) Event {
			return Opened{Owner: o.Name[1<<20:]}
		}))...), []string{"old events can be read"}, 0, true},
		"an upcaster that returns nil": {with(append(deposits, codec.Up("Opened", 1, func(openedV1) Event {
			return nil
		}))...), []string{"old events can be read"}, 0, false},
		"an upcaster to an unregistered event": {with(append(deposits, codec.Up("Opened", 1, func(openedV1) Event {
			return Audited{}
		}))...), []string{"what is read can be written again"}, 0, true},
		"a shortcut that forgets": {
			with(codec.Up("Deposited", 1, func(d depositedV1) Event {
				return Deposited{Amount: int(d.Euros)}
			}), codec.Up("Deposited", 2, secondToNow), codec.Up("Opened", 1, firstOpened)),
			[]string{"every upgrade path gives the same events"},
			0, true,
		},
		"an upcaster that looks at its neighbours": {look(peeking{today(), func(e Event, _ store.Recorded, n int) Event {
			if n == 2 {
				return Closed{}
			}
			return e
		}}), []string{"an event's meaning depends on its data alone"}, 0, false},
		"a key that was renamed": {with(deposits...), []string{"no old field is lost"}, 0, true},
		"a field that an upcaster forgets": {with(codec.Up("Deposited", 1, firstToSecond), codec.Up("Deposited", 2, func(d depositedV2) Event {
			return Deposited{Amount: int(d.Euros)}
		}), codec.Up("Opened", 1, firstOpened)), []string{"no old field is lost"}, 0, true},
		"a reader that gives nil":                {look(peeking{today(), func(Event, store.Recorded, int) Event { return nil }}), []string{"old events can be read"}, 0, false},
		"a codec that writes less than it reads": {look(terseCodec{today()}), []string{"what is read can be written again"}, 0, false},
		"a release that cannot write": {func() props.Inquiry {
			return props.UpcastInquiry(today(), props.Released[Event](inkless{today()}, Opened{}))
		}, []string{"old events can be read", "what is read can be written again"}, 0, false},
		"a release that renames": {func() props.Inquiry {
			renaming := codec.JSON(map[string]Event{"Opened": Opened{}, "Begun": begun{}}, codec.Up("Opened", 1, func(o Opened) Event { return begun(o) }))
			return props.UpcastInquiry(today(), append(releases(), props.Released[Event](renaming))...)
		}, []string{"every upgrade path gives the same events"}, 0, false},
	}
	for what, looks := range map[string]func(r store.Recorded) bool{
		"stream":         func(r store.Recorded) bool { return r.Stream.Type == "Other" },
		"version":        func(r store.Recorded) bool { return r.Version > 10 },
		"position":       func(r store.Recorded) bool { return r.Position > 1000 },
		"id":             func(r store.Recorded) bool { return r.ID == "other" },
		"time":           func(r store.Recorded) bool { return r.Time.Unix() == 1e9 },
		"recorded time":  func(r store.Recorded) bool { return r.RecordedAt.Unix() == 2e9 },
		"correlation id": func(r store.Recorded) bool { return r.Meta.CorrelationID != "" },
		"causation id":   func(r store.Recorded) bool { return r.Meta.CausationID != "" },
		"actor":          func(r store.Recorded) bool { return r.Meta.ActorID != "" },
		"headers":        func(r store.Recorded) bool { return len(r.Meta.Headers) > 0 },
	} {
		flaws["an upcaster that looks at the "+what] = flaw{look(peeking{today(), func(e Event, r store.Recorded, _ int) Event {
			if looks(r) {
				return Closed{}
			}
			return e
		}}), []string{"an event's meaning depends on its data alone"}, 0, false}
	}
	find(t, flaws, look(today()))
}

// terseCodec does not write who opened the account.
type terseCodec struct{ codec.Codec[Event] }

func (c terseCodec) Encode(e Event) (store.Event, error) {
	if _, ok := e.(Opened); ok {
		e = Opened{}
	}
	return c.Codec.Encode(e)
}

// begun is a name that today's codec does not know.
type begun Opened

func (begun) event() {}

// TestUpcastsCheck shows how to check upcasters.
func TestUpcastsCheck(t *testing.T) {
	t.Parallel()
	props.Upcasts(t, today(), releases()...)
}

// TestUpcastsEmpty checks that a check without samples is an error.
func TestUpcastsEmpty(t *testing.T) {
	t.Parallel()
	_, _, problem := props.Findings(t, props.UpcastInquiry(today(), props.Released(today())))
	if !strings.Contains(problem, "no events to read") {
		t.Errorf("the problem is %q", problem)
	}
}

// unwilling is a codec that refuses to encode some events, or panics.
type unwilling[E any] struct {
	codec.Codec[E]

	refuses func(e E) bool
}

func (c unwilling[E]) Encode(e E) (store.Event, error) {
	if c.refuses(e) {
		return store.Event{}, errors.New("no ink for this")
	}
	return c.Codec.Encode(e)
}

// picky is a codec that refuses to decode some lists.
type picky struct {
	codec.Codec[Event]

	refuses func(recorded []store.Recorded) bool
}

func (c picky) Decode(dst []Event, recorded []store.Recorded) ([]Event, error) {
	if c.refuses(recorded) {
		return nil, errors.New("not like this")
	}
	return c.Codec.Decode(dst, recorded)
}

// openedV0 has a field that a sample sets.
type openedV0 struct{ Name, Kind string }

// TestUpcastsFindings checks which laws are broken, and no others.
func TestUpcastsFindings(t *testing.T) {
	t.Parallel()
	const (
		read, again, ways = "old events can be read", "what is read can be written again", "every upgrade path gives the same events"
		alone, lost       = "an event's meaning depends on its data alone", "no old field is lost"
	)
	names := map[string]any{"Deposited": depositedV1{}, "Opened": openedV1{}}
	deposits := []codec.Upcaster{codec.Up("Deposited", 1, firstToSecond), codec.Up("Deposited", 2, secondToNow)}
	first := releases()[0]
	for name, tt := range map[string]struct {
		today    codec.Codec[Event]
		releases []props.Release
		laws     []string // that are broken
		says     string
	}{
		"nothing":                     {today(), releases(), nil, ""},
		"a release that cannot write": {today(), []props.Release{props.Released[Event](inkless{today()}, Opened{})}, []string{read, again, ways, alone}, "release 1 of 1 cannot encode its own sample Opened{"},
		"an upcaster that panics": {today(append(deposits, codec.Up("Opened", 1, func(openedV1) Event {
			panic("no opening")
		}))...), releases(), []string{read}, "panic: no opening"},
		"a release that does not know a name": {today(), []props.Release{first, props.Released(codec.JSON(map[string]any{"Deposited": depositedV1{}}))}, nil, ""},
		"a release that reads what it cannot write": {
			today(),
			[]props.Release{first, props.Released(codec.JSON(map[string]Event{"Opened": Opened{}}, codec.Up("Opened", 1, func(openedV1) Event { return Audited{} })))},
			nil, "",
		},
		"a lost field of a release that refuses some events": {today(), []props.Release{props.Released[any](unwilling[any]{codec.JSON(names), func(e any) bool {
			o, ok := e.(openedV1)
			return ok && len(o.Note)%2 == 1
		}}, any(openedV1{}))}, []string{lost}, "openedV1.Note, written by release 1 of 1"},
		"a lost field that a sample sets": {
			today(append(deposits, codec.Up("Opened", 1, func(o openedV0) Event { return Opened{Owner: o.Name} }))...),
			[]props.Release{props.Released(codec.JSON(map[string]any{"Opened": openedV0{}}), any(openedV0{Kind: "person"}))},
			nil, "",
		},
		"a key that was renamed": {today(deposits...), releases(), []string{lost}, "openedV1.Name, written by release 1 of 2\n  openedV1.Name, written by release 2 of 2\n"},
		"a writer that panics": {unwilling[Event]{today(), func(e Event) bool {
			if _, ok := e.(Opened); ok {
				panic("no more ink")
			}
			return false
		}}, releases(), []string{again}, "panic: no more ink"},
		"a reader that fails at another place":    {picky{today(), func(r []store.Recorded) bool { return r[0].Position > 1000 }}, releases(), []string{alone}, "at another place, with other ids and times, the event means something else: nothing not like this"},
		"a reader that fails in a list":           {picky{today(), func(r []store.Recorded) bool { return len(r) > 1 }}, releases(), []string{alone}, "in a list with others, the event means something else: nothing not like this"},
		"a reader that only fails in a long list": {picky{today(), func(r []store.Recorded) bool { return len(r) > 3 }}, releases(), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failures, _, problem := props.Findings(t, props.UpcastInquiry(tt.today, tt.releases...))
			var laws []string
			var says strings.Builder
			for _, f := range failures {
				laws = append(laws, f.Law)
				says.WriteString(f.Text + "\n")
			}
			if problem != "" || !slices.Equal(laws, tt.laws) || !strings.Contains(says.String(), tt.says) {
				t.Errorf("%q are broken %s, want %q that say %q:\n%s", laws, problem, tt.laws, tt.says, says.String())
			}
		})
	}
}

// TestReleasedSample checks that Released refuses a sample that is not a struct.
func TestReleasedSample(t *testing.T) {
	t.Parallel()
	defer func() {
		if r := fmt.Sprint(recover()); !strings.Contains(r, "Released") {
			t.Errorf("Released panics with %q", r)
		}
	}()
	props.Released(codec.JSON(map[string]any{"Opened": openedV1{}}), any(5))
}
