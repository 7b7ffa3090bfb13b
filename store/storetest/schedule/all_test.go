package schedule_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest/faults"
	"github.com/evolvego/evolve/store/storetest/schedule"
)

// program is what a client does: one letter for each step.
type program string

// actions are the letters of programs: a read, an append at the version that was read,
// an append at any version, an append to an empty stream, a check whether others of the
// same process have read, and a wait.
const actions = "rxaemw"

// plan is a scenario of small programs, grouped by process.
type plan struct {
	Processes [][]program
	Alike     int // number of clients that run the first program, instead
	Streams   int
	Limits    schedule.Limits
}

func drawPlan(t *rapid.T) plan {
	p := plan{Streams: rapid.SampledFrom([]int{1, 1, 2}).Draw(t, "streams")}
	clients := rapid.IntRange(2, 3).Draw(t, "clients")
	draw := rapid.Map(rapid.StringOfN(rapid.SampledFrom([]rune(actions)), 4-clients, 8-2*clients, -1), func(s string) program { return program(s) })
	if rapid.Bool().Draw(t, "alike") {
		p.Alike, p.Processes = clients, [][]program{{draw.Draw(t, "program")}}
	}
	for ; p.Alike == 0 && clients > 0; clients-- {
		next := draw.Draw(t, "program")
		if n := len(p.Processes); n > 0 && rapid.Bool().Draw(t, "shares memory") {
			p.Processes[n-1] = append(p.Processes[n-1], next)
		} else {
			p.Processes = append(p.Processes, []program{next})
		}
	}
	p.Limits.Faults = rapid.SampledFrom([]int{0, 0, 1, 1, 1, 2}).Draw(t, "faults")
	p.Limits.Kinds = rapid.SampledFrom([][]faults.Fault{{faults.Down}, {faults.Lost}, {faults.Late}, {}}).Draw(t, "kinds")
	return p
}

// outcomes returns the possible outcomes of p, and the number of schedules.
func (p plan) outcomes(t *testing.T, explore func(*testing.T, schedule.Limits, func(*schedule.Sim)) (int, error)) (map[string]bool, int) {
	t.Helper()
	all := map[string]bool{}
	n, err := explore(t, p.Limits, func(s *schedule.Sim) {
		now := &play{plan: p, sim: s, inner: memory.New()}
		now.store = s.Store(now.inner)
		s.Then(func() { all[now.outcome()] = true })
		if p.Alike > 0 {
			s.Alike(p.Alike, func(ctx context.Context) { now.client(p.Processes[0][0], new(int))(ctx) })
			return
		}
		for _, programs := range p.Processes {
			var clients []func(context.Context)
			memory := new(int)
			for _, program := range programs {
				clients = append(clients, now.client(program, memory))
			}
			s.Client(clients...)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, n
}

// play is one schedule of a plan, with everything that each client has seen.
type play struct {
	plan
	sim   *schedule.Sim
	inner *memory.Store
	store store.Store
	seen  []*strings.Builder
}

func (r *play) stream(i int) store.Stream {
	return store.Stream{Type: "T", ID: strconv.Itoa(i % r.Streams)}
}

// client runs program. It sees the results of its calls, and the real state when they
// return; memory counts the reads of a process.
func (r *play) client(program program, memory *int) func(context.Context) {
	return func(ctx context.Context) {
		name, seen := string(rune('A'+len(r.seen))), &strings.Builder{}
		r.seen = append(r.seen, seen)
		ctx, end := r.sim.Patience(ctx)
		defer end()
		start, head, pause := time.Now(), uint64(0), time.Second
		if r.Alike == 0 { // clients that share memory must not run at the same time
			pause *= time.Duration(len(r.seen))
		}
		for i, action := range program {
			stream := r.stream(i)
			expected := map[rune]store.Expected{'x': store.Exactly(head), 'a': store.Any, 'e': store.NoStream}[action]
			var what any
			var err error
			switch action {
			case 'r':
				var page store.Page
				page, err = r.store.Read(ctx, stream, store.ReadOptions{})
				head, what = page.Head, page.Head
				*memory++
			case 'm':
				what = *memory
			case 'w':
				time.Sleep(pause)
				what = time.Since(start)
			default:
				what, err = r.store.Append(ctx, stream, expected, []store.Event{{ID: fmt.Sprint(name, i), Type: "E"}})
			}
			page, _ := r.inner.Read(context.Background(), stream, store.ReadOptions{Limit: 1})
			fmt.Fprintf(seen, "; %c: %v %v (of %d)", action, what, err, page.Head)
		}
	}
}

// outcome returns what each client has seen, and the final streams. For clients that
// are alike, it picks the naming that gives the smallest text.
func (r *play) outcome() string {
	var text strings.Builder
	for i := range r.Streams {
		for event, err := range store.Events(context.Background(), r.inner, r.stream(i), 0) {
			fmt.Fprint(&text, " ", event.ID, err)
		}
		fmt.Fprint(&text, ".")
	}
	least := ""
	for _, names := range namings(r.Alike) {
		said := map[string]string{}
		for i, s := range r.seen {
			said[names.Replace(string(rune('A'+i)))] = s.String()
		}
		if one := names.Replace(text.String()) + fmt.Sprint(said); least == "" || one < least {
			least = one
		}
	}
	return least
}

// namings returns all ways to name n clients.
func namings(n int) []*strings.Replacer {
	if n < 2 {
		return []*strings.Replacer{strings.NewReplacer()}
	}
	names := []*strings.Replacer{strings.NewReplacer(), strings.NewReplacer("A", "B", "B", "A")}
	if n == 3 {
		names = append(names, strings.NewReplacer("A", "C", "C", "A"), strings.NewReplacer("B", "C", "C", "B"),
			strings.NewReplacer("A", "B", "B", "C", "C", "A"), strings.NewReplacer("A", "C", "B", "A", "C", "B"))
	}
	return names
}

// TestExploreLeavesOut checks that skipped schedules make no difference: every outcome
// of all schedules is also an outcome of a schedule that is tried.
func TestExploreLeavesOut(t *testing.T) {
	t.Parallel()
	every, tried := 0, 0
	rapid.Check(t, func(r *rapid.T) {
		p := drawPlan(r)
		all, n := p.outcomes(t, schedule.ExploreEvery)
		some, m := p.outcomes(t, schedule.Explore)
		for outcome := range all {
			if !some[outcome] {
				r.Fatalf("of %d schedules, none of the %d that are tried has the outcome\n%s", n, m, outcome)
			}
		}
		every, tried = every+n, tried+m
	})
	if t.Logf("%d of %d schedules", tried, every); tried >= every {
		t.Errorf("%d of %d schedules were tried, want fewer", tried, every)
	}
}
