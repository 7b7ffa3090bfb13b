package schedule

import (
	"context"
	"slices"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/store/storetest/faults"
	"github.com/evolvego/evolve/store/storetest/history"
)

// step takes one of the options; it returns false when all clients are done.
func (s *Sim) step() bool {
	options := s.options()
	if len(options) == 0 {
		return false
	}
	if len(s.taken) == maxSteps {
		s.Fatalf("the clients are not done after %d steps", maxSteps)
	}
	choice := s.choose(s, options)
	o := options[choice]
	s.slept, s.changed = false, false
	if client := o.client; client >= 0 && client < len(s.clients) {
		s.clients[client].begun = true
	}
	o.do()
	synctest.Wait()
	if s.changed || s.opened > 0 {
		o.effect = changes
	}
	s.taken = append(s.taken, taken{choice, len(options), o.done})
	return true
}

// option is something that can happen next. Its effect is the least that it can have.
type option struct {
	done
	do func()
}

// options returns what can happen next, beginning with a call without a fault.
func (s *Sim) options() (options []option) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alive == 0 {
		return nil
	}
	slices.SortStableFunc(s.waiting, func(a, b *waiting) int { return a.client - b.client })
	for _, w := range s.waiting {
		if s.mayBegin(w.client) {
			options = append(options, s.granting(w, faults.None))
		}
	}
	if len(s.waiting) == 0 || len(s.waiting) < s.alive && !s.slept {
		options = append(options, option{done{move{everybody, 0, "sleep"}, -1, changes}, s.sleep})
	}
	if s.late > 0 {
		options = append(options, option{done{move{everybody, 0, "land"}, -1, changes}, s.land})
	}
	if s.left > 0 {
		options = s.withFaults(options)
	}
	return options
}

// withFaults appends the options in which something goes wrong. The caller holds mu.
func (s *Sim) withFaults(options []option) []option {
	for _, w := range s.waiting {
		for _, fault := range s.limits.kinds() {
			if w.kind.can(fault) && s.mayBegin(w.client) {
				options = append(options, s.granting(w, fault))
			}
		}
	}
	for i := range s.clients {
		if c := &s.clients[i]; c.patience != nil && s.mayBegin(i) {
			options = append(options, option{done{move{i, c.calls, "give up"}, c.group, reads}, func() { s.giveUp(i) }})
		}
	}
	return options
}

// mayBegin reports whether this client has begun, or every client before it that is
// alike has begun. The caller holds mu.
func (s *Sim) mayBegin(client int) bool {
	if client >= len(s.clients) || s.clients[client].after < 0 || s.limits.every {
		return true
	}
	return s.clients[client].begun || s.clients[s.clients[client].after].begun
}

// granting is the option to let w continue, with a fault or without. The caller holds
// mu.
func (s *Sim) granting(w *waiting, fault faults.Fault) option {
	d := done{move{w.client, w.call, fault.String()}, -1, reads}
	if w.client < len(s.clients) {
		d.group = s.clients[w.client].group
	}
	if fault == faults.Late {
		d.effect = postpones
	}
	return option{d, func() { s.grant(w, fault) }}
}

// grant lets w continue, with a fault or without.
func (s *Sim) grant(w *waiting, fault faults.Fault) {
	if fault != faults.None {
		s.fault()
	}
	if fault == faults.Late {
		s.late++
	}
	s.leave(w)
	w.turn <- fault
}

func (s *Sim) fault() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left--
	s.faulted++
}

// sleep lets time pass until all clients that paused have continued.
func (s *Sim) sleep() {
	time.Sleep(time.Minute)
	s.slept = true
}

func (s *Sim) land() {
	for _, st := range s.stores {
		st.faults.Land()
	}
	s.late = 0
	s.mu.Lock()
	defer s.mu.Unlock()
	s.say(everybody, "a late append lands")
}

// giveUp ends the context of client i.
func (s *Sim) giveUp(i int) {
	s.fault()
	s.mu.Lock()
	s.say(i, "gives up")
	cancel := s.clients[i].patience
	s.mu.Unlock()
	cancel()
}

// finish releases the calls that the clients did not wait for.
func (s *Sim) finish() {
	s.mu.Lock()
	left := s.waiting
	s.running, s.waiting = false, nil
	s.mu.Unlock()
	for _, w := range left {
		w.turn <- faults.None
	}
	synctest.Wait()
}

// leave removes w from the waiting calls.
func (s *Sim) leave(w *waiting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = slices.DeleteFunc(s.waiting, func(o *waiting) bool { return o == w })
}

// turn waits until a call may be made, and returns its fault.
func (s *Sim) turn(ctx context.Context, k kind) (faults.Fault, error) {
	w := &waiting{client: history.ClientOf(ctx), kind: k, turn: make(chan faults.Fault)}
	s.mu.Lock()
	calls := &s.strange
	if w.client < 0 {
		w.client = len(s.clients)
	} else {
		calls = &s.clients[w.client].calls
	}
	*calls++
	w.call = *calls
	running := s.running
	if running {
		s.waiting = append(s.waiting, w)
	}
	s.mu.Unlock()
	if !running {
		return faults.None, ctx.Err()
	}
	select {
	case fault := <-w.turn:
		return fault, nil
	case <-ctx.Done():
		s.leave(w)
		return faults.None, ctx.Err()
	}
}
