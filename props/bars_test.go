package props_test

import (
	"slices"
	"testing"
	"time"

	"github.com/evolvego/evolve/props"
)

const overdraft = "an overdraft from the fourth movement on"

// TestFound checks, with fixed seeds, that a narrow bug is found in nearly every run of a
// thousand histories, and how short the history is that shows it.
func TestFound(t *testing.T) {
	t.Parallel()
	found, shortest, longer := 0, 0, 0
	for seed := range uint64(100) {
		n, _, steps := props.FoundAfter(t, planted[overdraft].suite(), "balance is never negative", seed, 1000)
		if n == 0 {
			continue
		}
		found++
		switch steps {
		case 5, 6: // open, four movements, and the overdraft if no movement is one
			shortest++
		case 7:
		default:
			longer++
		}
	}
	if found < 95 || longer > 0 || shortest < found*9/10 {
		t.Errorf("found in %d of 100 runs, %d times in the shortest history, %d times in one that is up to two commands longer", found, shortest, longer)
	}
}

// TestFoundSoon checks, with fixed seeds, that TestPlanted runs many times as many
// histories as each planted bug needs, so that it does not fail by chance.
func TestFoundSoon(t *testing.T) {
	t.Parallel()
	seeds := uint64(10)
	if testing.Short() {
		seeds = 3
	}
	for name, tt := range planted {
		if tt.steps == 0 {
			continue // coverage
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, law := range tt.laws {
				if law == "sharing is safe" {
					continue // checked last, on some of the histories
				}
				var after []int
				for seed := range seeds {
					n, _, _ := props.FoundAfter(t, tt.suite(), law, seed, few())
					after = append(after, n)
				}
				slices.Sort(after)
				t.Logf("%s: %v", law, after)
				if after[0] == 0 {
					t.Errorf("%q is not broken for some seeds: after histories %v", law, after)
				}
			}
		})
	}
}

// BenchmarkCheck measures what a user waits for: the one line, with a thousand histories
// and all laws.
func BenchmarkCheck(b *testing.B) {
	for name, s := range map[string]Suite{"laws alone": samples(account()), "everything": suite()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			withT(b, func(t *testing.T) {
				t.Helper()
				for b.Loop() {
					if failures, _, problem := props.Failures(t, s.Checks(1000)); problem != "" || len(failures) > 0 {
						b.Error(problem, failures)
					}
				}
			})
		})
	}
}

// withT runs f with a test, which bubbles need, in place of b.
func withT(b *testing.B, f func(t *testing.T)) {
	b.Helper()
	all := func(string, string) (bool, error) { return true, nil }
	if !testing.RunTests(all, []testing.InternalTest{{Name: b.Name(), F: f}}) {
		b.Error("the test failed")
	}
}

// BenchmarkShrink reports how long shrinking takes at worst, and how much memory it
// allocates in total.
func BenchmarkShrink(b *testing.B) {
	b.ReportAllocs()
	withT(b, func(t *testing.T) {
		t.Helper()
		var took []time.Duration
		var shrinks []func() (int, string)
		for seed := range uint64(100) {
			shrinks = append(shrinks, props.Shrinker(t, planted[overdraft].suite(), "balance is never negative", seed))
		}
		n := 0
		for b.Loop() {
			began := time.Now()
			if steps, _ := shrinks[n%len(shrinks)](); steps > 7 {
				b.Errorf("shrunk to %d steps", steps)
			}
			took = append(took, time.Since(began))
			n++
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	})
}
