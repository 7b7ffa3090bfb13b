package props

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
)

const (
	perCheck    = 10     // histories per rapid check
	enough      = 10_000 // histories, at least, that are made to look for what never came
	further     = 10     // times as many histories as the laws are checked on, for the same purpose
	few         = 1_000  // histories, which are too few to say that something never comes
	maxOutcomes = 6      // shown per kind of command
	seldom      = 10     // histories with a rare case, which are checked in any case
	inspected   = 200    // histories in which to look for fields that are never set
)

// Names of the subtests about what should happen sometimes.
const (
	everyCommand = "every command leads to events sometimes"
	everyEvent   = "every event is decided sometimes"
)

// coverage counts what the histories consist of.
type coverage[C, S, E any] struct {
	goal, histories, steps int
	enough                 int
	kinds                  map[string]*tally
	reaches                []reach[C, S, E]
	hits                   []int
	codec                  codec.Codec[E]
	events                 map[string]string // by kind: the name that the codec gives it
	decider                decider.Decider[C, S, E]
	idle                   map[string]int  // by kind: the number of events, if none of them changed the state
	rejections             []error         // declared
	seen                   []bool          // which of rejections
	without                []string        // verdicts to leave out
	missing                []string        // fields that Any cannot fill
	unset                  map[string]bool // fields of commands: whether they were zero each time
}

// tally counts the outcomes of a kind of command.
type tally struct {
	steps, acted int
	outcomes     map[string]int
}

func newCoverage[C, S, E any](s Suite[C, S, E]) *coverage[C, S, E] {
	c := &coverage[C, S, E]{
		goal: s.checks, enough: cmp.Or(s.enough, enough), kinds: map[string]*tally{}, reaches: s.reaches, hits: make([]int, len(s.reaches)),
		codec: s.codec, events: map[string]string{},
		decider: s.decider, idle: map[string]int{},
		rejections: s.rejections, seen: make([]bool, len(s.rejections)), without: s.without,
		unset: map[string]bool{},
	}
	if c.goal == 0 {
		c.goal = perCheck * setting[int]("rapid.checks")
		if testing.Short() {
			c.goal = max(1, c.goal/5)
		}
	}
	for _, sample := range s.samples {
		c.tally(show.Kind(sample))
	}
	return c
}

// limit is how many histories are made to look for what has never come.
func (c *coverage[C, S, E]) limit() int { return max(c.enough, further*c.goal) }

func (c *coverage[C, S, E]) tally(kind string) *tally {
	t := c.kinds[kind]
	if t == nil {
		t = &tally{outcomes: map[string]int{}}
		c.kinds[kind] = t
	}
	return t
}

// add counts h, and reports whether h contains something rare.
func (c *coverage[C, S, E]) add(h History[C, S, E]) (rare bool) {
	c.histories++
	c.steps += len(h.Steps)
	for _, s := range h.Steps {
		t := c.tally(show.Kind(s.Command))
		t.steps++
		if s.acted() {
			t.acted++
			rare = rare || t.acted <= seldom
		}
		t.outcomes[s.label()]++
		if c.histories <= inspected {
			c.inspect(s.Command)
		}
		c.name(s)
		c.effects(s)
		for i, target := range c.rejections {
			c.seen[i] = c.seen[i] || s.Err != nil && allowed(s.Err, target)
		}
		for i, r := range c.reaches {
			if r.hit(s) {
				c.hits[i]++
				rare = rare || c.hits[i] <= seldom
			}
		}
	}
	return rare
}

// inspect notes which fields of cmd are set.
func (c *coverage[C, S, E]) inspect(cmd C) {
	v := value.Struct(reflect.ValueOf(&cmd).Elem())
	if v.Kind() != reflect.Struct {
		return
	}
	for f, field := range v.Fields() {
		if f.IsExported() {
			name := show.TypeName(v.Type()) + "." + f.Name
			was, known := c.unset[name]
			c.unset[name] = (was || !known) && show.Empty(field)
		}
	}
}

// unfilled returns the fields of commands that were never set.
func (c *coverage[C, S, E]) unfilled() []string {
	names := slices.Clone(c.missing)
	for _, name := range slices.Sorted(maps.Keys(c.unset)) {
		if c.unset[name] && !slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, name+" ") }) {
			names = append(names, name)
		}
	}
	return names
}

// absent returns the kinds of commands that have led to no event, and whether anything
// else is missing.
func (c *coverage[C, S, E]) absent() (kinds []string, others bool) {
	for _, k := range slices.Sorted(maps.Keys(c.kinds)) {
		if c.kinds[k].acted == 0 {
			kinds = append(kinds, k)
		}
	}
	if slices.Contains(c.without, everyCommand) {
		kinds = nil
	}
	for i, r := range c.reaches {
		others = others || c.hits[i] == 0 && !slices.Contains(c.without, r.name)
	}
	return kinds, others || len(c.undecided()) > 0 && !slices.Contains(c.without, everyEvent)
}

// effective marks a kind of event that has changed the state at least once.
const effective = -1

// effects counts the events of the kinds that have not changed a state so far.
func (c *coverage[C, S, E]) effects(s Step[C, S, E]) {
	if s.Err != nil {
		return
	}
	state := s.Before
	for _, e := range s.Events {
		next := c.decider.Evolve(state, e)
		if k := show.Kind(e); c.idle[k] != effective {
			c.idle[k]++
			if show.Text(state) != show.Text(next) {
				c.idle[k] = effective
			}
		}
		state = next
	}
}

// name records the names that the codec gives to the events of s.
func (c *coverage[C, S, E]) name(s Step[C, S, E]) {
	if c.codec == nil || s.Err != nil {
		return
	}
	for _, e := range s.Events {
		if k := show.Kind(e); c.events[k] == "" {
			_ = catch(func() { // the laws of the codec report what is wrong
				if stored, err := c.codec.Encode(e); err == nil {
					c.events[k] = stored.Type
				}
			})
		}
	}
}

// undecided returns the names of events that the codec has but that were never decided.
func (c *coverage[C, S, E]) undecided() []string {
	names, ok := c.codec.(interface{ Names() []string })
	if !ok {
		return nil
	}
	decided := slices.Collect(maps.Values(c.events))
	return slices.DeleteFunc(slices.Clone(names.Names()), func(n string) bool { return slices.Contains(decided, n) })
}

// label returns the kinds of the events that s decided, or the reason for its rejection.
func (s Step[C, S, E]) label() string {
	if s.Err != nil {
		return "✗ " + reason(s.Err)
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
			fmt.Fprintf(&b, "\n\t%s never changed the state, %d times: is it needed?", k, n)
		}
	}
	if names := c.unfilled(); len(names) > 0 {
		fmt.Fprintf(&b, "\n\tnever filled: %s", strings.Join(names, ", "))
	}
	for i, err := range c.rejections {
		switch {
		case c.seen[i]:
		case anyOf(err):
			fmt.Fprintf(&b, "\n\tno command was ever rejected with a %T", err)
		default:
			fmt.Fprintf(&b, "\n\tno command was ever rejected with %q", err)
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

// verdict says whether something happened that should.
type verdict struct {
	name   string
	missed bool
	unsure bool // missing, but there was no time to look long enough
	text   string
}

// verdicts returns one verdict for the kinds of commands, one for the kinds of events,
// and one for each Reaches. A case is missed if it never came in all the histories that
// are made to look for it. It is unsure if time ran out after too few histories.
func (c *coverage[C, S, E]) verdicts() []verdict {
	all := c.wanted()
	for i, v := range all {
		if v.missed && c.histories < few {
			all[i].missed, all[i].unsure = false, true
		}
	}
	return all
}

// wanted returns all verdicts that are not left out, however many histories there were.
func (c *coverage[C, S, E]) wanted() []verdict {
	return slices.DeleteFunc(c.all(), func(v verdict) bool { return slices.Contains(c.without, v.name) })
}

// all returns all verdicts, however many histories there were.
func (c *coverage[C, S, E]) all() []verdict {
	commands := verdict{name: everyCommand}
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(c.kinds)) {
		if t := c.kinds[k]; t.acted == 0 {
			lines = append(lines, fmt.Sprintf("%s never led to an event, in %d tries: %s", k, t.steps, orElse(t.String(), "it was never drawn")))
			for _, f := range c.unfilled() {
				if strings.HasPrefix(f, k+".") {
					lines = append(lines, "\t"+f+" is never filled: use Values")
				}
			}
		}
	}
	if commands.missed = len(lines) > 0; commands.missed {
		lines = append(lines, c.odds(), "the laws about it were not tested: pass a fitting sample to Any, or draw it with Commands")
		commands.text = strings.Join(lines, "\n")
	}
	out := []verdict{commands}
	if _, ok := c.codec.(interface{ Names() []string }); ok {
		never := c.undecided()
		out = append(out, verdict{name: everyEvent, missed: len(never) > 0, text: fmt.Sprintf(
			"never decided, though the codec knows it: %s\n%s", strings.Join(never, ", "), c.odds())})
	}
	for i, r := range c.reaches {
		out = append(out, verdict{name: r.name, missed: c.hits[i] == 0, text: fmt.Sprintf("%s: never\n%s", r.name, c.odds())})
	}
	return out
}

// odds says how many histories there were, and how likely it is that they miss something
// rare.
func (c *coverage[C, S, E]) odds() string {
	for _, every := range []int{10_000, 1_000, 100} {
		if c.histories >= 3*every || every == 100 { // 3 leave one of twenty
			return fmt.Sprintf("in %d histories, %d steps; the probability that so many miss something that occurs in one of %d is %s",
				c.histories, c.steps, every, probability(math.Exp(-float64(c.histories)/float64(every))))
		}
	}
	panic("unreachable: the last is returned")
}

// probability formats p for a report.
func probability(p float64) string {
	if p < 1e-6 {
		return "less than one in a million"
	}
	return strconv.FormatFloat(p, 'g', 2, 64)
}
