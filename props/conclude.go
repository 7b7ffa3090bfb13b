package props

import (
	"errors"
	"testing"
)

// finding is the outcome of checking a law. Report is empty if the law holds. Otherwise
// it says what is wrong in the test t, and in how many steps.
type finding struct {
	law    string
	report func(t *testing.T) (text string, steps int)
}

// told is the finding that a law is broken, if text is not empty.
func told(law, text string) finding {
	if text == "" {
		return finding{law: law}
	}
	return finding{law, func(*testing.T) (string, int) { return text, 0 }}
}

// inquiry searches for breaches of its laws. Problem says why it could not search.
type inquiry func(t *testing.T) (found []finding, problem string)

// conclude runs an inquiry and reports each finding as a subtest.
func conclude(t *testing.T, look inquiry) {
	t.Helper()
	found, problem := look(t)
	if problem != "" {
		t.Fatal(problem)
	}
	for _, f := range found {
		t.Run(f.law, func(t *testing.T) {
			t.Helper()
			if f.report != nil {
				text, _ := f.report(t)
				t.Error(text)
			}
		})
	}
}

// trial checks laws on the histories of s, instead of the laws of s.
func trial[C, S, E any](s Suite[C, S, E], laws []law[C, S, E]) inquiry {
	return trialAs(s, laws, func(t *testing.T, r *run[C, S, E], f failure[C, S, E]) (string, int) {
		t.Helper()
		return r.report(t, f)
	})
}

// trialAs is trial with another form of report.
func trialAs[C, S, E any](s Suite[C, S, E], laws []law[C, S, E], report func(*testing.T, *run[C, S, E], failure[C, S, E]) (string, int)) inquiry {
	return func(t *testing.T) (found []finding, problem string) {
		t.Helper()
		r := s.run(t)
		r.laws = laws
		if problem = r.search(); problem != "" {
			return nil, problem
		}
		for _, l := range r.laws {
			f, broken := r.failures[l.name]
			if !broken || r.behind(l) {
				found = append(found, finding{law: l.name})
				continue
			}
			found = append(found, finding{l.name, func(t *testing.T) (string, int) {
				t.Helper()
				return report(t, r, f)
			}})
		}
		for _, v := range r.verdicts() {
			if v.missed {
				found = append(found, told(v.name, v.text))
			}
		}
		return found, ""
	}
}

// panics reports whether the decider panicked at the end of h.
func panics[C, S, E any](h History[C, S, E]) bool {
	var p *panicError
	return len(h.Steps) > 0 && errors.As(h.Steps[len(h.Steps)-1].Err, &p)
}
