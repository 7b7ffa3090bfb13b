package props

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/internal/show"
)

// retries is how often a law that was broken once is checked again, because the decider
// may not be deterministic.
const retries = 10

// report is what to say about a broken law.
type report[C, S, E any] struct {
	law     law[C, S, E]
	test    string
	again   string // the flags that draw the history again, or "" if there are none
	text    string
	steps   int // length of the history after shrinking
	history History[C, S, E]
	breach  *breach
}

// report returns the text of explain, and the length of the history.
func (r *run[C, S, E]) report(t *testing.T, f failure[C, S, E]) (text string, steps int) {
	t.Helper()
	p := r.explain(t, f)
	return p.text, p.steps
}

// explain returns what to say about f: the law, the shortest history that breaks it, a
// scenario, and how to run it again.
func (r *run[C, S, E]) explain(t *testing.T, f failure[C, S, E]) *report[C, S, E] {
	t.Helper()
	r.t, r.thorough = t, true
	began := now()
	s := &shrinker[C]{
		cmds: f.cmds, blanks: r.generator.blanks, until: began.Add(shrinkBudget),
		check: func(cmds []C) *breach {
			if !r.permitted(cmds) {
				return nil
			}
			return r.broken(f.law, cmds)
		},
	}
	for range retries {
		if s.breach = s.check(f.cmds); s.breach != nil {
			s.shrink()
			return &report[C, S, E]{
				law: f.law, test: t.Name(), again: r.replay, text: r.describe(t.Name(), f, s, now().Sub(began)),
				steps: len(s.cmds), history: play(r.decider, s.cmds), breach: s.breach,
			}
		}
	}
	h := play(r.decider, f.cmds)
	return &report[C, S, E]{
		law: f.law, test: t.Name(), again: r.replay, steps: len(f.cmds), history: h,
		breach: &breach{-1, "does the decider depend on more than its arguments?"},
		text: fmt.Sprintf("%s: broken by history %d, but not when the history was run again:\n\tdoes the decider depend on more than its arguments?%s",
			f.law.name, f.history, section(columns, h.table(-1))),
	}
}

// permitted reports whether each of cmds can occur in its place.
func (r *run[C, S, E]) permitted(cmds []C) bool {
	if r.generator.valid == nil {
		return true
	}
	for _, s := range play(r.decider, cmds).Steps {
		if !r.generator.permits(s.Before, s.Command) {
			return false
		}
	}
	return true
}

const columns = "history (command, what was decided, what changed)"

// describe returns the report of f after s has shrunk it.
func (r *run[C, S, E]) describe(test string, f failure[C, S, E], s *shrinker[C], took time.Duration) string {
	var b strings.Builder
	h := play(r.decider, s.cmds)
	b.WriteString(headline(f.law.name, s.breach.step) + "\n" + show.Indent(s.breach.text, "\t"))
	if len(h.Steps) > 0 {
		b.WriteString(section(columns, h.table(s.breach.step)))
	}
	if f.law.spec && 0 <= s.breach.step && s.breach.step < len(h.Steps) {
		b.WriteString(section("as a scenario", h.scenario(s.breach.step)))
	}
	fmt.Fprintf(&b, "\nhistory %d, after %v; shrunk from %d steps to %d in %v (%d runs)",
		f.history, brief(f.after), len(f.cmds), len(s.cmds), brief(took), s.tries)
	if r.replay != "" {
		b.WriteString("\n\tagain: " + rerun(test, r.replay))
	}
	return b.String()
}

func headline(name string, step int) string {
	if step < 0 {
		return name + ": broken at the start"
	}
	return fmt.Sprintf("%s: broken by step %d of the shortest history found", name, step+1)
}

func section(title string, lines []string) string {
	return "\n" + title + ":\n" + show.Indent(strings.Join(lines, "\n"), "\t")
}

// scenario returns the Go code of a Spec of step i.
func (h History[C, S, E]) scenario(i int) []string {
	given := History[C, S, E]{Steps: h.Steps[:i]}.events()
	lines := []string{"props.Spec(t, d)."}
	if len(given) > 0 {
		texts := make([]string, len(given))
		for j, e := range given {
			texts[j] = show.Code(e)
		}
		lines = append(lines, "\tGiven("+strings.Join(texts, ", ")+").")
	}
	return append(lines, "\tWhen("+show.Code(h.Steps[i].Command)+").", "\tThen(/* what should happen */)")
}

// rerun returns the command that runs the test called name again, with flags, from any
// directory of its module.
func rerun(name, flags string) string {
	return strings.Join(strings.Fields("go test "+testedPackage()+" -run '"+pattern(name)+"' "+flags), " ")
}

// pattern returns the -run pattern of the test called name.
func pattern(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = "^" + strings.ReplaceAll(regexp.QuoteMeta(p), "'", ".") + "$"
	}
	return strings.Join(parts, "/")
}

// brief rounds d to about three digits.
func brief(d time.Duration) time.Duration {
	unit := time.Nanosecond
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}
