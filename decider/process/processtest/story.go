package processtest

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/decider"
)

// Tale is a test of a process, told as a story: what happened, how much time passed, and
// what was sent. [Story] begins one. It is for one goroutine.
type Tale[E, S, C any] struct {
	t       testing.TB
	process decider.Process[E, S, C]
	now     time.Duration
	count   int // of timers that were started
	jobs    map[string]*tale[E, S]
	sent    []C // and not yet checked by Sends
	told    []string
}

// tale is an instance in a story.
type tale[E, S any] struct {
	state  S
	over   bool
	timers []alarm[E]
}

// alarm is a timer in a story.
type alarm[E any] struct {
	decider.Timer[E]
	due   time.Duration
	order int
}

// Story begins a story about process p. Nothing has happened yet. It needs no store:
// events go to their instances, timers fire when After lets time pass, and Sends compares
// the commands. If something differs from the story, the test fails and prints the story
// so far.
func Story[E, S, C any](tb testing.TB, p decider.Process[E, S, C]) *Tale[E, S, C] {
	tb.Helper()
	return &Tale[E, S, C]{t: tb, process: p, jobs: map[string]*tale[E, S]{}}
}

// Given makes events happen now, one after the other. Events that do not concern the
// process are ignored, as are events of an instance that is over.
func (s *Tale[E, S, C]) Given(events ...E) *Tale[E, S, C] {
	s.t.Helper()
	for _, e := range events {
		s.told = append(s.told, fmt.Sprintf("%v  %T%+v", s.now, e, e))
		if id, ok := s.process.Key(e); ok {
			s.happens(id, e)
		}
	}
	return s
}

// After lets time pass. Timers that are due fire in the order of their due times.
func (s *Tale[E, S, C]) After(d time.Duration) *Tale[E, S, C] {
	s.t.Helper()
	until := s.now + d
	for {
		id, next, ok := s.next()
		if !ok || next.due > until {
			s.now = until
			return s
		}
		s.now = max(s.now, next.due)
		j := s.jobs[id]
		j.timers = slices.DeleteFunc(j.timers, func(a alarm[E]) bool { return a.Name == next.Name })
		s.told = append(s.told, fmt.Sprintf("%v  timer %q: %T%+v", s.now, next.Name, next.Event, next.Event))
		s.happens(id, next.Event)
	}
}

// next returns the timer that is due first.
func (s *Tale[E, S, C]) next() (id string, first alarm[E], ok bool) {
	for key, j := range s.jobs {
		for _, a := range j.timers {
			if !ok || cmp.Or(cmp.Compare(a.due, first.due), cmp.Compare(a.order, first.order)) < 0 {
				id, first, ok = key, a, true
			}
		}
	}
	return id, first, ok
}

func (s *Tale[E, S, C]) happens(id string, e E) {
	j := s.jobs[id]
	if j == nil {
		j = &tale[E, S]{state: s.process.Start()}
		s.jobs[id] = j
	}
	if j.over {
		return
	}
	j.state = s.process.Evolve(j.state, e)
	r := s.process.React(j.state, e)
	for _, c := range r.Send {
		s.sent = append(s.sent, c)
		s.told = append(s.told, fmt.Sprintf("%v    → %T%+v", s.now, c, c))
	}
	stop := func(name string) {
		j.timers = slices.DeleteFunc(j.timers, func(a alarm[E]) bool { return a.Name == name })
	}
	for _, name := range r.Cancel {
		stop(name)
	}
	for _, t := range r.Later {
		stop(t.Name)
		s.count++
		j.timers = append(j.timers, alarm[E]{t, s.now + max(t.After, 0), s.count})
	}
	if s.process.IsTerminal(j.state) {
		j.over, j.timers = true, nil
	}
}

// Sends checks that exactly these commands were sent since the last call of Sends, in
// this order. Without commands it checks that nothing was sent.
func (s *Tale[E, S, C]) Sends(commands ...C) *Tale[E, S, C] {
	s.t.Helper()
	if len(s.sent) != len(commands) || len(commands) > 0 && !reflect.DeepEqual(s.sent, commands) {
		s.t.Errorf("sent %s, want %s\nthe story so far:\n%s", listed(s.sent), listed(commands), strings.Join(s.told, "\n"))
	}
	s.sent = nil
	return s
}

func listed[C any](commands []C) string {
	if len(commands) == 0 {
		return "nothing"
	}
	all := make([]string, len(commands))
	for i, c := range commands {
		all[i] = fmt.Sprintf("%T%+v", c, c)
	}
	return strings.Join(all, ", ")
}

// Over checks that the instance is over.
func (s *Tale[E, S, C]) Over(instance string) *Tale[E, S, C] {
	s.t.Helper()
	if j := s.jobs[instance]; j == nil || !j.over {
		s.t.Errorf("instance %q is not over\nthe story so far:\n%s", instance, strings.Join(s.told, "\n"))
	}
	return s
}
