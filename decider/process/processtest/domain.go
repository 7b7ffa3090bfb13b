package processtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// event is an event of the suite's process. It says what the process does.
type event struct {
	Job    string   // the instance
	Name   string   // a name
	Send   []string // commands
	Later  []later  // timers to start
	Cancel []string // timers to stop
	End    bool     // the job is over
	Panic  bool     // Evolve panics
	Dump   bool     // sends everything that the job has seen
}

// later is a timer that an event starts.
type later struct {
	Name  string
	After time.Duration
	Event *event
}

// both is an event of an older schema, which was split in two.
type both struct{ First, Second event }

// job is the state of an instance: everything that it has seen.
type job struct {
	Seen  []string
	Waits []string // the commands of the last event, which are pending
	Over  bool
}

// jobs is the process of the suite.
func jobs() decider.Process[event, job, string] {
	return decider.Process[event, job, string]{
		Key: func(e event) (string, bool) { return e.Job, e.Job != "" },
		Evolve: func(s job, e event) job {
			if e.Panic {
				panic("a broken Evolve")
			}
			s.Seen = append(slices.Clone(s.Seen), e.Name)
			s.Waits = e.Send
			s.Over = s.Over || e.End
			return s
		},
		React: func(s job, e event) decider.Reaction[string, event] {
			r := decider.Reaction[string, event]{Send: slices.Clone(e.Send), Cancel: e.Cancel}
			if e.Dump {
				r.Send = append(r.Send, dumped(s))
			}
			for _, l := range e.Later {
				r.Later = append(r.Later, decider.Timer[event]{Name: l.Name, After: l.After, Event: *l.Event})
			}
			return r
		},
		Terminal: func(s job) bool { return s.Over },
	}
}

func dumped(s job) string { return "seen " + strings.Join(s.Seen, " ") }

// stream is the type of the streams that the suite's process reads.
const stream = "Job"

// happened is the stored form of events, and Both that of the split event.
func happened() codec.Codec[event] {
	return codec.JSON(map[string]event{"Happened": {}},
		codec.UpMany("Both", 1, func(b both) []event { return []event{b.First, b.Second} }).Retired())
}

func bothCodec() codec.Codec[both] { return codec.JSON(map[string]both{"Both": {}}) }

func source() codec.Source[event] {
	return codec.Events(codec.From(stream, happened(), func(_ *store.Recorded, e event) event { return e }))
}

var (
	errCrash    = errors.New("processtest: crash")
	errDown     = errors.New("processtest: the receiver is down")
	errRejected = errors.New("processtest: no")
)

// differ returns an error if got is not want.
func differ(what string, got, want any) error {
	if g, w := fmt.Sprintf("%v", got), fmt.Sprintf("%v", want); g != w {
		return fmt.Errorf("%s: %s, want %s", what, g, w)
	}
	return nil
}
