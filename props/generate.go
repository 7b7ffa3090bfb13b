package props

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
)

const (
	maxLength     = 40  // commands in most histories
	longest       = 160 // in one of sixteen histories
	farthestAway  = 400 // when looking for what never came
	maxIdle       = 12  // commands in a row without events that end a history
	maxAfter      = 3   // the same, at a terminal state
	maxCandidates = 8   // commands tried per step
	recent        = 8   // steps whose values are used again
)

// generator makes lists of commands; the same seed gives the same list.
type generator[C, S, E any] struct {
	decider decider.Decider[C, S, E]
	blanks  []blank[C]
	missing []string                    // fields that are never filled
	draw    func(t *rapid.T, state S) C // nil: only blanks
	valid   func(state S, cmd C) bool   // nil: all are valid
	watch   *watch                      // nil: not watched
}

func (s Suite[C, S, E]) generator() generator[C, S, E] {
	blanks, missing := s.blanks()
	return generator[C, S, E]{decider: s.decider, blanks: blanks, missing: missing, draw: s.draw, valid: s.valid}
}

// permits reports whether cmd can come in state.
func (g generator[C, S, E]) permits(state S, cmd C) bool {
	return g.valid == nil || g.valid(state, cmd)
}

// strategy is how the commands of a history are chosen.
type strategy int

const (
	plain  strategy = iota // commands that are accepted, in random order
	swarm                  // leaves out some kinds of commands
	driven                 // prefers the kinds that were used least so far, to get far
)

// choice is a history in the making.
type choice[C, S, E any] struct {
	rand     *rand.Rand
	strategy strategy
	salt     uint64         // decides which kinds a swarm leaves out, and which come first when driven
	wanted   []blank[C]     // kinds that have never come, which are tried first
	prefix   []C            // commands that the history begins with
	used     map[string]int // by kind, how often it did something
	steps    []Step[C, S, E]
	source   *value.Source
	known    value.Known
}

// commands returns the list of commands for seed. It ends where the decider panics. If no
// command can be drawn, perhaps because a state is wrong, it returns an error.
func (g generator[C, S, E]) commands(seed uint64) (cmds []C, err error) {
	return g.from(rand.NewPCG(seed, 0))
}

// from returns the list of commands that source makes.
func (g generator[C, S, E]) from(source rand.Source) (cmds []C, err error) {
	r := rand.New(source) //nolint:gosec // repeatable on purpose
	ch := &choice[C, S, E]{rand: r, salt: r.Uint64(), used: map[string]int{}}
	switch r.IntN(8) {
	case 0, 1, 2, 3:
		ch.strategy = swarm
	case 4, 5:
		ch.strategy = driven
	}
	length := 1 + r.IntN(maxLength)
	if r.IntN(16) == 0 {
		length = 1 + r.IntN(longest)
	}
	return g.make(ch, length, maxIdle)
}

// seek returns a list of commands that continues a history that got far. It tries the
// kinds in wanted first, and may be long.
func (g generator[C, S, E]) seek(seed uint64, wanted []string, far *frontier[C]) (cmds []C, err error) {
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // repeatable on purpose
	ch := &choice[C, S, E]{rand: r, salt: r.Uint64(), used: map[string]int{}, strategy: strategy(r.IntN(3))}
	if r.IntN(2) == 0 {
		for _, b := range g.blanks {
			if slices.Contains(wanted, show.Kind(b.sample)) {
				ch.wanted = append(ch.wanted, b)
			}
		}
	}
	length := maxLength
	if r.IntN(8) == 0 {
		length = farthestAway
	}
	if r.IntN(4) > 0 {
		ch.prefix = far.pick(r)
	}
	return g.make(ch, len(ch.prefix)+1+r.IntN(length), 2*maxIdle)
}

const (
	perPlace  = 4 // ways kept to each place
	maxRepeat = 5 // counts of a kind of command that make different places
	compared  = 4 // places; a history continues from the least known of them
)

// frontier records how far histories got: the ways to each place. A place is what a
// command led to, and how many times in its history. New histories continue most often
// from places that few histories reached.
type frontier[C any] struct {
	names []string // of the places, in the order in which they were found
	ways  map[string][][]C
	seen  map[string]int
}

// explore adds the places of h to far.
func explore[C, S, E any](far *frontier[C], h History[C, S, E], r *rand.Rand) {
	times := map[string]int{}
	cmds := make([]C, len(h.Steps))
	for i, s := range h.Steps {
		if cmds[i] = s.Command; !s.acted() {
			continue
		}
		k := show.Kind(s.Command) + " " + s.label()
		times[k]++
		name := fmt.Sprint(k, min(times[k], maxRepeat))
		if far.seen[name]++; far.seen[name] == 1 {
			far.names = append(far.names, name)
		}
		way := cmds[: i+1 : i+1]
		if known := far.ways[name]; len(known) < perPlace {
			far.ways[name] = append(known, way)
		} else if n := r.IntN(perPlace); len(known[n]) >= len(way) || r.IntN(8) == 0 {
			known[n] = way
		}
	}
}

// pick returns a way to continue from, or nil if there is none.
func (f *frontier[C]) pick(r *rand.Rand) []C {
	if len(f.names) == 0 {
		return nil
	}
	best := f.names[r.IntN(len(f.names))]
	for range compared - 1 {
		if name := f.names[r.IntN(len(f.names))]; f.seen[name] < f.seen[best] {
			best = name
		}
	}
	return f.ways[best][r.IntN(len(f.ways[best]))]
}

// make returns at most length commands, chosen according to ch.
func (g generator[C, S, E]) make(ch *choice[C, S, E], length, maxIdle int) (cmds []C, err error) {
	ch.source = &value.Source{Rand: ch.rand, Odd: ch.rand.IntN(8) == 0}
	g.watch.history(func() string { return section(columns, History[C, S, E]{Steps: ch.steps}.table(-1)) })
	state, idle := g.decider.Start(), 0
	for len(cmds) < length && idle < maxIdle && (idle < maxAfter || !g.decider.IsTerminal(state)) {
		ch.source.Known = sync.OnceValue(func() *value.Known { return ch.seen(state) })
		var s Step[C, S, E]
		var found, ok bool
		if err := catch(func() { s, found, ok = g.prefixed(ch, state, len(cmds)) }); err != nil {
			return cmds, fmt.Errorf("props: Commands cannot draw on the state %s: %w", show.Text(state), err)
		}
		if found {
			cmds = append(cmds, s.Command)
		}
		if !ok {
			return cmds, nil
		}
		ch.steps = append(ch.steps, s)
		state = s.After
		idle++
		if s.acted() {
			idle = 0
			ch.used[show.Kind(s.Command)]++
		}
	}
	return cmds, nil
}

// prefixed returns step n: the one of the prefix, or the next one.
func (g generator[C, S, E]) prefixed(ch *choice[C, S, E], state S, n int) (s Step[C, S, E], found, ok bool) {
	if n >= len(ch.prefix) {
		return g.next(ch, state)
	}
	s, err := g.try(ch.prefix[n], state)
	return s, true, err == nil
}

// acted reports whether the command of s was accepted and led to events.
func (s Step[C, S, E]) acted() bool { return s.Err == nil && len(s.Events) > 0 }

// seen returns the values in state, and in the last commands and their events.
func (ch *choice[C, S, E]) seen(state S) *value.Known {
	ch.known.Forget()
	for _, s := range ch.steps[max(0, len(ch.steps)-recent):] {
		ch.known.See(reflect.ValueOf(&s.Command).Elem())
		for i := range s.Events {
			ch.known.See(reflect.ValueOf(&s.Events[i]).Elem())
		}
	}
	ch.known.SeeState(reflect.ValueOf(&state).Elem())
	return &ch.known
}

// next returns the next step on state. Found reports whether there is a valid command,
// and ok is false if the decider panicked. Mostly the step is the first candidate that is
// accepted and does something. When driven, it is the one whose kind did least.
func (g generator[C, S, E]) next(ch *choice[C, S, E], state S) (best Step[C, S, E], found, ok bool) {
	tries := maxCandidates
	switch {
	case ch.rand.IntN(8) == 0:
		tries = 1
	case ch.strategy == driven:
		tries = max(tries, 2*len(g.blanks))
	}
	for n := range tries + len(ch.wanted) {
		cmd, valid := g.candidate(ch, state, n)
		if !valid {
			continue
		}
		s, err := g.try(cmd, state)
		if err != nil {
			return s, true, false
		}
		if !found || !best.acted() || s.acted() && ch.before(s, best) {
			best = s
		}
		found = true
		if best.acted() && (ch.strategy != driven || n < len(ch.wanted)) {
			break
		}
	}
	return best, found, found
}

// try decides cmd on state. The error is a panic of the decider.
func (g generator[C, S, E]) try(cmd C, state S) (s Step[C, S, E], err error) {
	err = catch(func() { s = step(g.decider, value.Clone(cmd), state) })
	s.Command = cmd
	return s, err
}

// before reports whether a driven history prefers a to b.
func (ch *choice[C, S, E]) before(a, b Step[C, S, E]) bool {
	ka, kb := show.Kind(a.Command), show.Kind(b.Command)
	return cmp.Or(cmp.Compare(ch.used[ka], ch.used[kb]), cmp.Compare(ch.hash(ka), ch.hash(kb))) < 0
}

// candidate returns the nth command to try for a step: first one of each wanted kind,
// then one of a kind that is not left out, if one is soon found. It may be invalid.
func (g generator[C, S, E]) candidate(ch *choice[C, S, E], state S, n int) (cmd C, valid bool) {
	if n < len(ch.wanted) {
		cmd = ch.wanted[n].draw(ch.source)
		return cmd, g.permits(state, cmd)
	}
	for range maxCandidates {
		drawn := g.one(ch, state)
		if !g.permits(state, drawn) {
			continue
		}
		cmd, valid = drawn, true
		if ch.strategy != swarm || ch.hash(show.Kind(cmd))&1 == 1 {
			break
		}
	}
	return cmd, valid
}

func (g generator[C, S, E]) one(ch *choice[C, S, E], state S) C {
	if g.draw == nil || len(g.blanks) > 0 && ch.rand.IntN(4) == 0 {
		return g.blanks[ch.rand.IntN(len(g.blanks))].draw(ch.source)
	}
	return rapid.Custom(func(t *rapid.T) C {
		rapid.Bool().Draw(t, "any") // rapid wants at least one draw
		return g.draw(t, state)
	}).Example(int(ch.rand.Uint64() >> 1))
}

// hash returns a number for kind that differs from history to history.
func (ch *choice[C, S, E]) hash(kind string) uint64 {
	h := ch.salt
	for _, b := range []byte(kind) {
		h = mix(h ^ uint64(b))
	}
	return h
}

// mix returns a number that looks random and differs for each x (splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
