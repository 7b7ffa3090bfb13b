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

// Release is the codec of an earlier version of the program, together with sample events
// as that version wrote them. See [Released].
type Release struct {
	samples []func(r *rand.Rand) (store.Event, string, error) // returns random events
	kinds   []oldKind
	again   func(recorded []store.Recorded) ([]store.Recorded, error) // reads the events and writes them anew
	forgets []string
}

// oldKind is a kind of event that a release wrote.
type oldKind struct {
	name   string
	fields []oldField
}

// oldField is a field of an old event: with returns the event with another value in the
// field, and without returns the event without the field.
type oldField struct {
	name string
	two  func(r *rand.Rand) (a, b store.Event, ok bool)
}

// Released returns a release: c is the codec that the release used, with the types and
// upcasters of that time, and samples are events of the kinds it wrote, filled as in
// [Suite.Any]. Keep one in the test whenever the shape of an event changes. It panics if
// a sample is not a struct or a pointer to one.
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

// refusals is how many events in a row a codec may refuse.
const refusals = 100

// written returns a random event and its encoding. It draws again, up to a limit, if c
// refuses the event or if the event holds text that is not UTF-8, because such an event
// was never written.
func written[O any](c codec.Codec[O], b blank[O], r *rand.Rand) (old O, stored store.Event, err error) {
	for range refusals {
		old = b.draw(&value.Source{Rand: r})
		if stored, err = c.Encode(old); err == nil && value.UTF8(old) {
			break
		}
	}
	return old, stored, err
}

// Forgets says that fields of old events, such as "Deposited.Note", no longer mean
// anything, so that losing them is not a failure.
func (rel Release) Forgets(fields ...string) Release {
	rel.forgets = slices.Concat(rel.forgets, fields)
	return rel
}

// oldFields returns the fields that random events of b contain.
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

// recordedAs returns events as a stream stores them.
func recordedAs(events ...store.Event) []store.Recorded {
	out := make([]store.Recorded, len(events))
	for i := range events {
		out[i] = store.Recorded{Event: events[i], Stream: store.Stream{Type: "Test", ID: "1"}, Version: uint64(i) + 1, Position: uint64(i) + 1}
	}
	return out
}

// Upcasts checks that c, today's codec, understands what each of the releases wrote. List
// the oldest release first. It checks random events of each release:
//
//   - they decode to events that c can write and read;
//   - they mean the same whether c reads them directly or a release in between has
//     rewritten them;
//   - each of their fields makes a difference to some event, so that no field was renamed
//     or dropped unnoticed;
//   - their meaning depends on their data alone, not on their place in a stream, their
//     ids or their times.
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
			return nil, "props: Upcasts has no events to read: pass samples to Released"
		}
		u := upcasts[E]{c, releases, max(1, rapidChecks())}
		return []finding{
			u.told("old events can be read", u.read),
			u.told("what is read can be written again", u.written),
			u.told("every upgrade path gives the same events", u.ways),
			u.told("an event's meaning depends on its data alone", u.context),
			u.told("no old field is lost", u.lost),
		}, ""
	}
}

// told returns the finding of a law. A panic of check breaks the law.
func (u upcasts[E]) told(law string, check func() string) finding {
	var text string
	if err := catch(func() { text = check() }); err != nil {
		text = err.Error()
	}
	return told(law, text)
}

// each passes random old events to wrong, release by release, until wrong returns a
// problem with one of them.
func (u upcasts[E]) each(wrong func(release int, old store.Event, events []E, err error) string) string {
	for i, rel := range u.releases {
		for n, draw := range rel.samples {
			r := rand.New(rand.NewPCG(uint64(i), uint64(n))) //nolint:gosec // repeatable on purpose
			for range u.rounds {
				old, was, err := draw(r)
				if err != nil {
					return fmt.Sprintf("release %d of %d cannot encode its own sample %s: %v", i+1, len(u.releases), was, err)
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

// decode returns what recorded means today. It returns a panic as an error.
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
	return u.each(func(_ int, _ store.Event, events []E, _ error) string { // the law above reports the error
		for _, e := range events {
			stored, err := u.codec.Encode(e)
			if err != nil {
				return fmt.Sprintf("an old event decodes to an event that cannot be encoded today: %v\n  today    %s", err, show.Text(e))
			}
			if wrong := roundTrip(u.codec, e, stored); wrong != "" {
				return "an old event decodes to an event that changes when it is encoded and decoded again: " + wrong
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
				continue // the release did not know this name, or had nothing to upcast
			}
			other, err := u.decode(anew...)
			if err != nil {
				return fmt.Sprintf("after release %d rewrites the event, it cannot be read: %v", i+1, err)
			}
			if !show.Same(other, events) {
				return fmt.Sprintf("after release %d rewrites the event, it means something else:\n  at once  %s\n  by way   %s", i+1, outcome(events, nil), outcome(other, nil))
			}
		}
		return ""
	})
}

// context reads each old event again, at another place and among other events.
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
			return fmt.Sprintf("at another place, with other ids and times, the event means something else: %s %v\n  alone    %s", outcome(got, nil), err, outcome(events, nil))
		}
		last, lastMeans = append(last, old), append(lastMeans, events)
		if len(last) > maxBatch {
			last, lastMeans = last[1:], lastMeans[1:]
		}
		want := slices.Concat(lastMeans...)
		if got, err := u.decode(recordedAs(last...)...); err != nil || !show.Same(got, want) {
			return fmt.Sprintf("in a list with others, the event means something else: %s %v\n  alone    %s", outcome(got, nil), err, outcome(want, nil))
		}
		return ""
	})
}

// lost finds fields of old events that make no difference to any event that c returns.
func (u upcasts[E]) lost() string {
	var gone []string
	for i, rel := range u.releases {
		for k, of := range rel.kinds {
			for n, f := range of.fields {
				if name := of.name + "." + f.name; !slices.Contains(rel.forgets, name) && !u.counts(f, uint64(i*1000+k), uint64(n)) {
					gone = append(gone, fmt.Sprintf("%s, written by release %d of %d", name, i+1, len(u.releases)))
				}
			}
		}
	}
	if len(gone) == 0 {
		return ""
	}
	return "these fields of old events make no difference to what they decode to:\n  " + strings.Join(gone, "\n  ") +
		"\nwas a key renamed without an upcaster, or forgotten in one? If the fields no longer mean anything, list them with Forgets."
}

// counts reports whether f makes a difference. It also returns true if f could not be
// tried.
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
		if errX != nil || errY != nil { // another law reports it
			return true
		}
		tried++
		if !show.Same(x, y) {
			return true
		}
	}
	return tried == 0
}
