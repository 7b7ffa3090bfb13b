package props

import (
	"iter"
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// Inquiry is the part of a function like Same that runs before it reports.
type Inquiry = inquiry

// Findings returns what an inquiry finds broken, and the names of all its laws.
func Findings(t *testing.T, look Inquiry) (failures []Failure, laws []string, problem string) {
	t.Helper()
	found, problem := look(t)
	for _, f := range found {
		laws = append(laws, f.law)
		if f.report != nil {
			text, steps := f.report(t)
			failures = append(failures, Failure{Law: f.law, Steps: steps, Text: text})
		}
	}
	return failures, laws, problem
}

func SameInquiry[C, S, T, E any](s Suite[C, S, E], other decider.Decider[C, T, E]) Inquiry {
	return trial(s, sameLaws[C, S](other))
}

func RefinesInquiry[C, S, E, C1, S1, E1 any](s Suite[C, S, E], abstract decider.Decider[C1, S1, E1], m Mapping[C, S, E, C1, S1, E1]) Inquiry {
	return trial(s, refinement[C, S, E, C1, S1, E1]{abstract, m}.laws())
}

func AgainstInquiry[M, C, S, E any](s Suite[C, S, E], m Model[M, C, S]) Inquiry {
	return trial(s, modelLaws[M, C, S, E](m))
}

func LensInquiry[C, S, E, A any](s Suite[C, S, E], get func(S) A, set func(S, A) S) Inquiry {
	return trial(s, lensLaws[C, S, E](get, set))
}

func EmbedsInquiry[C, S, E, E2 any](s Suite[C, S, E], in func(E2) (E, bool), out func(E) E2, foreign ...E2) Inquiry {
	return trial(s, embedLaws[C, S](in, out, foreign))
}

func BatchesInquiry[C, S, E any](s Suite[C, S, E], batch decider.Decider[[]C, S, E]) Inquiry {
	return trial(s, batchLaws(batch))
}

func ProcessInquiry[E, S, C any](s ProcessSuite[E, S, C]) Inquiry { return s.inquiry() }

func ViewInquiry[V, C, S, E any](l ViewSuite[V, C, S, E]) Inquiry { return trial(l.suite, l.laws) }

func UpcastInquiry[E any](c codec.Codec[E], releases ...Release) Inquiry {
	return upcastInquiry(c, releases)
}

func ReplayInquiry[C, S, E any](s ReplaySuite[C, S, E], events iter.Seq2[store.Recorded, error]) Inquiry {
	return s.inquiry(events)
}

func GoldenInquiry[C, S, E any](s Suite[C, S, E], dir string, update bool) Inquiry {
	return goldenInquiry(s, dir, update)
}

// ProcessLaws returns the names of the laws of s.
func ProcessLaws[E, S, C any](s ProcessSuite[E, S, C]) (names []string) {
	for _, l := range s.all() {
		names = append(names, l.name)
	}
	return names
}

// ProcessReport returns the report of a law of s that events are said to break.
func ProcessReport[E, S, C any](t *testing.T, s ProcessSuite[E, S, C], name string, events ...E) (text string, steps int) {
	t.Helper()
	for _, l := range quietly(s.process, s.all()) {
		if l.name == name {
			return s.report(t, s.suite.run(t), failure[E, map[string]S, E]{law: l, cmds: events, history: 7})
		}
	}
	t.Fatalf("there is no law %q", name)
	return "", 0
}

// ProcessTrace returns the history of events in a report.
func ProcessTrace[E, S, C any](s ProcessSuite[E, S, C], here int, events ...E) []string {
	return s.trace(events, here)
}
