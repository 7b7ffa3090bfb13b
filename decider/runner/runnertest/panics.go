package runnertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// poison is the tag of a command whose events one of the functions cannot handle.
const poison = "poison"

// errPoison is the error of a codec for an event that it has written and cannot read.
var errPoison = errors.New("runnertest: this event cannot be read")

// touched is the value of a planted panic.
type touched struct{ function string }

// calls counts the calls of user functions, and can make one of them panic.
type calls struct {
	mu    sync.Mutex
	count map[string]int // by function; guarded by mu

	at       int // the call of function that panics, counted from 1; 0: none; guarded by mu
	function string
}

// call counts a call of the function.
func (c *calls) call(function string) {
	c.mu.Lock()
	c.count[function]++
	now := function == c.function && c.count[function] == c.at
	c.mu.Unlock()
	if now {
		panic(touched{function})
	}
}

// rest makes no more functions panic, and returns how often each was called.
func (c *calls) rest() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = 0
	return maps.Clone(c.count)
}

// userFunctions are the functions that users pass to a system. They report when they are
// called, and the event, if there is one.
type userFunctions struct {
	codec.Codec[Event]

	inPlace bool // the decider also evolves in place
	called  func(function string)
	event   func(function string, e Event) error // nil: does nothing
}

// Encode returns event as JSON.
func (u userFunctions) Encode(event Event) (store.Event, error) {
	if err := u.touch("Encode", event); err != nil {
		return store.Event{}, err
	}
	return u.Codec.Encode(event)
}

// Decode appends the recorded events to dst.
func (u userFunctions) Decode(dst []Event, recorded []store.Recorded) ([]Event, error) {
	for i := range recorded {
		var err error
		if dst, err = u.Codec.Decode(dst, recorded[i:i+1]); err != nil {
			return dst, err
		}
		if err := u.touch("Decode", dst[len(dst)-1]); err != nil {
			return dst[:len(dst)-1], err
		}
	}
	return dst, nil
}

func (u userFunctions) touch(function string, e Event) error {
	u.called(function)
	if u.event == nil {
		return nil
	}
	return u.event(function, e)
}

// touchy opens a system whose user functions are u.
func (t *trial) touchy(u userFunctions) System {
	u.Codec = format{}
	d := t.decider
	d.Initial = func() State {
		u.called("Initial")
		return t.decider.Start()
	}
	d.Decide = func(c Command, s State) ([]Event, error) {
		u.called("Decide")
		return t.decider.Decide(c, s)
	}
	d.Evolve = func(s State, e Event) State {
		_ = u.touch("Evolve", e) // it panics, if anything
		return t.decider.Evolve(s, e)
	}
	if u.inPlace {
		d.EvolveInPlace = func(s *State, e Event) {
			_ = u.touch("EvolveInPlace", e) // it panics, if anything
			*s = t.decider.Evolve(*s, e)
		}
	}
	s := t.opened(t.open(d, t.probe, u))
	if h, ok := s.(Hooked); ok {
		h.Hook(u.called)
	}
	u.claim(s)
	return s
}

// told is what the caller of a command got.
type told struct {
	tag      string
	out      Outcome
	err      error
	panicked any
}

func (o *told) String() string {
	if o.panicked != nil {
		return fmt.Sprintf("a panic, %v", o.panicked)
	}
	return fmt.Sprintf("%+v, %v", o.out, o.err)
}

// failed reports whether the caller got an error or a panic.
func (o *told) failed() bool { return o.err != nil || o.panicked != nil }

// tell handles c and returns what its caller got.
func (t *trial) tell(s System, c Call) (o *told) {
	ctx, cancel := context.WithTimeout(t.ctx, time.Minute) // so that nothing waits for ever
	defer cancel()
	o = &told{tag: c.Command.Tag}
	defer func() { o.panicked = recover() }()
	o.out, o.err = s.Handle(ctx, c)
	return o
}

// crowd makes several callers deposit at once, and another one when they are done. If
// first has a tag, it is one of the commands.
func (t *trial) crowd(s System, first Command) []*told {
	commands := []Command{do(doDeposit, 1, "a"), do(doDeposit, 2, "b"), do(doCredit, 3, "c")}
	if first.Tag != "" {
		commands = slices.Insert(commands, 1, first)
	}
	all := make([]*told, len(commands), len(commands)+1)
	t.together(len(commands), func(i int) {
		time.Sleep(time.Duration(i) * time.Microsecond)
		all[i] = t.tell(s, Call{ID: acc, Command: commands[i]})
	})
	return append(all, t.tell(s, Call{ID: acc, Command: do(doDeposit, 4, "d")}))
}

// wantTrue checks that the callers got true answers.
func (t *trial) wantTrue(all []*told) {
	t.Helper()
	for _, o := range all {
		switch n := t.count(o.tag); {
		case n > 0 && o.failed():
			t.Errorf("the command %s is recorded, but its caller got %v", o.tag, o)
		case n == 0 && !o.failed():
			t.Errorf("the command %s is not recorded, but its caller got %v", o.tag, o)
		case n > 1:
			t.Errorf("the command %s is recorded %d times", o.tag, n)
		case n == 1:
			t.wantFold(acc, o.out.State, o.out.Version, "Handle")
		}
	}
}

// wantServed checks that s, and a new process, handle further calls.
func (t *trial) wantServed(s System) {
	t.Helper()
	for i, process := range []System{s, t.system()} {
		o := t.tell(process, Call{ID: acc, Command: do(doDeposit, 1, "after")})
		if n := t.count("after"); o.failed() || n != i+1 {
			t.Errorf("call %d after the panic got %v, want no error; %d of these calls are in the stream", i+1, o, n)
		}
		t.wantFold(acc, o.out.State, o.out.Version, "Handle")
		t.wantLoaded(process)
	}
}

// A user function that panics once, in any of its calls, fails at most one command. A
// recorded command is answered as recorded, and the stream and the system work as before.
func panicsOnce(t *trial) {
	for _, inPlace := range []bool{false, true} {
		var count map[string]int
		t.at("without a panic", func(t *trial) {
			_, count = t.touchyCrowd(&calls{count: map[string]int{}}, inPlace)
			if count["Decide"] == 0 {
				t.Errorf("the system has handled commands without a call of Decide")
			}
		})
		for _, function := range slices.Sorted(maps.Keys(count)) {
			for at := 1; at <= count[function]; at++ {
				t.at(fmt.Sprintf("%s panics in call %d", function, at), func(t *trial) {
					s, _ := t.touchyCrowd(&calls{count: map[string]int{}, function: function, at: at}, inPlace)
					t.wantServed(s)
				})
			}
		}
	}
}

// outrun lets another writer append before the first append, so that there is a conflict.
func (t *trial) outrun(ctx context.Context, n int) error {
	if n > 1 {
		return nil
	}
	e, err := format{}.Encode(Event{What: deposited, N: 1, Tag: "rival"})
	if e.ID = store.NewID(); err == nil {
		_, err = t.memory.Append(ctx, streamOf(acc), store.Any, []store.Event{e})
	}
	return err
}

// touchyCrowd checks what a crowd gets from a system with the functions of c, and returns
// the system and how often each function was called.
func (t *trial) touchyCrowd(c *calls, inPlace bool) (System, map[string]int) {
	t.Helper()
	t.given(acc, do(doCredit, 5, "given"))
	t.probe.latency = time.Millisecond
	t.probe.onAppend = t.outrun
	s := t.touchy(userFunctions{called: c.call, inPlace: inPlace})
	all := t.crowd(s, Command{})
	t.wantTrue(all)
	failed := slices.DeleteFunc(slices.Clone(all), func(o *told) bool { return !o.failed() })
	if len(failed) > 1 {
		t.Errorf("one panic failed %d callers, of the commands %s and %s first: %v and %v",
			len(failed), failed[0].tag, failed[1].tag, failed[0], failed[1])
	}
	return s, c.rest()
}

// An event that Evolve or the codec cannot handle would make its stream unreadable for
// ever. It is not recorded, its caller gets an error or a panic, and the other callers
// succeed.
func poisonous(t *trial) {
	fails := func(error) error { return errPoison }
	panics := func(err error) error { panic(err) }
	for name, f := range map[string]struct {
		function string
		fail     func(error) error
	}{
		"Evolve panics": {"Evolve", panics}, "Encode panics": {"Encode", panics}, "Encode fails": {"Encode", fails},
		"Decode panics": {"Decode", panics}, "Decode fails": {"Decode", fails},
	} {
		t.at(name, func(t *trial) {
			t.given(acc, do(doCredit, 5, "given"))
			t.probe.latency = time.Millisecond
			s := t.touchy(userFunctions{
				called: func(string) {},
				event: func(function string, e Event) error {
					if e.Tag == poison && function == f.function {
						return f.fail(errPoison)
					}
					return nil
				},
			})
			all := t.crowd(s, do(doDeposit, 7, poison))
			for _, o := range all {
				if o.failed() != (o.tag == poison) {
					t.Errorf("the caller of the command %s got %v", o.tag, o)
				}
			}
			t.wantTrue(all)
			t.wantServed(s)
		})
	}
}
