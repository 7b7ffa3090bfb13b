package runnertest

import (
	"os"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store/storetest/schedule"
)

// schedules returns the plans whose every schedule is tried: two clients with faults
// between them, or three clients without faults.
func schedules() map[string]plan {
	opens := func(i int) Call {
		return Call{ID: acc, Command: do(doCredit, 5, strconv.Itoa(i)), CommandID: strconv.Itoa(i)}
	}
	takes := func(i int) Call {
		return Call{ID: acc, Command: do(doWithdraw, 5, strconv.Itoa(i)), CommandID: strconv.Itoa(i)}
	}
	ensures := Call{ID: acc, Command: do(doEnsure, 0, "ensure")}
	anonymous := func(c Call) Call {
		c.CommandID = ""
		return c
	}
	given := []Command{do(doCredit, 5, "given")}
	return map[string]plan{
		"two open the account": {
			Clients: []client{{0, []Call{opens(1)}}, {1, []Call{opens(2)}}}, Faults: 1,
		},
		"two withdraw what is enough for one": {
			Given: given, Clients: []client{{0, []Call{takes(1)}}, {1, []Call{takes(2)}}}, Faults: 1,
		},
		"two withdraw in one process": {
			Given: given, Clients: []client{{0, []Call{anonymous(takes(1))}}, {0, []Call{anonymous(takes(2))}}}, Faults: 1,
		},
		"two send the same command": {
			Given: given, Clients: []client{{0, []Call{takes(1)}}, {1, []Call{ensures, takes(1)}}}, Faults: 1,
		},
		"a command comes too early, and again": {
			Clients: []client{{0, []Call{takes(1)}}, {0, []Call{anonymous(opens(2)), takes(1)}}},
		},
		"three race": {
			Given: given, Clients: []client{{0, []Call{takes(1)}}, {0, []Call{anonymous(opens(2))}}, {1, []Call{takes(3)}}},
		},
		"one is alone": {
			Given: given, Clients: []client{{0, []Call{takes(1), takes(2), opens(3)}}}, Faults: 2,
		},
	}
}

// search says how much to try.
type search struct {
	checks int    // random schedules of everything
	seed   uint64 // of the first one; zero: another one each time
}

// usual is how much Run tries: 50 schedules of each size, fewer with -short, or as many
// as the environment says for rapid.
func usual() search {
	if n, err := strconv.Atoi(os.Getenv("RAPID_CHECKS")); err == nil {
		return search{checks: n}
	}
	if testing.Short() {
		return search{checks: 10}
	}
	return search{checks: 50}
}

// most is the largest number of schedules of a plan. A system that behaves differently
// each time would have no end of them.
const most = 10_000

// explore tries all schedules of p, and returns what is wrong with the first that fails.
func explore(t *testing.T, open Open, p plan) []string {
	t.Helper()
	_, err := schedule.Explore(t, schedule.Limits{Faults: p.Faults, Schedules: most}, p.scene(open))
	return failure(err)
}

func failure(err error) []string {
	if err == nil {
		return nil
	}
	return []string{err.Error()}
}

// simulate tries random schedules of random plans, small ones first, so that a fault is
// found in a small one.
func simulate(t *testing.T, open Open, far search) []string {
	t.Helper()
	for size := 1; size <= 3; size++ {
		draw := plans(size)
		for _, most := range []int{0, size} {
			limits := schedule.Limits{Faults: most, Schedules: far.checks, Seed: far.seed}
			err := schedule.Simulate(t, limits, func(s *schedule.Sim) {
				draw.Example(s.Random().Int()).scene(open)(s)
			})
			if err != nil {
				return failure(err)
			}
		}
	}
	return nil
}

// plans draws plans of at most size clients, and at least two, with as many calls each.
func plans(size int) *rapid.Generator[plan] {
	return rapid.Custom(func(t *rapid.T) plan {
		var p plan
		if rapid.Bool().Draw(t, "table") {
			p.Table = drawTable(t)
		}
		p.Given = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Command { return drawCommand(t, p.Table, "given") }), 0, size).
			Draw(t, "given")
		processes := rapid.IntRange(1, 2).Draw(t, "processes")
		var sent []Call
		for range rapid.IntRange(1, max(2, size)).Draw(t, "clients") {
			c := client{Process: rapid.IntRange(0, processes-1).Draw(t, "process")}
			for range rapid.IntRange(1, size).Draw(t, "calls") {
				sent = append(sent, drawCall(t, p.Table, sent))
				c.Calls = append(c.Calls, sent[len(sent)-1])
			}
			p.Clients = append(p.Clients, c)
		}
		return p
	})
}

// drawCall draws a new call, or one of the calls that were sent before.
func drawCall(t *rapid.T, d *table, sent []Call) Call {
	if len(sent) > 0 && rapid.IntRange(0, 9).Draw(t, "again") == 9 {
		if c := rapid.SampledFrom(sent).Draw(t, "the same as"); c.CommandID != "" {
			return c
		}
	}
	tag := "c" + strconv.Itoa(len(sent))
	c := Call{ID: acc, Command: drawCommand(t, d, tag)}
	c.Attempts = rapid.SampledFrom([]int{0, 1, 2, 3, 9}).Draw(t, "attempts")
	if rapid.Bool().Draw(t, "with id") {
		c.CommandID = tag
	}
	if rapid.IntRange(0, 4).Draw(t, "expect") == 4 {
		version := uint64(rapid.IntRange(0, 4).Draw(t, "version"))
		c.Expected = &version
	}
	return c
}

func drawCommand(t *rapid.T, d *table, tag string) Command {
	if d != nil {
		return do(doTable, rapid.IntRange(0, 3).Draw(t, "command"), tag)
	}
	what := rapid.SampledFrom([]string{doOpen, doCredit, doDeposit, doWithdraw, doEnsure}).Draw(t, "command")
	return do(what, rapid.IntRange(1, 3).Draw(t, "amount"), tag)
}

func drawTable(t *rapid.T) *table {
	var d table
	states, commands := rapid.IntRange(1, 4).Draw(t, "states"), rapid.IntRange(1, 3).Draw(t, "commands")
	events := rapid.IntRange(1, 3).Draw(t, "events")
	for range states {
		d.decide = append(d.decide, rapid.SliceOfN(rapid.IntRange(-1, 2), commands, commands).Draw(t, "decide"))
		d.evolve = append(d.evolve, rapid.SliceOfN(rapid.IntRange(0, states-1), events, events).Draw(t, "evolve"))
	}
	return &d
}
