package props

import (
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/store"
)

// ReplaySuite holds what to check on recorded events: see [Replay].
type ReplaySuite[C, S, E any] struct {
	decider    decider.Decider[C, S, E]
	codec      codec.Codec[E]
	invariants []replayLaw[S]
	command    func(batch []store.Recorded) (C, bool)
}

// replayLaw is an invariant.
type replayLaw[S any] struct {
	name  string
	holds func(state S) error
}

// Replay returns a suite that replays recorded events, such as those of production, with
// d and c as they are today: every event decodes, and is the same when it is encoded and
// decoded again; Evolve is total on it, and leads to the same state twice; streams have
// no gap.
//
//	func TestReplay(t *testing.T) {
//		file, err := os.Open("testdata/production.jsonl") // written by props.WriteLines
//		…
//		props.Replay(account.Decider, account.Codec).
//			Invariant("balance is never negative", solvent).
//			Check(t, props.Lines(file))
//	}
//
// Its methods return copies with something added.
func Replay[C, S, E any](d decider.Decider[C, S, E], c codec.Codec[E]) ReplaySuite[C, S, E] {
	return ReplaySuite[C, S, E]{decider: d, codec: c}
}

// Invariant adds a law with the given name: holds returns nil for the state at each
// version of each stream, or an error that says what is wrong.
func (s ReplaySuite[C, S, E]) Invariant(name string, holds func(state S) error) ReplaySuite[C, S, E] {
	s.invariants = append(slices.Clip(s.invariants), replayLaw[S]{name, holds})
	return s
}

// Commands adds the law that Decide still decides what it decided then. Of returns the
// command that led to the events of batch, or false if it is not known. A batch is a run
// of events of a stream with the same causation id. Events without one are batches of
// their own.
func (s ReplaySuite[C, S, E]) Commands(of func(batch []store.Recorded) (C, bool)) ReplaySuite[C, S, E] {
	s.command = of
	return s
}

// Check replays events, such as those of [Lines] or store.Events. Streams may be mixed,
// but each must begin at version 1 and be in order. Each law is a subtest, which reports
// where the law was broken first, and how often. An error from events fails the test, and
// so does an empty sequence. With -v it logs how many events there were.
func (s ReplaySuite[C, S, E]) Check(t *testing.T, events iter.Seq2[store.Recorded, error]) {
	t.Helper()
	conclude(t, s.inquiry(events))
}

func (s ReplaySuite[C, S, E]) inquiry(events iter.Seq2[store.Recorded, error]) inquiry {
	return func(t *testing.T) (found []finding, problem string) {
		t.Helper()
		p := &replayer[C, S, E]{ReplaySuite: s, streams: map[store.Stream]*replayed[S, E]{}, broken: map[string]*broken{}}
		for r, err := range events {
			if err != nil {
				return nil, err.Error()
			}
			p.add(r)
		}
		for _, name := range p.order {
			p.decide(p.streams[name])
		}
		if p.events == 0 {
			return nil, "props: there are no events to replay"
		}
		if testing.Verbose() {
			t.Logf("events: %d, streams: %d", p.events, len(p.streams))
		}
		for _, name := range p.laws() {
			found = append(found, told(name, p.broken[name].String()))
		}
		return found, ""
	}
}

// Names of the laws about recorded events.
const (
	lawGaps    = "streams have no gap"
	lawDecodes = "every recorded event decodes"
	lawWritten = "every recorded event can be written again"
	lawTotal   = "evolve is total on recorded events"
	lawSame    = "replay gives the same state"
	lawDecided = "decisions are the same today"
)

func (s ReplaySuite[C, S, E]) laws() []string {
	names := []string{lawGaps, lawDecodes, lawWritten, lawTotal, lawSame}
	if s.command != nil {
		names = append(names, lawDecided)
	}
	for _, i := range s.invariants {
		names = append(names, i.name)
	}
	return names
}

// replayer is a replay in progress.
type replayer[C, S, E any] struct {
	ReplaySuite[C, S, E]

	streams map[store.Stream]*replayed[S, E]
	order   []store.Stream // in the order of their first events
	broken  map[string]*broken
	events  int
}

// replayed is a stream, as far as it has been replayed.
type replayed[S, E any] struct {
	state   S
	version uint64
	lost    bool // it cannot continue
	past    []E  // the last few events
	// The batch that is being read, and the state before it.
	batch   []store.Recorded
	means   []E
	before  S
	earlier []E // the last few events before the batch
}

// broken is a law that is broken.
type broken struct {
	first string
	times int
}

// String says where the law was broken. It returns "" for nil.
func (b *broken) String() string {
	switch {
	case b == nil:
		return ""
	case b.times == 1:
		return b.first
	case b.times == 2:
		return b.first + "\nand once more"
	}
	return fmt.Sprintf("%s\nand %d more times", b.first, b.times-1)
}

const tail = 5 // events to show before a breach

// breaks records that r, which follows past, breaks the law called name.
func (p *replayer[C, S, E]) breaks(name string, past []E, r store.Recorded, format string, args ...any) {
	b := p.broken[name]
	if b == nil {
		b = &broken{}
		p.broken[name] = b
	}
	if b.times++; b.times > 1 {
		return
	}
	b.first = fmt.Sprintf("version %d of %s, %s in schema version %d: %s\n  stored  %s",
		r.Version, r.Stream, r.Type, r.Schema, fmt.Sprintf(format, args...), show.Cut(string(r.Data), 2*maxColumn))
	for i, e := range past {
		if i == 0 {
			b.first += "\n  before  " + show.Text(e)
			continue
		}
		b.first += "\n          " + show.Text(e)
	}
}

// add replays r.
func (p *replayer[C, S, E]) add(r store.Recorded) {
	p.events++
	s := p.streams[r.Stream]
	if s == nil {
		s = &replayed[S, E]{state: p.decider.Start()}
		p.streams[r.Stream], p.order = s, append(p.order, r.Stream)
	}
	if s.lost {
		return
	}
	if r.Version != s.version+1 {
		p.breaks(lawGaps, s.past, r, "it comes after version %d", s.version)
		s.lost = true
		return
	}
	s.version = r.Version
	if len(s.batch) > 0 && (r.Meta.CausationID == "" || s.batch[0].Meta.CausationID != r.Meta.CausationID) {
		p.decide(s)
	}
	p.replay(s, r)
}

// replay decodes and evolves r.
func (p *replayer[C, S, E]) replay(s *replayed[S, E], r store.Recorded) {
	var events []E
	var err error
	if panicked := catch(func() { events, err = p.codec.Decode(nil, []store.Recorded{r}) }); panicked != nil {
		err = panicked
	}
	if err != nil {
		p.breaks(lawDecodes, s.past, r, "%v", err)
		s.lost = true
		return
	}
	if len(s.batch) == 0 {
		s.before, s.earlier = s.state, slices.Clone(s.past)
	}
	s.batch, s.means = append(s.batch, r), append(s.means, events...)
	for _, e := range events {
		p.write(s, r, e)
		var next, again S
		err := catch(func() {
			next = p.decider.Evolve(s.state, e)
			again = p.decider.Evolve(s.state, e)
		})
		if err != nil {
			p.breaks(lawTotal, s.past, r, "Evolve(%s, %s): %v", show.Text(s.state), show.Text(e), err)
			s.lost = true
			return
		}
		if !show.Same(next, again) {
			p.breaks(lawSame, s.past, r, "evolving one state twice by %s gives different states: %s", show.Text(e), show.Changes(next, again))
		}
		s.state = next
		for _, i := range p.invariants {
			if b := complaint(0, func() error { return i.holds(next) }); b != nil {
				p.breaks(i.name, s.past, r, "%s\n  state   %s", b.text, show.Text(next))
			}
		}
		s.past = append(s.past, e)
		s.past = s.past[max(0, len(s.past)-tail):]
	}
}

// write checks that e, decoded from r, can be written again.
func (p *replayer[C, S, E]) write(s *replayed[S, E], r store.Recorded, e E) {
	var stored store.Event
	var err error
	if panicked := catch(func() { stored, err = p.codec.Encode(e) }); panicked != nil {
		err = panicked
	}
	if err != nil {
		p.breaks(lawWritten, s.past, r, "Encode(%s): %v", show.Text(e), err)
		return
	}
	if wrong := roundTrip(p.codec, e, stored); wrong != "" {
		p.breaks(lawWritten, s.past, r, "%s", wrong)
	}
}

// decide runs the command of the batch of s again, and then drops the batch.
func (p *replayer[C, S, E]) decide(s *replayed[S, E]) {
	batch, means := s.batch, s.means
	s.batch, s.means = nil, nil
	if p.command == nil || s.lost {
		return
	}
	var cmd C
	var known bool
	var got decision[E]
	err := catch(func() {
		if cmd, known = p.command(batch); known {
			got.events, got.err = p.decider.Decide(cmd, s.before)
		}
	})
	switch {
	case err != nil:
		p.breaks(lawDecided, s.earlier, batch[0], "%s on %s: %v", show.Text(cmd), show.Text(s.before), err)
	case known && (got.err != nil || !show.Same(got.events, means)):
		p.breaks(lawDecided, s.earlier, batch[0], "%s is decided differently today\n  state   %s\n  then    %s\n  today   %s",
			show.Text(cmd), show.Text(s.before), outcome(means, nil), outcome(got.events, got.err))
	}
}
