package props

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/evolvego/evolve/internal/show"
)

// Breach returns how cmds break the law called name, or "" if they do not.
func Breach[C, S, E any](t *testing.T, s Suite[C, S, E], name string, cmds ...C) string {
	t.Helper()
	return breached(t, s.run(t), s.chosen(), name, cmds)
}

// BreachAt is [Breach] by history n of a search.
func BreachAt[C, S, E any](t *testing.T, s Suite[C, S, E], name string, n int, cmds ...C) string {
	t.Helper()
	r := s.run(t)
	r.coverage.histories = n
	return r.breached(t, s.chosen(), name, cmds)
}

// ProcessBreach is [Breach] of a process.
func ProcessBreach[E, S, C any](t *testing.T, s ProcessSuite[E, S, C], name string, events ...E) string {
	t.Helper()
	return breached(t, s.suite.run(t), quietly(s.process, s.all()), name, events)
}

// ViewBreach is [Breach] of a view.
func ViewBreach[V, C, S, E any](t *testing.T, l ViewSuite[V, C, S, E], name string, cmds ...C) string {
	t.Helper()
	return breached(t, l.suite.run(t), l.laws, name, cmds)
}

func breached[C, S, E any](t *testing.T, r *run[C, S, E], laws []law[C, S, E], name string, cmds []C) string {
	t.Helper()
	r.thorough = true
	return r.breached(t, laws, name, cmds)
}

func (r *run[C, S, E]) breached(t *testing.T, laws []law[C, S, E], name string, cmds []C) string {
	t.Helper()
	for _, l := range laws {
		if l.name != name {
			continue
		}
		if b := r.broken(l, cmds); b != nil {
			return fmt.Sprintf("step %d: %s", b.step+1, b.text)
		}
		return "no breach"
	}
	t.Errorf("there is no law %q", name)
	return ""
}

// Covered returns the coverage of histories with these commands: its table, its verdicts,
// and how many of the histories have something rare.
func Covered[C, S, E any](s Suite[C, S, E], histories ...[]C) string {
	c := newCoverage(s)
	c.missing = s.generator().missing
	var out strings.Builder
	rare := 0
	for _, cmds := range histories {
		if c.add(play(s.decider, cmds)) {
			rare++
		}
	}
	fmt.Fprintf(&out, "%d have something rare\n%v\n", rare, c)
	for _, v := range c.verdicts() {
		fmt.Fprintf(&out, "%s: missed %t, unsure %t\n%s\n", v.name, v.missed, v.unsure, show.Indent(v.text, "\t"))
	}
	kinds, others := c.absent()
	fmt.Fprintf(&out, "to look for: %q, others %t, in %d histories\n", kinds, others, c.limit())
	return out.String()
}

// Damaged returns the damaged forms of data.
func Damaged(data []byte, thorough bool) [][]byte { return damaged(data, thorough) }

// Splits returns where to split n events.
func Splits(n int) []int { return splits(n) }

// Sought returns the commands that the search for what never came tries for seed, after
// these histories.
func Sought[C, S, E any](s Suite[C, S, E], seed uint64, wanted []string, histories ...[]C) History[C, S, E] {
	far := &frontier[C]{ways: map[string][][]C{}, seen: map[string]int{}}
	chance := rand.New(rand.NewPCG(seed, 2))
	for _, cmds := range histories {
		explore(far, play(s.decider, cmds), chance)
	}
	cmds, err := s.generator().seek(seed, wanted, far)
	if err != nil {
		panic(err)
	}
	return play(s.decider, cmds)
}

// Setting returns the value of a flag.
func Setting[T any](name string) T { return setting[T](name) }

// Variety returns the different values among all, at most n of each kind.
func Variety[E any](all []E, n int) []E { return variety(all, n) }

// SeedInput returns the input that Fuzz begins with for seed.
func SeedInput(seed uint64) []byte { return fuzzInput(seed) }

// FirstNumber returns the first number that Fuzz reads from data.
func FirstNumber(data []byte) uint64 { return (&bytesSource{data: data}).Uint64() }
