package props

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
)

// Step is a command decided on a state, and its outcome.
type Step[C, S, E any] struct {
	Before  S
	Command C
	Events  []E   // none if there was nothing to do, or if Err is set
	Err     error // rejection
	After   S     // equal to Before if Err is set
}

// History is the outcome of a list of commands, run in order from Start.
type History[C, S, E any] struct {
	Start S
	Steps []Step[C, S, E]
}

// String returns h as a table: the command, what was decided, what changed.
func (h History[C, S, E]) String() string {
	return strings.Join(h.table(-1), "\n")
}

// events returns all events of h in order.
func (h History[C, S, E]) events() []E {
	var all []E
	for _, s := range h.Steps {
		if s.Err == nil {
			all = append(all, s.Events...)
		}
	}
	return all
}

// end returns the state that h led to.
func (h History[C, S, E]) end() S {
	if len(h.Steps) == 0 {
		return h.Start
	}
	return h.Steps[len(h.Steps)-1].After
}

const (
	maxColumn = 60 // characters of a command, or of its outcome
	maxChange = 90
)

// table returns a line for each step, and marks the step with index here.
func (h History[C, S, E]) table(here int) []string {
	rows := make([][3]string, len(h.Steps))
	var width [2]int
	for i, s := range h.Steps {
		rows[i] = [3]string{show.Cut(show.Text(s.Command), maxColumn), show.Cut(s.outcome(), maxColumn), show.Cut(show.Changes(s.Before, s.After), maxChange)}
		for c := range width {
			width[c] = max(width[c], len([]rune(rows[i][c])))
		}
	}
	digits := len(strconv.Itoa(len(rows)))
	lines := make([]string, len(rows))
	for i, row := range rows {
		line := fmt.Sprintf("%*d  %s   %s   %s", digits, i+1, show.Pad(row[0], width[0]), show.Pad(row[1], width[1]), row[2])
		if i == here {
			line += "   ← here"
		}
		lines[i] = strings.TrimRight(line, " ")
	}
	return lines
}

// outcome returns the events of s, or its rejection, as text.
func (s Step[C, S, E]) outcome() string {
	return outcome(s.Events, s.Err)
}

func outcome[E any](events []E, err error) string {
	if err != nil && len(events) == 0 {
		return "✗ " + err.Error()
	}
	texts := make([]string, len(events))
	for i, e := range events {
		texts[i] = show.Text(e)
	}
	all := strings.Join(texts, ", ")
	if all == "" {
		all = "nothing"
	}
	if err != nil {
		all += " and ✗ " + err.Error()
	}
	return all
}

// step decides cmd on state, and evolves.
func step[C, S, E any](d decider.Decider[C, S, E], cmd C, state S) Step[C, S, E] {
	s := Step[C, S, E]{Before: state, Command: cmd, After: state}
	s.Events, s.Err = d.Decide(cmd, state)
	if s.Err == nil {
		s.After = d.Fold(state, s.Events...)
	}
	return s
}

// play returns the history of cmds. If a function panics, the panic is the rejection of
// the last step.
func play[C, S, E any](d decider.Decider[C, S, E], cmds []C) History[C, S, E] {
	return playFrom(d, d.Start(), cmds)
}

func playFrom[C, S, E any](d decider.Decider[C, S, E], state S, cmds []C) History[C, S, E] {
	h := History[C, S, E]{Start: state}
	for _, c := range value.Clones(cmds) {
		s := Step[C, S, E]{Before: state, Command: c, After: state}
		panicked := catch(func() { s.Events, s.Err = d.Decide(c, state) })
		if panicked == nil && s.Err == nil {
			panicked = catch(func() { s.After = d.Fold(state, s.Events...) })
		}
		if panicked != nil {
			s.Err = panicked
		}
		h.Steps = append(h.Steps, s)
		if panicked != nil {
			break
		}
		state = s.After
	}
	return h
}

// panicError is a panic of a user's function.
type panicError struct {
	value any
	where string
}

// Error returns the value of the panic and where it happened.
func (e *panicError) Error() string { return fmt.Sprintf("panic: %v (%s)", e.value, e.where) }

// catch runs f and returns its panic as an error, or nil if there was none.
func catch(f func()) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case *panicError: // of an inner catch, which knows where it was
			err = v
		default:
			err = &panicError{v, origin()}
		}
	}()
	f()
	return nil
}

// origin returns the file and line of the panic that is being recovered.
func origin() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		f, more := frames.Next()
		if !more || !strings.HasPrefix(f.Function, "runtime.") {
			return f.File[strings.LastIndexByte(f.File, '/')+1:] + ":" + strconv.Itoa(f.Line)
		}
	}
}
