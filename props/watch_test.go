package props_test

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/props"
)

// hanging returns a function that hangs until the test is over, and the clock of a watch,
// whose seconds pass once the function hangs.
func hanging(t *testing.T) (hang func(), seconds <-chan time.Time) {
	t.Helper()
	over, clock := make(chan struct{}), make(chan time.Time)
	t.Cleanup(func() { close(over) })
	return func() {
		go func() {
			for {
				select {
				case clock <- time.Time{}:
				case <-over:
					return
				}
			}
		}()
		<-over
	}, clock
}

// TestHangs checks that a function which does not return is reported, with the history
// that led to it.
func TestHangs(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		plant func(d *Account, hang func())
		want  []string
	}{
		"decide": {func(d *Account, hang func()) {
			d.Decide = func(c Command, s State) ([]Event, error) {
				if _, ok := c.(Withdraw); ok && s.Balance > 0 {
					hang()
				}
				return decide(c, s)
			}
		}, []string{"Decide(Withdraw{", "has not returned for 10 seconds", "history (command, what was decided, what changed)", "Open{", "Deposit{"}},
		"evolve": {func(d *Account, hang func()) {
			d.Evolve = on(func(s State, e Deposited) State {
				hang()
				return s
			})
		}, []string{"Evolve(State{", "Deposited{", "has not returned for 10 seconds"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hang, seconds := hanging(t)
			d := account()
			tt.plant(&d, hang)
			_, _, problem := props.Failures(t, props.Timed(samples(d), seconds))
			for _, want := range tt.want {
				if !strings.Contains(problem, want) {
					t.Errorf("%q is missing from %q", want, problem)
				}
			}
		})
	}
}

// TestSlow checks that slow functions are not reported: neither Decide and Evolve that
// return after nine seconds, nor a Rule, which may take any time. The watch may be slow
// too, and count the last second of a call for the next one, which so has ten.
func TestSlow(t *testing.T) {
	t.Parallel()
	seconds := make(chan time.Time)
	var calls, rules atomic.Int64
	pass := func(calls *atomic.Int64, n int) {
		if calls.Add(1) > 50 {
			return
		}
		for range n {
			seconds <- time.Time{}
		}
	}
	d := decider.New(
		func(c string, _ int) ([]string, error) {
			pass(&calls, 9)
			return []string{c}, nil
		},
		func(n int, _ string) int {
			pass(&calls, 9)
			return n + 1
		},
	)
	s := props.For(d).Commands(func(*rapid.T, int) string { return "go" }).Rule("slow", func(props.Step[string, int, string]) error {
		pass(&rules, 30)
		return nil
	})
	failures, _, problem := props.Failures(t, props.Timed(s, seconds))
	if len(failures) > 0 || problem != "" {
		t.Errorf("%v, and the problem is %q", failures, problem)
	}
}

// TestHungIsOver checks that a function is reported when ten seconds have passed, and not
// before, and that it is the last that runs if it returns after all, because the test may be
// over by then.
func TestHungIsOver(t *testing.T) {
	t.Parallel()
	seconds, over, returned := make(chan time.Time), make(chan struct{}), make(chan struct{})
	var last, more atomic.Bool
	passed := 0 // while the function hangs
	d := decider.New(
		func(c string, _ int) ([]string, error) {
			if last.Swap(true) {
				more.Store(true)
				return []string{c}, nil
			}
			for range 11 { // the first may have begun before the call
				select {
				case seconds <- time.Time{}:
					passed++
				case <-over:
				}
			}
			<-over
			close(returned)
			return []string{c}, nil
		},
		func(n int, _ string) int { return n + 1 },
	)
	_, _, problem := props.Failures(t, props.Timed(props.For(d).Commands(func(*rapid.T, int) string { return "go" }), seconds))
	if !strings.HasPrefix(problem, `Decide("go", 0) has not returned for 10 seconds`) {
		t.Fatalf("the problem is %q", problem)
	}
	close(over)
	<-returned
	if passed != 11 {
		t.Errorf("it is reported after %d seconds, want 11", passed)
	}
	stacks := make([]byte, 1<<20)
	for !strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "props.(*watch).leave") {
		if more.Load() {
			t.Fatal("Decide is called again")
		}
		runtime.Gosched()
	}
}

// TestEndsInUserCode checks that a panic of a user's function is told with the place where
// it happened, and that a function which ends the test ends it.
func TestEndsInUserCode(t *testing.T) {
	t.Parallel()
	check := func(hit func()) (problem string, returned bool) {
		over := make(chan struct{})
		go func() {
			defer close(over)
			_, _, problem = props.Failures(t, samples(account()).Checks(few()).Reaches("a hit", func(Step) bool {
				hit()
				return true
			}))
			returned = true
		}()
		<-over
		return problem, returned
	}
	if problem, _ := check(func() { panic("no such case") }); !strings.Contains(problem, "no such case") || !strings.Contains(problem, "watch_test.go:") {
		t.Errorf("the problem is %q", problem)
	}
	if problem, returned := check(runtime.Goexit); returned {
		t.Errorf("the test goes on, and the problem is %q", problem)
	}
}

// TestHangsInALaw checks that the report names the commands even if only a law makes the
// call that does not return: no history repeats the first command.
func TestHangsInALaw(t *testing.T) {
	t.Parallel()
	hang, seconds := hanging(t)
	d := decider.New(
		func(c string, moves int) ([]string, error) {
			if c == "open" && moves > 0 {
				hang()
			}
			return []string{c}, nil
		},
		func(moves int, _ string) int { return moves + 1 },
	)
	s := props.For(d).Idempotent().Commands(func(_ *rapid.T, moves int) string {
		return []string{"open", "work"}[min(moves, 1)]
	})
	_, _, problem := props.Failures(t, props.Timed(s, seconds))
	for _, want := range []string{`Decide("open", 1) has not returned`, "while running these commands:\n\t", `1  "open"`} {
		if !strings.Contains(problem, want) {
			t.Errorf("%q is missing from %q", want, problem)
		}
	}
}

// TestHangsOfProcesses checks the same for each function of a process. Evolve hangs at an
// event that only a timer makes.
func TestHangsOfProcesses(t *testing.T) {
	t.Parallel()
	for function, want := range map[string]string{
		"Key": "Key(Opened{", "Evolve": "Evolve(1, Closed{})", "React": "React(1, Opened{", "Pending": "Pending(1)",
	} {
		t.Run(function, func(t *testing.T) {
			t.Parallel()
			hang, seconds := hanging(t)
			call := func(name string, hangs bool) {
				if hangs && name == function {
					hang()
				}
			}
			p := decider.Process[any, int, any]{
				Key: func(any) (string, bool) { call("Key", true); return "a", true },
				Evolve: func(s int, e any) int {
					call("Evolve", e == any(Closed{}))
					return 1
				},
				React: func(s int, _ any) decider.Reaction[any, any] {
					call("React", s == 1)
					return decider.Reaction[any, any]{Later: []decider.Timer[any]{{Name: "end", After: time.Hour, Event: Closed{}}}}
				},
				Pending: func(s int) []any { call("Pending", s == 1); return nil },
			}
			problem := props.Problem(t, props.Process(p).Any(any(Opened{})), seconds)
			if !strings.Contains(problem, want) || !strings.Contains(problem, "has not returned for 10 seconds") {
				t.Errorf("the problem is %.500q, want %q", problem, want)
			}
		})
	}
}

// TestNil checks that missing functions are reported by name.
func TestNil(t *testing.T) {
	t.Parallel()
	d := account()
	d.Decide = nil
	_, _, decide := props.Failures(t, samples(d))
	d = account()
	d.Evolve = nil
	_, _, evolve := props.Failures(t, samples(d))
	_, _, empty := props.Failures(t, props.For(account()))
	p := decider.Process[any, int, any]{
		Key:    func(any) (string, bool) { return "a", true },
		Evolve: func(s int, _ any) int { return s },
		React:  func(int, any) (r decider.Reaction[any, any]) { return r },
	}
	noEvents := props.Problem(t, props.Process(p), nil)
	noKey, noReact, noEvolve := p, p, p
	noKey.Key, noReact.React, noEvolve.Evolve = nil, nil, nil
	for got, want := range map[string]string{
		decide: "props: Decide is nil", evolve: "props: Evolve is nil", empty: "props: the suite has no commands: add Any or Commands",
		noEvents: "props: the suite has no events: add Any or Events",
		props.Problem(t, props.Process(noKey).Any(any(Opened{})), nil):    "props: Key is nil",
		props.Problem(t, props.Process(noEvolve).Any(any(Opened{})), nil): "props: Evolve is nil",
		props.Problem(t, props.Process(noReact).Any(any(Opened{})), nil):  "props: React is nil",
	} {
		if got != want {
			t.Errorf("the problem is %q, want %q", got, want)
		}
	}
}
