package props

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
	"github.com/evolvego/evolve/store"
)

// Release is a codec as a program of the past had it, and events like those that
// it wrote: see [Released].
type Release struct {
	samples []func(r *rand.Rand) (store.Event, string, error) // random ones
	kinds   []oldKind
	again   func(recorded []store.Recorded) ([]store.Recorded, error) // what it writes of what it reads
	forgets []string
}

// oldKind is a kind of event of a release.
type oldKind struct {
	name   string
	fields []oldField
}

// oldField is a field of an old event: with returns the event with another value
// in it, and without.
type oldField struct {
	name string
	two  func(r *rand.Rand) (a, b store.Event, ok bool)
}

// Released returns a release: c is the codec that it had, with the types and
// upcasters of the time, and samples are events like those that it wrote, filled
// as by [Suite.Any]. Keep one in the test whenever the shape of an event changes.
// It panics if a sample is not a struct or a pointer to one.
func Released[O any](c codec.Codec[O], samples ...O) Release {
	rel := Release{
		again: func(recorded []store.Recorded) (out []store.Recorded, err error) {
			events, err := c.Decode(nil, recorded)
			if err != nil {
				return nil, err
			}
			stored := make([]store.Event, len(events))
			for i, e := range events {
				if stored[i], err = c.Encode(e); err != nil {
					return nil, err
				}
			}
			return recordedAs(stored...), nil
		},
	}
	f := value.NewFiller()
	for _, sample := range samples {
		checkSample("Released", sample)
		b := blankOf(sample, f)
		rel.samples = append(rel.samples, func(r *rand.Rand) (store.Event, string, error) {
			old, stored, err := written(c, b, r)
			return stored, show.Text(old), err
		})
		rel.kinds = append(rel.kinds, oldKind{show.Kind(sample), oldFields(c, b)})
	}
	return rel
}

// refusals is how many events a codec may refuse, one after the other.
const refusals = 100

// written returns a random event that c has written, its error if there seems to be
// none. What is not UTF-8, or no number to the format, never was.
func written[O any](c codec.Codec[O], b blank[O], r *rand.Rand) (old O, stored store.Event, err error) {
	for range refusals {
		old = b.draw(&value.Source{Rand: r})
		if stored, err = c.Encode(old); err == nil && value.UTF8(old) {
			break
		}
	}
	return old, stored, err
}

// Forgets says of fields of old events, such as "Deposited.Note", that they mean
// nothing any more: that they get lost is no mistake.
func (rel Release) Forgets(fields ...string) Release {
	rel.forgets = slices.Concat(rel.forgets, fields)
	return rel
}

// oldFields returns the fields that random events of b have.
func oldFields[O any](c codec.Codec[O], b blank[O]) (all []oldField) {
	v := value.Struct(reflect.ValueOf(&b.sample).Elem())
	for n := range v.NumField() {
		f := v.Type().Field(n)
		if of := value.NewFiller().Of(f.Name, f.Type); f.IsExported() && of != nil && show.Empty(v.Field(n)) {
			all = append(all, oldField{f.Name, func(r *rand.Rand) (x, y store.Event, ok bool) {
				old, _, _ := written(c, b, r)
				other := value.Edit(old, func(v reflect.Value) { of(&value.Source{Rand: r}, v.Field(n)) })
				x, errX := c.Encode(old)
				y, errY := c.Encode(other)
				return x, y, errX == nil && errY == nil && !bytes.Equal(x.Data, y.Data)
			}})
		}
	}
	return all
}

// recordedAs returns events as a stream has them.
func recordedAs(events ...store.Event) []store.Recorded {
	out := make([]store.Recorded, len(events))
	for i := range events {
		out[i] = store.Recorded{Event: events[i], Stream: store.Stream{Type: "Test", ID: "1"}, Version: uint64(i) + 1, Position: uint64(i) + 1}
	}
	return out
}

// Upcasts checks that c, the codec of today, understands what each of releases,
// the oldest first, wrote: random events of each decode, to events that c can
// write and read; they mean the same on every way there, read by c at once or
// written anew by a release between; each of their fields makes a difference to
// some event, so that none was renamed or left behind unnoticed; and what an event
// means depends on its data alone, not on its place in a stream, its ids or time.
func Upcasts[E any](t *testing.T, c codec.Codec[E], releases ...Release) {
	t.Helper()
	conclude(t, upcastInquiry(c, releases))
}

// upcasts is a check of old events.
type upcasts[E any] struct {
	codec    codec.Codec[E]
	releases []Release
	rounds   int
}

func upcastInquiry[E any](c codec.Codec[E], releases []Release) inquiry {
	return func(t *testing.T) ([]finding, string) {
		t.Helper()
		samples := 0
		for _, rel := range releases {
			samples += len(rel.samples)
		}
		if samples == 0 {
			return nil, "props: Upcasts has no events to read: give Released samples"
		}
		u := upcasts[E]{c, releases, max(1, setting[int]("rapid.checks"))}
		if testing.Short() {
			u.rounds = max(1, u.rounds/5)
		}
		return []finding{
			u.told("what was written is read", u.read),
			u.told("what is read can be written", u.written),
			u.told("every way to today leads to the same", u.ways),
			u.told("an event means what its data says", u.context),
			u.told("no field of old is lost", u.lost),
		}, ""
	}
}

// told is the finding of a law, of which a panic is a breach.
func (u upcasts[E]) told(law string, check func() string) finding {
	var text string
	if err := catch(func() { text = check() }); err != nil {
		text = err.Error()
	}
	return told(law, text)
}

// each shows random old events, in the order of releases, until wrong finds
// something in one of them.
func (u upcasts[E]) each(wrong func(release int, old store.Event, events []E, err error) string) string {
	for i, rel := range u.releases {
		for n, draw := range rel.samples {
			r := rand.New(rand.NewPCG(uint64(i), uint64(n))) //nolint:gosec // repeatable on purpose
			for range u.rounds {
				old, was, err := draw(r)
				if err != nil {
					return fmt.Sprintf("release %d of %d does not write its own sample %s: %v", i+1, len(u.releases), was, err)
				}
				events, err := u.decode(recordedAs(old)...)
				if text := wrong(i, old, events, err); text != "" {
					return fmt.Sprintf("%s\n  written  %s, by release %d of %d\n  stored   %s in schema version %d: %s",
						text, was, i+1, len(u.releases), old.Type, old.Schema, show.Cut(string(old.Data), 2*maxColumn))
				}
			}
		}
	}
	return ""
}

// decode returns what recorded means today; a panic is an error.
func (u upcasts[E]) decode(recorded ...store.Recorded) (events []E, err error) {
	if p := catch(func() { events, err = u.codec.Decode(nil, recorded) }); p != nil {
		err = p
	}
	return events, err
}

func (u upcasts[E]) read() string {
	return u.each(func(_ int, _ store.Event, events []E, err error) string {
		if err != nil {
			return "an old event cannot be read: " + err.Error()
		}
		if slices.ContainsFunc(events, value.IsNil[E]) {
			return "an old event is read as nil"
		}
		return ""
	})
}

func (u upcasts[E]) written() string {
	return u.each(func(_ int, _ store.Event, events []E, err error) string {
		if err != nil {
			return "" // the law above
		}
		for _, e := range events {
			stored, err := u.codec.Encode(e)
			if err != nil {
				return fmt.Sprintf("an old event becomes one that cannot be written today: %v\n  today    %s", err, show.Text(e))
			}
			if wrong := roundTrip(u.codec, e, stored); wrong != "" {
				return "an old event becomes one that is another when it is written and read again: " + wrong
			}
		}
		return ""
	})
}

func (u upcasts[E]) ways() string {
	return u.each(func(release int, old store.Event, events []E, err error) string {
		if err != nil {
			return ""
		}
		for i := release + 1; i < len(u.releases); i++ {
			anew, err := u.releases[i].again(recordedAs(old))
			if err != nil {
				continue // it did not know this name, or had nothing to do with it
			}
			other, err := u.decode(anew...)
			if err != nil {
				return fmt.Sprintf("written anew by release %d it cannot be read: %v", i+1, err)
			}
			if !show.Same(other, events) {
				return fmt.Sprintf("written anew by release %d it means something else:\n  at once  %s\n  by way   %s", i+1, outcome(events, nil), outcome(other, nil))
			}
		}
		return ""
	})
}

// context reads each old event again, elsewhere and with others around it.
func (u upcasts[E]) context() string {
	var last []store.Event
	var lastMeans [][]E
	return u.each(func(_ int, old store.Event, events []E, err error) string {
		if err != nil {
			return ""
		}
		other := recordedAs(old)[0]
		other.Stream, other.Version, other.Position = store.Stream{Type: "Other", ID: "2"}, 17, 1917
		other.ID, other.Time, other.RecordedAt = "other", time.Unix(1e9, 0), time.Unix(2e9, 0)
		other.Meta = store.Metadata{CorrelationID: "x", CausationID: "y", ActorID: "z", Headers: map[string]string{"a": "b"}}
		if got, err := u.decode(other); err != nil || !show.Same(got, events) {
			return fmt.Sprintf("at another place, with other ids and times, it means something else: %s %v\n  alone    %s", outcome(got, nil), err, outcome(events, nil))
		}
		last, lastMeans = append(last, old), append(lastMeans, events)
		if len(last) > maxBatch {
			last, lastMeans = last[1:], lastMeans[1:]
		}
		want := slices.Concat(lastMeans...)
		if got, err := u.decode(recordedAs(last...)...); err != nil || !show.Same(got, want) {
			return fmt.Sprintf("in a list with others it means something else: %s %v\n  alone    %s", outcome(got, nil), err, outcome(want, nil))
		}
		return ""
	})
}

// lost finds fields of old events that make no difference to any event of today.
func (u upcasts[E]) lost() string {
	var gone []string
	for i, rel := range u.releases {
		for k, of := range rel.kinds {
			for n, f := range of.fields {
				if name := of.name + "." + f.name; !slices.Contains(rel.forgets, name) && !u.counts(f, uint64(i*1000+k), uint64(n)) {
					gone = append(gone, fmt.Sprintf("%s, of release %d of %d", name, i+1, len(u.releases)))
				}
			}
		}
	}
	if len(gone) == 0 {
		return ""
	}
	return "whatever these fields of old events hold, the events of today are the same:\n  " + strings.Join(gone, "\n  ") +
		"\nwas a key renamed without an upcaster, or forgotten in one? If they mean nothing any more, say Forgets."
}

// counts reports whether f makes a difference, or could not be tried.
func (u upcasts[E]) counts(f oldField, seed1, seed2 uint64) bool {
	r := rand.New(rand.NewPCG(seed1, seed2)) //nolint:gosec // repeatable on purpose
	tried := 0
	for range u.rounds {
		a, b, ok := f.two(r)
		if !ok {
			continue
		}
		x, errX := u.decode(recordedAs(a)...)
		y, errY := u.decode(recordedAs(b)...)
		if errX != nil || errY != nil { // another law
			return true
		}
		tried++
		if !show.Same(x, y) {
			return true
		}
	}
	return tried == 0
}
