package processtest_test

import (
	"fmt"
	"io"
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

// wrongEnv names the wrong process with which TestCrashesFinds runs itself.
const wrongEnv = "EVOLVE_WRONG"

type orderSubject = processtest.Subject[*memory.Tx, happening, state, letter]

// wrong returns subjects that Crashes must find, and what it must say.
func wrong() map[string]struct {
	subject orderSubject
	says    string
} {
	mute := reminderIn(day)
	mute.React = func(state, happening) (none decider.Reaction[letter, happening]) { return none }
	closed := subject(reminderIn(day))
	right := closed.New
	closed.New = func(log process.Store, target projection.Target[*memory.Tx]) *process.Runtime[*memory.Tx, happening, state, letter] {
		_ = log.(io.Closer).Close() //nolint:errcheck,forcetypeassert // it is a memory store
		return right(log, target)
	}
	return map[string]struct {
		subject orderSubject
		says    string
	}{
		"it counts outside its state": {counting(), "with a crash at place"},
		"it wakes an instance":        {waking(), `instance "o-2" sends`},
		"it sends nothing":            {subject(mute), "there is nothing to compare"},
		"it ends by itself":           {closed, "the process ended by itself"},
		"it closes the log":           {closed, "append to Order"},
	}
}

// counting is a process that counts its letters outside its state.
func counting() orderSubject {
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
	return made
}

// waking is a process that thanks for a payment only if it has crashed before.
func waking() orderSubject {
	p, programs := reminderIn(day), 0
	react := p.React
	p.React = func(s state, e happening) decider.Reaction[letter, happening] {
		r := react(s, e)
		if e.What == "paid" && programs > 1 {
			r.Send = append(r.Send, letter{e.Order, "thank you"})
		}
		return r
	}
	made := subject(p)
	right := made.New
	var last process.Store
	made.New = func(log process.Store, target projection.Target[*memory.Tx]) *process.Runtime[*memory.Tx, happening, state, letter] {
		if log != last {
			programs = 0
		}
		last = log
		programs++
		return right(log, target)
	}
	return made
}

// TestCrashesFinds runs Crashes on wrong processes. It runs in programs of its own, because
// it fails.
func TestCrashesFinds(t *testing.T) {
	t.Parallel()
	if name := os.Getenv(wrongEnv); name != "" {
		processtest.Crashes(t, open, wrong()[name].subject, orders(t))
		return
	}
	for name, tt := range wrong() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestCrashesFinds$", "-test.timeout", "1m")
			run.Env = append(os.Environ(), wrongEnv+"="+name)
			out, err := run.CombinedOutput()
			if err == nil || !strings.Contains(string(out), tt.says) {
				t.Errorf("Crashes does not say %q: %v\n%s", tt.says, err, out)
			}
		})
	}
}
