package impure

import (
	"errors"
	"fmt"
	"log"
	mrand "math/rand/v2"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"example.com/helper"
	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
)

type (
	Command struct {
		Now  time.Time
		Seed uint64
		To   chan int
	}
	State struct{ N int }
	Event interface{ isEvent() }
	Added struct{ At time.Time }
)

func (Added) isEvent() {}

var (
	ErrNo   = errors.New("no")
	rates   = map[string]int{"a": 1}
	fees    = map[string]int{"a": 1}
	count   int
	Limit   = 3
	began   = time.Now()
	counter sync.Map
	hooks   []func()
)

func Pure() decider.Decider[Command, State, Event] {
	return decider.New(pureDecide, func(s State, e Event) State {
		s.N += fees["a"]
		n := 0
		add := func() { n++ }
		add()
		return s
	})
}

func pureDecide(c Command, s State) ([]Event, error) {
	if s.N > 3 || c.Now.After(time.Unix(0, 0).UTC()) {
		return nil, fmt.Errorf("%w: %d", ErrNo, s.N)
	}
	if errors.Is(ErrNo, os.ErrNotExist) {
		return nil, decider.ErrUnhandled
	}
	r := mrand.New(mrand.NewPCG(c.Seed, 0)) // the same for the same command
	var b strings.Builder
	fmt.Fprintf(&b, "%d", r.IntN(helper.Double(6)))
	names := []string{b.String()}
	sort.Strings(names)
	return []Event{Added{c.Now}}, nil
}

func Bad() decider.Decider[Command, State, Event] { // want Bad:"calls os.Getenv; calls decide, which calls log.Print"
	d := decider.New(decide, evolve)
	d.Terminal = func(s State) bool { return os.Getenv("END") != "" } // want `Terminal must be pure, but calls os.Getenv`
	d.Initial = initial
	return d
}

func decide(c Command, s State) ([]Event, error) {
	log.Print("deciding", s) // want `Decide must be pure, but calls log.Print`
	go stamp()               // want `Decide must be pure, but starts a goroutine` `calls stamp, which calls time.Now`
	c.To <- 1                // want `sends on a channel`
	<-c.To                   // want `receives from a channel`
	for range c.To {         // want `receives from a channel`
	}
	select {}                  // want `selects`
	fmt.Println(mrand.IntN(6)) // want `calls fmt.Println` `calls rand.IntN`
	b := make([]byte, 1)
	println(len(b)) // want `prints`
	var mu sync.Mutex
	mu.Lock()             // want `calls sync.Mutex.Lock`
	close(make(chan int)) // want `closes a channel` `makes a channel`
	clock := time.Now     // want `calls time.Now`
	return []Event{Added{clock()}}, nil
}

func evolve(s State, e Event) State {
	count++                      // want `Evolve must be pure, but writes the package variable count`
	rates["b"] = count           // want `writes the package variable rates` `reads the package variable count, which changes`
	s.N += Limit                 // want `reads the package variable Limit, which anyone can change`
	s.N += began.Second()        // want `uses began, which calls time.Now`
	s.N += helper.Now().Second() // want `calls helper.Now, which calls inner, which calls time.Now`
	s.N += len(helper.ID())      // want `calls helper.ID, which uses reader, which uses os.Stdin`
	s.N += helper.Cached("a")    // want `calls helper.Cached, which reads the package variable mu, which changes`
	var c helper.Clock
	s.N += int(c.Time())       // want `calls helper.Clock.Time, which calls time.Now`
	s.N += time.Now().Second() //decidervet:ignore shown on a screen only
	//decidervet:ignore shown on a screen only
	s.N += time.Now().Second()
	s.N += time.Now().Second() /* want `calls time.Now` */ //decidervet:ignore
	return s
}

func initial() State { return State{stamp2()} } // want `Initial must be pure, but calls stamp2, which calls stamp, which calls time.Now` // want `Initial must be pure, but calls stamp2, which calls stamp, which calls time.Now`

func stamp() int { return time.Now().Second() }

func stamp2() int { return stamp() }

// excused is not pure, but says why, for all who call it.
func excused() int { return time.Now().Second() } //decidervet:ignore it is the demo's clock

func grow() { rates["c"] = count; hooks = append(hooks, grow) }

// Counting closes over a variable.
func Counting(limit int) decider.Decider[Command, State, Event] { // want Counting:"calls made, which calls time.Since"
	n := 0
	return decider.Decider[Command, State, Event]{
		Decide: func(c Command, s State) ([]Event, error) {
			n++ // want `Decide must be pure, but writes n, a variable outside of it`
			if n > limit+excused() {
				return nil, ErrNo
			}
			return nil, nil
		},
		Evolve: made(limit),
	}
}

// made returns an evolve.
func made(limit int) func(State, Event) State {
	return func(s State, e Event) State {
		s.N = int(time.Since(time.Time{})) // want `Evolve must be pure, but calls time.Since`
		return s
	}
}

type account struct{}

func (account) Decide(c Command, s State) ([]Event, error) { return nil, ErrNo }

func (account) Evolve(s State, e Event) State { // want Evolve:".*"
	counter.Store(1, 2) // want `calls sync.Map.Store` `reads the package variable counter, which changes`
	return s
}

// Account is in method form.
func Account() decider.Decider[Command, State, Event] { return decider.Of(account{}) }

// All takes functions of all kinds.
func All() { // want All:"calls time.Now; prints"
	now := func(s State, e Event) State {
		s.N = time.Now().Second() // want `calls time.Now`
		return s
	}
	_ = decider.View[State, Event]{now, func() State { panic(os.Args[0]) }} // want `Initial must be pure, but uses os.Args`
	_ = decider.Process[Event, State, Command]{
		React: func(s State, e Event) decider.Reaction[Command, Event] {
			return decider.Reaction[Command, Event]{Send: []Command{{Now: time.Now()}}} // want `React must be pure, but calls time.Now`
		},
		Key:     func(e Event) (string, bool) { return os.Getenv("KEY"), true },    // want `Key must be pure`
		Pending: func(s State) []Command { _, err := os.ReadFile(""); panic(err) }, // want `Pending must be pure, but calls os.ReadFile`
	}
	_ = decider.Focus(Pure(), func(s State) State { println(); return s }, set)      // want `the function given to decider.Focus must be pure, but prints`
	_ = decider.Union(func() State { return State{int(time.Now().Unix())} }, Pure()) // want `Initial must be pure, but calls time.Now`
	_ = codec.Up("a", 1, func(n int) Added { return Added{time.Now()} })             // want `the function given to codec.Up must be pure, but calls time.Now`
	_ = codec.Up("a", 1, helper.Double)
	_ = codec.Up("a", 1, (*helper.Clock).Time) // want `Time must be pure, but calls helper.Clock.Time, which calls time.Now`
}

func set(s State, t State) State {
	fmt.Print(s) // want `set, given to decider.Focus, must be pure, but calls fmt.Print`
	return t
}
