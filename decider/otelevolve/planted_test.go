package otelevolve_test

import (
	"context"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
)

// broken is a rapid.TB that records the failure of a property and aborts it.
type broken struct{ rapid.TB }

type found struct{}

func (broken) Helper() {}

// Fatalf aborts the property.
func (broken) Fatalf(string, ...any) { panic(found{}) }

// breaks reports whether law fails for one of some draws, which are always the same.
func breaks(law func(t *rapid.T, tb rapid.TB)) bool {
	for seed := range 200 {
		broke := rapid.Custom(func(t *rapid.T) (broke bool) {
			defer func() {
				switch r := recover().(type) {
				case nil:
				case found:
					broke = true
				default:
					panic(r)
				}
			}()
			law(t, broken{})
			return false
		}).Example(seed)
		if broke {
			return true
		}
	}
	return false
}

// TestPlanted checks that the laws find the bugs that they are for.
func TestPlanted(t *testing.T) {
	t.Parallel()
	type law = func(t *rapid.T, tb rapid.TB)
	forgets := func(of func(runner.Notice) bool) law {
		return func(t *rapid.T, tb rapid.TB) {
			endsLaw(t, tb, func(r *rig) runner.Observer {
				o := r.Runner()
				b, ok := o.(runner.Beginner)
				if !ok {
					panic("the observer makes no spans")
				}
				return forgetful{o, b, of}
			})
		}
	}
	travels := func(change func(store.Metadata) store.Metadata) law {
		return func(t *rapid.T, tb rapid.TB) {
			travelLaw(t, tb, func(m metadata) metadata {
				return func(ctx context.Context) store.Metadata { return change(m(ctx)) }
			})
		}
	}
	for name, law := range map[string]law{
		"a command that panics has no end": forgets(func(n runner.Notice) bool {
			return n.Kind == runner.CommandHandled && n.Err != nil && strings.Contains(n.Err.Error(), "panicked")
		}),
		"a load that fails has no end": forgets(func(n runner.Notice) bool { return n.Kind == runner.StreamLoaded && n.Err != nil }),
		"a rejection has no end": forgets(func(n runner.Notice) bool {
			return n.Kind == runner.CommandHandled && n.Err != nil && strings.Contains(n.Err.Error(), "insufficient")
		}),
		"no trace":  travels(func(m store.Metadata) store.Metadata { delete(m.Headers, "traceparent"); return m }),
		"no state":  travels(func(m store.Metadata) store.Metadata { delete(m.Headers, "tracestate"); return m }),
		"no actor":  travels(func(m store.Metadata) store.Metadata { m.ActorID = ""; return m }),
		"a capital": travels(func(m store.Metadata) store.Metadata { m.Headers["Traceparent"] = m.Headers["traceparent"]; return m }),
		"always sampled": travels(func(m store.Metadata) store.Metadata {
			m.Headers["traceparent"] = m.Headers["traceparent"][:53] + "01"
			return m
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !breaks(law) {
				t.Error("no law finds it")
			}
		})
	}
}
