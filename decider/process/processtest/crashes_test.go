package processtest_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/process/processtest"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/projection/projectiontest"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

func happenings() codec.Codec[happening] { return codec.JSON(map[string]happening{"Happened": {}}) }

// day is short, because a waiting process wakes up every few seconds, each of which is
// run.
const day = 10 * time.Second

// subject is a process of orders, as a program would make it.
func subject(p decider.Process[happening, state, letter]) processtest.Subject[*memory.Tx, happening, state, letter] {
	orders := codec.Events(codec.From("Order", happenings(), func(_ *store.Recorded, e happening) happening { return e }))
	return processtest.Subject[*memory.Tx, happening, state, letter]{
		New: func(log process.Store, target projection.Target[*memory.Tx]) *process.Runtime[*memory.Tx, happening, state, letter] {
			return process.New(log, target, "Reminder", p, orders).WithTimers(happenings())
		},
		Then: 8 * day,
	}
}

func orders(tb testing.TB) []processtest.Happening {
	tb.Helper()
	given := func(after time.Duration, order, what string) processtest.Happening {
		stream := store.Stream{Type: "Order", ID: order}
		return processtest.Happening{After: after, Append: projectiontest.Given(tb, happenings(), stream, happening{order, what})}
	}
	return []processtest.Happening{
		given(0, "o-1", "placed"), given(0, "o-2", "placed"), given(day/2, "o-2", "paid"), given(day, "o-3", "placed"),
	}
}

// An order is placed, and paid half a day later. In your own test, call
//
//	processtest.Crashes(t, open, subject, history)
func ExampleCrashes() {
	t := &testing.T{} // your test
	reminders := codec.Events(codec.From("Order", happenings(), func(_ *store.Recorded, e happening) happening { return e }))
	subject := processtest.Subject[*memory.Tx, happening, state, letter]{
		New: func(log process.Store, target projection.Target[*memory.Tx]) *process.Runtime[*memory.Tx, happening, state, letter] {
			return process.New(log, target, "Reminder", reminder(), reminders).WithTimers(happenings())
		},
		Then: time.Hour,
	}
	open := func(*testing.T) processtest.Setup[*memory.Tx] {
		st := memory.New()
		return processtest.Setup[*memory.Tx]{Log: st, Target: st}
	}
	order := store.Stream{Type: "Order", ID: "o-1"}
	history := []processtest.Happening{
		{Append: projectiontest.Given(t, happenings(), order, happening{"o-1", "placed"})},
		{After: 12 * time.Hour, Append: projectiontest.Given(t, happenings(), order, happening{"o-1", "paid"})},
	}
	setup := open(t)
	fmt.Println(subject.New(setup.Log, setup.Target).Progress().State, len(history))
	// Output: idle 2
}

func TestCrashes(t *testing.T) {
	t.Parallel()
	processtest.Crashes(t, open, subject(reminderIn(day)), orders(t))
}

// countingEnv is set when TestCrashesFinds runs itself with a wrong process.
const countingEnv = "EVOLVE_COUNTING"

// TestCrashesFinds runs Crashes on a process that counts its letters outside its state.
// It runs in a program of its own, because it fails.
func TestCrashesFinds(t *testing.T) {
	t.Parallel()
	if os.Getenv(countingEnv) != "" {
		p, letters := reminderIn(day), 0
		react := p.React
		p.React = func(s state, e happening) decider.Reaction[letter, happening] {
			r := react(s, e)
			for i := range r.Send {
				letters++
				r.Send[i].Text += fmt.Sprint(" no. ", letters)
			}
			return r
		}
		made := subject(p)
		right := made.New
		made.New = func(log process.Store, target projection.Target[*memory.Tx]) *process.Runtime[*memory.Tx, happening, state, letter] {
			letters = 0 // as in a new program
			return right(log, target)
		}
		processtest.Crashes(t, open, made, orders(t))
		return
	}
	run := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestCrashesFinds$", "-test.timeout", "1m")
	run.Env = append(os.Environ(), countingEnv+"=yes")
	out, err := run.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "with a crash at place") {
		t.Errorf("Crashes does not find a process that counts outside its state: %v\n%s", err, out)
	}
}
