package props

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/internal/show"
)

// Scenario is an example of what a decider does, under construction: see [Spec].
type Scenario[C, S, E any] struct {
	t       rapid.TB
	decider decider.Decider[C, S, E]
	given   []E
}

// Outcome is the result of the command of a scenario. You must check it: a scenario
// without Then, ThenError or ThenState fails its test at the end.
type Outcome[C, S, E any] struct {
	scenario Scenario[C, S, E]
	step     Step[C, S, E]
	looked   bool
}

// Spec begins a scenario of d; t is a *testing.T, *testing.B or *rapid.T.
func Spec[C, S, E any](t rapid.TB, d decider.Decider[C, S, E]) Scenario[C, S, E] {
	return Scenario[C, S, E]{t: t, decider: d}
}

// Given adds events that happened before, in order.
func (s Scenario[C, S, E]) Given(events ...E) Scenario[C, S, E] {
	s.given = append(slices.Clip(s.given), events...)
	return s
}

// When decides cmd on the state that the given events lead to.
func (s Scenario[C, S, E]) When(cmd C) *Outcome[C, S, E] {
	s.t.Helper()
	state := s.decider.Fold(s.decider.Start(), s.given...)
	o := &Outcome[C, S, E]{scenario: s, step: step(s.decider, cmd, state)}
	if t, ok := s.t.(interface{ Cleanup(f func()) }); ok {
		_, file, line, _ := runtime.Caller(1)
		t.Cleanup(func() {
			if !o.looked {
				s.t.Errorf("%s:%d: this scenario checks nothing: add Then, ThenError or ThenState", file[strings.LastIndexByte(file, '/')+1:], line)
			}
		})
	}
	return o
}

// Then fails the test unless the command was accepted and decided exactly these events,
// in this order. No events means that there was nothing to do.
func (o *Outcome[C, S, E]) Then(events ...E) *Outcome[C, S, E] {
	o.scenario.t.Helper()
	o.looked = true
	if o.step.Err == nil && show.Text(events) == show.Text(o.step.Events) {
		return o
	}
	lines := compare(events, o.step.Events)
	if o.step.Err != nil {
		lines = append(compare(events, nil), "+ rejected: "+o.step.Err.Error())
	}
	o.scenario.t.Errorf("%s", o.trace("then  (- want, + got, ≠ want → got)", lines))
	return o
}

// ThenError fails the test unless the command was rejected with target, and decided no
// events. The error is target if errors.Is says so, or if it, or an error that it wraps,
// has the same type and the same value, such as &ReservedError{"c1"}. Errors of errors.New
// and fmt.Errorf are compared by errors.Is only.
func (o *Outcome[C, S, E]) ThenError(target error) *Outcome[C, S, E] {
	o.scenario.t.Helper()
	o.looked = true
	if target != nil && sameError(o.step.Err, target) && len(o.step.Events) == 0 {
		return o
	}
	lines := []string{fmt.Sprintf("- rejected: %v", target)}
	if o.step.Err != nil {
		lines = append(lines, "+ rejected: "+o.step.Err.Error())
	}
	if why := unlike(target, o.step.Err); why != "" && len(o.step.Events) == 0 {
		lines = append(lines, "  "+why)
	}
	lines = append(lines, compare(nil, o.step.Events)...)
	if o.step.Err == nil && len(o.step.Events) == 0 {
		lines = append(lines, "+ nothing")
	}
	o.scenario.t.Errorf("%s", o.trace("then  (- want, + got)", lines))
	return o
}

// ThenState fails the test unless the state after the command is want.
func (o *Outcome[C, S, E]) ThenState(want S) *Outcome[C, S, E] {
	o.scenario.t.Helper()
	o.looked = true
	if show.Text(want) == show.Text(o.step.After) {
		return o
	}
	line := "≠ " + show.Changes(want, o.step.After)
	if o.step.Err != nil {
		line += "   (the command was rejected: " + o.step.Err.Error() + ")"
	}
	o.scenario.t.Errorf("%s", o.trace("then  (≠ want → got)", []string{line}))
	return o
}

// trace returns the scenario as text, with the differences under title.
func (o *Outcome[C, S, E]) trace(title string, lines []string) string {
	var b strings.Builder
	d, state, width := o.scenario.decider, o.scenario.decider.Start(), 0
	for _, e := range o.scenario.given {
		width = max(width, len([]rune(show.Cut(show.Text(e), maxColumn))))
	}
	label := "given "
	for _, e := range o.scenario.given {
		next := d.Evolve(state, e)
		line := label + show.Pad(show.Cut(show.Text(e), maxColumn), width) + "   " + show.Cut(show.Changes(state, next), maxChange)
		b.WriteString("\n" + strings.TrimRight(line, " "))
		state, label = next, "      "
	}
	b.WriteString("\nstate " + show.Text(o.step.Before))
	b.WriteString("\nwhen  " + show.Text(o.step.Command))
	b.WriteString("\n" + title + "\n" + show.Indent(strings.Join(lines, "\n"), "    "))
	return b.String()
}

// compare returns the lines of the difference between two lists of events. It pairs equal
// events first, then events of the same kind at the same place.
func compare[E any](want, got []E) []string {
	var lines []string
	for len(want)+len(got) > 0 {
		switch {
		case len(got) == 0:
			lines = append(lines, "- "+show.Text(want[0]))
			want = want[1:]
			continue
		case len(want) == 0:
			lines = append(lines, "+ "+show.Text(got[0]))
			got = got[1:]
			continue
		case show.Text(want[0]) == show.Text(got[0]):
			lines = append(lines, "  "+show.Text(want[0]))
		case show.Kind(want[0]) == show.Kind(got[0]):
			lines = append(lines, fmt.Sprintf("≠ %s{%s}", show.Kind(want[0]), show.Changes(want[0], got[0])))
		default:
			if has(got, want[0]) {
				lines = append(lines, "+ "+show.Text(got[0]))
				got = got[1:]
				continue
			}
			lines = append(lines, "- "+show.Text(want[0]))
			want = want[1:]
			continue
		}
		want, got = want[1:], got[1:]
	}
	return lines
}

// has reports whether events contains e.
func has[E any](events []E, e E) bool {
	for _, o := range events {
		if show.Text(o) == show.Text(e) {
			return true
		}
	}
	return false
}
