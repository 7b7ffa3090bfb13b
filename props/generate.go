package props

import (
	"fmt"
	"math/rand/v2"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
)

const (
	maxLength     = 40 // commands in a history
	maxIdle       = 12 // commands without events that end one
	maxAfter      = 3  // the same, at a terminal state
	maxCandidates = 8  // commands tried for a step
)

// generator makes lists of commands; the same seed gives the same list.
type generator[C, S, E any] struct {
	decider decider.Decider[C, S, E]
	blanks  []blank[C]
	draw    func(t *rapid.T, state S) C // nil: blanks only
	valid   func(state S, cmd C) bool   // nil: all are
}

func (s Suite[C, S, E]) generator() generator[C, S, E] {
	return generator[C, S, E]{s.decider, s.blanks, s.draw, s.valid}
}

// permits reports whether cmd can come in state.
func (g generator[C, S, E]) permits(state S, cmd C) bool {
	return g.valid == nil || g.valid(state, cmd)
}

// choice is how a history is being made.
type choice struct {
	rand  *rand.Rand
	swarm bool   // do without some kinds of commands
	salt  uint64 // says which
}

// commands returns the list of seed. Where the decider panics it ends, and where
// no command can be drawn, with an error: on a state, perhaps, that is wrong.
func (g generator[C, S, E]) commands(seed uint64) (cmds []C, err error) {
	return g.from(rand.NewPCG(seed, 0))
}

// from returns the list of commands that source makes.
func (g generator[C, S, E]) from(source rand.Source) (cmds []C, err error) {
	r := rand.New(source) //nolint:gosec // repeatable on purpose
	ch := choice{rand: r, swarm: r.IntN(2) == 0, salt: r.Uint64()}
	length := 1 + r.IntN(maxLength)
	state, idle := g.decider.Start(), 0
	for len(cmds) < length && idle < maxIdle && (idle < maxAfter || !g.decider.IsTerminal(state)) {
		var s Step[C, S, E]
		var found, ok bool
		if err := catch(func() { s, found, ok = g.next(ch, state) }); err != nil {
			return cmds, fmt.Errorf("props: Commands cannot draw on the state %s: %w", show.Text(state), err)
		}
		if found {
			cmds = append(cmds, s.Command)
		}
		if !ok {
			return cmds, nil
		}
		state = s.After
		idle++
		if len(s.Events) > 0 && s.Err == nil {
			idle = 0
		}
	}
	return cmds, nil
}

// next returns the next step on state, found if there is a valid command, ok
// unless the decider panicked. Most often it is the first candidate that is
// accepted and does something.
func (g generator[C, S, E]) next(ch choice, state S) (s Step[C, S, E], found, ok bool) {
	tries := maxCandidates
	if ch.rand.IntN(8) == 0 {
		tries = 1
	}
	for range tries {
		cmd, valid := g.candidate(ch, state)
		if !valid {
			continue
		}
		found = true
		if err := catch(func() { s = step(g.decider, value.Clone(cmd), state) }); err != nil {
			s.Command = cmd
			return s, true, false
		}
		s.Command = cmd
		if s.Err == nil && len(s.Events) > 0 {
			break
		}
	}
	return s, found, found
}

// candidate returns a command that is valid, of a kind that is not off if one is
// soon found.
func (g generator[C, S, E]) candidate(ch choice, state S) (cmd C, valid bool) {
	for range maxCandidates {
		drawn := g.one(ch.rand, state)
		if !g.permits(state, drawn) {
			continue
		}
		cmd, valid = drawn, true
		if !ch.swarm || !ch.off(show.Kind(cmd)) {
			break
		}
	}
	return cmd, valid
}

func (g generator[C, S, E]) one(r *rand.Rand, state S) C {
	if g.draw == nil || len(g.blanks) > 0 && r.IntN(4) == 0 {
		return g.blanks[r.IntN(len(g.blanks))].draw(r)
	}
	return rapid.Custom(func(t *rapid.T) C {
		rapid.Bool().Draw(t, "any") // rapid wants at least one draw
		return g.draw(t, state)
	}).Example(int(r.Uint64() >> 1))
}

// off reports whether a swarm does without commands of kind.
func (ch choice) off(kind string) bool {
	h := ch.salt
	for _, b := range []byte(kind) {
		h = mix(h ^ uint64(b))
	}
	return h&1 == 0
}

// mix returns a number that looks random, another one for each x (splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
