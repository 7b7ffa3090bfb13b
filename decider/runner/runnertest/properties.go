package runnertest

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// simulated runs p in a bubble of its own and returns what is wrong, and how many
// options there were at each step.
func simulated(t *testing.T, open Open, p plan) (failures []string, options []int) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		failures = try(open, func(t *trial) { options = simulate(t, p) })
	})
	return failures, options
}

// schedules are the plans of which every schedule is tried: two clients, and what
// can go wrong between them.
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
		"two take what is enough for one": {
			Given: given, Clients: []client{{0, []Call{takes(1)}}, {1, []Call{takes(2)}}}, Faults: 1,
		},
		"two take it in one process": {
			Given: given, Clients: []client{{0, []Call{anonymous(takes(1))}}, {0, []Call{anonymous(takes(2))}}}, Faults: 1,
		},
		"two send the same command": {
			Given: given, Clients: []client{{0, []Call{takes(1)}}, {1, []Call{ensures, takes(1)}}}, Faults: 1,
		},
		"one is alone": {
			Given: given, Clients: []client{{0, []Call{takes(1), takes(2), opens(3)}}}, Faults: 2,
		},
	}
}

// explore tries every schedule of p, and returns what is wrong with the first that
// fails. It ends after some thousand, for a system that does not do the same every
// time has no end of them.
func explore(t *testing.T, open Open, p plan) []string {
	t.Helper()
	limit := 3000
	if testing.Short() {
		limit = 300
	}
	for range limit {
		failures, options := simulated(t, open, p)
		if len(failures) > 0 {
			return failures
		}
		path := make([]int, len(options))
		copy(path, p.Choices)
		last := len(path) - 1
		for last >= 0 && path[last] == options[last]-1 {
			last--
		}
		if last < 0 {
			return nil
		}
		path[last]++
		p.Choices = path[:last+1]
	}
	return nil
}

// plans draws simulations.
func plans() *rapid.Generator[plan] {
	return rapid.Custom(func(t *rapid.T) plan {
		var p plan
		if rapid.Bool().Draw(t, "table") {
			p.Table = drawTable(t)
		}
		p.Given = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Command { return drawCommand(t, p.Table, "given") }), 0, 3).
			Draw(t, "given")
		processes := rapid.IntRange(1, 2).Draw(t, "processes")
		var sent []Call
		for range rapid.IntRange(1, 3).Draw(t, "clients") {
			c := client{Process: rapid.IntRange(0, processes-1).Draw(t, "process")}
			for range rapid.IntRange(1, 3).Draw(t, "calls") {
				sent = append(sent, drawCall(t, p.Table, sent))
				c.Calls = append(c.Calls, sent[len(sent)-1])
			}
			p.Clients = append(p.Clients, c)
		}
		p.Faults = rapid.IntRange(0, 3).Draw(t, "faults")
		p.Choices = rapid.SliceOfN(rapid.IntRange(0, 59), 0, 60).Draw(t, "choices")
		return p
	})
}

// drawCall draws a new call, or one of those that were sent before.
func drawCall(t *rapid.T, d *table, sent []Call) Call {
	if len(sent) > 0 && rapid.IntRange(0, 9).Draw(t, "again") == 9 {
		if c := rapid.SampledFrom(sent).Draw(t, "the same as"); c.CommandID != "" {
			return c
		}
	}
	tag := "c" + strconv.Itoa(len(sent))
	c := Call{ID: acc, Command: drawCommand(t, d, tag)}
	c.Attempts = rapid.SampledFrom([]int{0, 1, 2, 3}).Draw(t, "attempts")
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

// checkSimulations checks open with many plans.
func checkSimulations(t *testing.T, open Open) {
	t.Helper()
	several := rapid.SliceOfN(plans(), 1, 20)
	rapid.Check(t, func(rt *rapid.T) {
		for _, p := range several.Draw(rt, "plans") {
			if failures, _ := simulated(t, open, p); len(failures) > 0 {
				rt.Fatalf("%s", strings.Join(failures, "\n"))
			}
		}
	})
}
