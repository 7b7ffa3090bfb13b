package props

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/internal/show"
)

const (
	perCheck    = 10  // histories for each of rapid's checks
	meaningful  = 100 // histories from which on what never happened is an error
	maxOutcomes = 6   // shown for a kind of command
)

// coverage counts what the histories were made of.
type coverage[C, S, E any] struct {
	goal, histories, steps int
	kinds                  map[string]*tally
	reaches                []reach[C, S, E]
	hits                   []int
	codec                  codec.Codec[E]
	events                 map[string]string // by kind: the names that the codec gives
	decider                decider.Decider[C, S, E]
	idle                   map[string]int // by kind: the events that changed nothing, if none did
	rejections             []error        // declared
	seen                   []bool         // of rejections
	without                []string       // verdicts to leave out
}

// tally counts what came of a kind of command.
type tally struct {
	steps, accepted int
	outcomes        map[string]int
}

func newCoverage[C, S, E any](s Suite[C, S, E]) *coverage[C, S, E] {
	c := &coverage[C, S, E]{
		goal: s.checks, kinds: map[string]*tally{}, reaches: s.reaches, hits: make([]int, len(s.reaches)),
		codec: s.codec, events: map[string]string{},
		decider: s.decider, idle: map[string]int{},
		rejections: s.rejections, seen: make([]bool, len(s.rejections)), without: s.without,
	}
	if c.goal == 0 {
		c.goal = perCheck * setting[int]("rapid.checks")
		if testing.Short() {
			c.goal = max(1, c.goal/5)
		}
	}
	for _, b := range s.blanks {
		c.tally(show.Kind(b.sample))
	}
	return c
}

func (c *coverage[C, S, E]) tally(kind string) *tally {
	t := c.kinds[kind]
	if t == nil {
		t = &tally{outcomes: map[string]int{}}
		c.kinds[kind] = t
	}
	return t
}

func (c *coverage[C, S, E]) add(h History[C, S, E]) {
	c.histories++
	c.steps += len(h.Steps)
	for _, s := range h.Steps {
		t := c.tally(show.Kind(s.Command))
		t.steps++
		if s.Err == nil {
			t.accepted++
		}
		t.outcomes[s.label()]++
		c.name(s)
		c.effects(s)
		for i, target := range c.rejections {
			c.seen[i] = c.seen[i] || s.Err != nil && errors.Is(s.Err, target)
		}
		for i, r := range c.reaches {
			if r.hit(s) {
				c.hits[i]++
			}
		}
	}
}

// effective marks a kind of events of which one has changed the state.
const effective = -1

// effects counts the events of kinds that have changed no state so far.
func (c *coverage[C, S, E]) effects(s Step[C, S, E]) {
	if s.Err != nil {
		return
	}
	state := s.Before
	for i, e := range s.Events {
		next := s.After
		if i < len(s.Events)-1 {
			next = c.decider.Evolve(state, e)
		}
		if k := show.Kind(e); c.idle[k] != effective {
			c.idle[k]++
			if show.Text(state) != show.Text(next) {
				c.idle[k] = effective
			}
		}
		state = next
	}
}

// name learns what the codec calls the events of s.
func (c *coverage[C, S, E]) name(s Step[C, S, E]) {
	if c.codec == nil || s.Err != nil {
		return
	}
	for _, e := range s.Events {
		k := show.Kind(e)
		if c.events[k] != "" {
			continue
		}
		_ = catch(func() { // the codec's laws tell what is wrong
			if stored, err := c.codec.Encode(e); err == nil {
				c.events[k] = stored.Type
			}
		})
	}
}

// undecided returns the verdict on the events of the codec, false if it does not
// tell their names.
func (c *coverage[C, S, E]) undecided() (verdict, bool) {
	names, ok := c.codec.(interface{ Names() []string })
	if !ok {
		return verdict{}, false
	}
	v := verdict{name: "every event is decided at times"}
	decided := slices.Collect(maps.Values(c.events))
	never := slices.DeleteFunc(slices.Clone(names.Names()), func(n string) bool { return slices.Contains(decided, n) })
	if v.missed = len(never) > 0; v.missed {
		v.text = fmt.Sprintf("never decided in %d histories, though the codec has it: %s", c.histories, strings.Join(never, ", "))
	}
	return v, true
}

// label returns the kinds of events that s decided, or why it was rejected.
func (s Step[C, S, E]) label() string {
	if s.Err != nil {
		return "✗ " + show.Cut(digits.ReplaceAllString(s.Err.Error(), "#"), maxColumn)
	}
	if len(s.Events) == 0 {
		return "nothing"
	}
	kinds := make([]string, len(s.Events))
	for i, e := range s.Events {
		kinds[i] = show.Kind(e)
	}
	return strings.Join(slices.Compact(kinds), "+")
}

var digits = regexp.MustCompile(`\d+`)

// String returns the counts as a table.
func (c *coverage[C, S, E]) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d histories, %d steps", c.histories, c.steps)
	width := 0
	for k := range c.kinds {
		width = max(width, len(k))
	}
	for _, k := range slices.Sorted(maps.Keys(c.kinds)) {
		t := c.kinds[k]
		fmt.Fprintf(&b, "\n\t%-*s  %5.1f%%  %s", width, k, percent(t.steps, c.steps), t)
	}
	for i, r := range c.reaches {
		fmt.Fprintf(&b, "\n\t%s: %d times", r.name, c.hits[i])
	}
	for _, k := range slices.Sorted(maps.Keys(c.idle)) {
		if n := c.idle[k]; n != effective {
			fmt.Fprintf(&b, "\n\t%s never changed the state, %d times: does nobody need it?", k, n)
		}
	}
	for i, err := range c.rejections {
		if !c.seen[i] {
			fmt.Fprintf(&b, "\n\tno command was rejected with %q", err)
		}
	}
	return b.String()
}

// String returns the outcomes, the most frequent first.
func (t *tally) String() string {
	names := slices.SortedFunc(maps.Keys(t.outcomes), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.outcomes[b], t.outcomes[a]), cmp.Compare(a, b))
	})
	var parts []string
	for i, n := range names {
		if i == maxOutcomes {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, fmt.Sprintf("%s %.0f%%", n, percent(t.outcomes[n], t.steps)))
	}
	return strings.Join(parts, ", ")
}

func percent(part, whole int) float64 {
	return 100 * float64(part) / float64(max(1, whole))
}

// verdict is whether something that should happen did.
type verdict struct {
	name   string
	missed bool
	text   string
}

// verdicts returns one for the kinds of commands, one for those of events, and
// one for each Reaches. Of few histories they say nothing.
func (c *coverage[C, S, E]) verdicts() []verdict {
	if c.histories < meaningful {
		return nil
	}
	return slices.DeleteFunc(c.all(), func(v verdict) bool { return slices.Contains(c.without, v.name) })
}

// all returns all verdicts, however many histories there were.
func (c *coverage[C, S, E]) all() []verdict {
	accepted := verdict{name: "every command is accepted at times"}
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(c.kinds)) {
		if t := c.kinds[k]; t.accepted == 0 {
			lines = append(lines, fmt.Sprintf("%s was never accepted: %s", k, t))
		}
	}
	if accepted.missed = len(lines) > 0; accepted.missed {
		lines = append(lines, fmt.Sprintf("in %d histories; laws about it were not tested: give Any a sample that fits, or draw it with Commands", c.histories))
		accepted.text = strings.Join(lines, "\n")
	}
	out := []verdict{accepted}
	if v, ok := c.undecided(); ok {
		out = append(out, v)
	}
	for i, r := range c.reaches {
		out = append(out, verdict{r.name, c.hits[i] == 0, fmt.Sprintf("%s: never in %d histories (%d steps)", r.name, c.histories, c.steps)})
	}
	return out
}
