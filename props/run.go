package props

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/internal/show"
)

// run is one check of a suite.
type run[C, S, E any] struct {
	t         *testing.T // for bubbles
	decider   decider.Decider[C, S, E]
	generator generator[C, S, E]
	laws      []law[C, S, E]
	thorough  bool   // take the time to be sure, because a failure is being shrunk
	times     int    // how often to repeat a call at once
	start     string // how Start() printed at first
	coverage  *coverage[C, S, E]
	failures  map[string]failure[C, S, E] // by law
	unknown   string                      // names to leave out that are no laws
	missing   string                      // what the suite lacks
	stuck     bool                        // no command could be drawn
	problem   error                       // why, if no law is broken
	replay    string                      // the flag of rapid that repeats the histories
	sample    [][]C                       // histories for the late laws
	began     time.Time
	until     time.Time // when to stop
	watch     *watch
	unwatched decider.Decider[C, S, E] // for use by several goroutines at once
}

// seekBudget is how long to look for what never came. The tests of this package take
// their time.
var seekBudget = time.Minute //nolint:gochecknoglobals // for tests

const noCommands = "props: the suite has no commands: add Any or Commands"

// failure is the first history that breaks a law.
type failure[C, S, E any] struct {
	law     law[C, S, E]
	cmds    []C
	history int // from 1
	after   time.Duration
}

func (s Suite[C, S, E]) run(t *testing.T) *run[C, S, E] {
	t.Helper()
	r := &run[C, S, E]{
		t:         t,
		decider:   s.decider,
		generator: s.generator(),
		laws:      s.chosen(),
		failures:  map[string]failure[C, S, E]{},
		began:     now(),
		coverage:  newCoverage(s),
		unknown:   s.unknown(),
		watch:     s.watch,
		unwatched: s.decider,
	}
	if r.watch == nil {
		r.watch = &watch{seconds: s.seconds}
	}
	r.times = min(max(minTimes, atOnceInAll/r.coverage.goal), atOnce)
	if r.missing = s.missing(); r.missing != "" {
		return r
	}
	r.coverage.missing = r.generator.missing
	r.decider = watched(r.watch, s.decider, s.decides, s.evolves)
	r.generator.decider, r.generator.watch, r.coverage.decider = r.decider, r.watch, r.decider
	r.until = r.began.Add(24 * time.Hour)
	if d, ok := t.Deadline(); ok {
		r.until = r.began.Add(d.Sub(r.began) / 2)
	}
	r.start = show.Text(s.decider.Start())
	return r
}

// search makes histories from seeds that rapid draws, and checks all laws on each. If it
// could not, it returns the reason.
func (r *run[C, S, E]) search() string {
	if problem := r.unfit(); problem != "" {
		return problem
	}
	var problem string
	if hung := r.watch.guard(func() { problem = r.searched() }); hung != "" {
		return hung
	}
	return problem
}

func (r *run[C, S, E]) searched() string {
	goal := r.coverage.goal
	each := uint64(1)
	if checks := rapidChecks(); checks > 0 {
		each = uint64((goal + checks - 1) / checks) //nolint:gosec // both are positive
	}
	q := &quiet{TB: r.t}
	var culprit *uint64 // the seed of the run in which the first law broke
	rapid.Check(q, func(t *rapid.T) {
		seed := drawSeed(t)
		for i := uint64(0); culprit == nil && i < each; i++ {
			r.try(mix(seed + i))
		}
		if culprit == nil && len(r.failures) == 0 && r.coverage.histories >= goal {
			r.seek(seed)
		}
		if culprit == nil && len(r.failures) > 0 {
			culprit = &seed // and the later seeds of that run, for the other laws
			for i := each; r.try(mix(seed + i)); {
				i++
			}
		}
		if culprit != nil && *culprit == seed {
			t.Fatal("a law is broken")
		}
	})
	r.replay = q.replay()
	switch {
	case r.problem != nil:
		return r.problem.Error()
	case q.failed && len(r.failures) == 0:
		return q.text.String()
	}
	return ""
}

// seek makes more histories, up to the limit, while something is missing that should
// come. It checks the laws on the histories that contain it.
func (r *run[C, S, E]) seek(seed uint64) {
	until := now().Add(seekBudget)
	far := &frontier[C]{ways: map[string][][]C{}, seen: map[string]int{}}
	chance := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // repeatable on purpose
	for _, cmds := range r.sample {
		explore(far, play(r.decider, cmds), chance)
	}
	for i := uint64(0); !r.stuck && r.coverage.histories < r.coverage.limit() && now().Before(until) && now().Before(r.until); i++ {
		wanted, others := r.coverage.absent()
		if len(wanted) == 0 && !others {
			return
		}
		cmds, err := r.generator.seek(mix(seed^^i), wanted, far)
		r.stuck = err != nil
		h := play(r.decider, cmds)
		explore(far, h, chance)
		if r.coverage.add(h) || panics(h) {
			r.check(cmds)
		}
	}
}

// unfit returns why the suite cannot be checked, or "" if it can.
func (r *run[C, S, E]) unfit() string {
	if r.missing != "" {
		return r.missing
	}
	return r.unknown
}

// missing returns what s lacks to be checked, or "" if nothing.
func (s Suite[C, S, E]) missing() string {
	switch {
	case s.decider.Decide == nil:
		return "props: " + s.decides + " is nil"
	case s.decider.Evolve == nil:
		return "props: " + s.evolves + " is nil"
	case s.draw == nil && len(s.samples) == 0:
		return s.empty
	}
	return ""
}

// rapidChecks returns how often rapid calls a property.
func rapidChecks() int {
	checks := setting[int]("rapid.checks")
	if testing.Short() {
		checks /= 5
	}
	return checks
}

// drawSeed returns a number whose bits are all random: rapid prefers small numbers.
func drawSeed(t *rapid.T) uint64 {
	var seed uint64
	for range 4 {
		seed = mix(seed ^ rapid.Uint64().Draw(t, "seed"))
	}
	return seed
}

// try checks on the history of seed the laws that hold so far, and returns whether there
// is more to do.
func (r *run[C, S, E]) try(seed uint64) bool {
	if r.stuck || r.coverage.histories >= r.coverage.goal || now().After(r.until) {
		return false
	}
	cmds, err := r.generator.commands(seed)
	r.judge(cmds)
	if r.stuck = err != nil; r.stuck && len(r.failures) == 0 { // otherwise a wrong state is the cause
		r.problem = err
	}
	return true
}

// judge checks on cmds the laws that hold so far.
func (r *run[C, S, E]) judge(cmds []C) {
	r.coverage.add(play(r.decider, cmds))
	r.keep(cmds)
	r.check(cmds)
}

// check counts cmds and checks on them the laws that hold so far.
func (r *run[C, S, E]) check(cmds []C) {
	r.watch.history(func() string { return "\nwhile running these commands:\n" + show.Indent(listed(cmds), "\t") })
	for _, l := range r.laws {
		if _, failed := r.failures[l.name]; failed || l.late {
			continue
		}
		if r.broken(l, cmds) != nil {
			r.fail(l, cmds)
		}
	}
}

// listed returns a line for each of all.
func listed[T any](all []T) string {
	out := make([]string, len(all))
	for i, v := range all {
		out[i] = fmt.Sprintf("%*d  %s", len(strconv.Itoa(len(all))), i+1, show.Text(v))
	}
	return strings.Join(out, "\n")
}

func (r *run[C, S, E]) fail(l law[C, S, E], cmds []C) {
	r.failures[l.name] = failure[C, S, E]{l, cmds, r.coverage.histories, now().Sub(r.began)}
}

// kept is how many histories the late laws are checked on.
const kept = 16

// keep keeps some of the histories, for the late laws.
func (r *run[C, S, E]) keep(cmds []C) {
	if every := max(1, r.coverage.goal/kept); r.coverage.histories%every == 0 {
		r.sample = append(r.sample, cmds)
	}
}

// verdict returns the report of how l is broken, or nil if it holds. It checks late laws
// now, if all others hold, because an impure decider could end the process.
func (r *run[C, S, E]) verdict(t *testing.T, l law[C, S, E]) (p *report[C, S, E]) {
	t.Helper()
	hung := r.watch.guard(func() {
		if f, ok := r.failed(l); ok {
			p = r.explain(t, f)
		}
	})
	if hung != "" {
		return &report[C, S, E]{law: l, test: t.Name(), text: l.name + ": " + hung, breach: &breach{-1, hung}}
	}
	return p
}

// failed returns the failure of l to report, if there is one.
func (r *run[C, S, E]) failed(l law[C, S, E]) (f failure[C, S, E], ok bool) {
	for _, cmds := range r.sample {
		if l.late && len(r.failures) == 0 && r.broken(l, cmds) != nil {
			r.fail(l, cmds)
		}
	}
	f, ok = r.failures[l.name]
	return f, ok && !r.behind(l)
}

// verdicts returns the verdicts on what should come sometimes, without those that a
// broken law explains.
func (r *run[C, S, E]) verdicts() []verdict {
	return slices.DeleteFunc(r.coverage.verdicts(), func(v verdict) bool {
		for _, f := range r.failures {
			if v.name == everyEvent && f.law.codec || v.name == everyCommand && strings.HasSuffix(f.law.name, " is total") {
				return true
			}
		}
		return false
	})
}

// behind reports whether l is broken only because another law is.
func (r *run[C, S, E]) behind(l law[C, S, E]) bool {
	return slices.ContainsFunc(l.behind, func(name string) bool {
		_, broken := r.failures[name]
		return broken
	})
}

// broken returns the breach of l by cmds, or nil if there is none. A panic in l is one
// too, except a panic of Decide or Evolve, which the laws of totality report.
func (r *run[C, S, E]) broken(l law[C, S, E], cmds []C) (b *breach) {
	err := catch(func() { b = l.check(r, cmds) })
	if err == nil || panics(play(r.decider, cmds)) {
		return b
	}
	return &breach{len(cmds) - 1, err.Error()}
}

// quiet is a rapid.TB that records what rapid reports. rapid stops at a failure, but the
// test goes on to report it in its own way.
type quiet struct {
	rapid.TB

	text   strings.Builder
	failed bool
}

func (q *quiet) Log(args ...any)              {}
func (q *quiet) Logf(f string, args ...any)   {}
func (q *quiet) Fail()                        { q.failed = true }
func (q *quiet) FailNow()                     { q.failed = true }
func (q *quiet) Failed() bool                 { return q.failed }
func (q *quiet) Error(args ...any)            { q.say(fmt.Sprint(args...)) }
func (q *quiet) Fatal(args ...any)            { q.say(fmt.Sprint(args...)) }
func (q *quiet) Errorf(f string, args ...any) { q.say(fmt.Sprintf(f, args...)) }
func (q *quiet) Fatalf(f string, args ...any) { q.say(fmt.Sprintf(f, args...)) }

// replay returns the flag that rapid recommends for repeating the failure.
func (q *quiet) replay() string {
	for _, pattern := range []string{`-rapid\.seed=\d+`, `-rapid\.failfile="[^"]+"`} {
		if flag := regexp.MustCompile(pattern).FindString(q.text.String()); flag != "" {
			return flag
		}
	}
	return ""
}

func (q *quiet) say(s string) {
	q.failed = true
	q.text.WriteString(s + "\n")
}
