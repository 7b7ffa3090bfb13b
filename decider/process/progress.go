package process

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/evolvego/evolve/store"
)

// State says what a process is doing in this program.
type State string

// The states of a process.
const (
	// Idle: Run has not been called, or has ended with its context.
	Idle State = "idle"
	// Standby: another instance of the program runs it.
	Standby State = "standby"
	// Rebuilding: it rebuilds its instances, and sends nothing.
	Rebuilding State = "rebuilding"
	// Behind: it handles what it has missed.
	Behind State = "behind"
	// Live: it has handled everything in the log, except for instances that wait.
	Live State = "live"
	// Retrying: something other than an instance failed, and is retried. Cause says what.
	Retrying State = "retrying"
	// Outdated: an event has a newer schema than this program knows. The process has
	// released the lease so that a newer program can continue.
	Outdated State = "outdated"
	// Failed: Run has ended with an error.
	Failed State = "failed"
)

// Progress is the progress of a process, as far as this program knows.
type Progress struct {
	Process     string // name and version, such as "Shipping@1"
	State       State
	Position    uint64    // the log is handled up to here, except for instances that wait
	Head        uint64    // the last known head of the log
	Timers      int       // running timers
	Waiting     int       // instances that wait and are retried
	Quarantined int       // instances that wait until they are released
	Cause       error     // why it is retrying, outdated or failed
	Since       time.Time // when that began
	Attempts    int       // since then
	Fault       error     // the last panic of the observer
}

// status is a Progress that callers can wait for.
type status struct {
	mu      sync.Mutex
	is      Progress      // guarded by mu
	running bool          // guarded by mu
	owner   bool          // guarded by mu; this program runs the process, so Position is current
	changed chan struct{} // guarded by mu; closed at the next change
	poked   chan struct{} // holds one: an instance has been changed
}

func newStatus(build string) *status {
	return &status{is: Progress{Process: build, State: Idle}, changed: make(chan struct{}), poked: make(chan struct{}, 1)}
}

// change calls do on the progress, and wakes all waiters.
func (s *status) change(do func(*Progress)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do(&s.is)
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *status) look() (is Progress, owner bool, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.is, s.owner, s.changed
}

// begin returns false if Run was called already.
func (s *status) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		return false
	}
	s.running, s.is.State, s.is.Cause, s.is.Since, s.is.Attempts = true, Standby, nil, time.Time{}, 0
	return true
}

func (s *status) end(ctx context.Context, err error) {
	s.change(func(p *Progress) {
		s.running, s.owner = false, false
		p.State = Idle
		if ctx.Err() == nil {
			p.State, p.Cause = Failed, err
		}
	})
}

// own records whether this program runs the process.
func (s *status) own(owner bool) {
	s.change(func(p *Progress) {
		s.owner = owner
		if !owner && p.Cause == nil {
			p.State = Standby
		}
	})
}

// fails records an error at now, and returns how many there were.
func (s *status) fails(state State, err error, now time.Time) (attempts int) {
	s.change(func(p *Progress) {
		if p.Since.IsZero() {
			p.Since = now
		}
		p.Attempts++
		p.State, p.Cause = state, err
		attempts = p.Attempts
	})
	return attempts
}

// works records that everything up to position is handled.
func (s *status) works(position, head uint64, live bool) {
	s.change(func(p *Progress) {
		p.Position, p.Head = max(p.Position, position), max(p.Head, head)
		p.State, p.Cause, p.Since, p.Attempts = Behind, nil, time.Time{}, 0
		if live {
			p.State = Live
		}
	})
}

// Progress returns the progress of the process, as far as this program knows.
func (r *Runtime[T, E, S, C]) Progress() Progress {
	is, _, _ := r.live.look()
	return is
}

const (
	firstLook = 2 * time.Millisecond
	lastLook  = 100 * time.Millisecond
)

// WaitFor returns nil when everything up to position is handled: the process has reacted
// and sent its commands, or has put events aside for an instance that waits. If one of
// instances waits, it returns an [*InstanceError]. It works in any program that has the
// target, also where Run does not run.
//
// It returns [ErrAhead] if position is beyond the head of the log. If ctx ends first, the
// error says what the process is doing.
func (r *Runtime[T, E, S, C]) WaitFor(ctx context.Context, position uint64, instances ...string) error {
	head, err := r.log.Head(ctx)
	if err != nil {
		return fmt.Errorf("process %s: read the head of the log: %w", r.build(), err)
	}
	if position > head {
		return fmt.Errorf("%w: process %s, position %d, head %d", ErrAhead, r.build(), position, head)
	}
	pause := firstLook
	for {
		is, owner, changed := r.live.look()
		done := owner && is.Position >= position
		if !owner {
			if done, err = r.handled(ctx, position); err != nil {
				return err
			}
		}
		if done {
			return r.waits(ctx, instances)
		}
		var look <-chan time.Time
		if !owner {
			look = time.After(pause)
			pause = min(2*pause, lastLook)
		}
		select {
		case <-changed:
		case <-look:
		case <-ctx.Done():
			return r.late(ctx, position)
		}
	}
}

func (r *Runtime[T, E, S, C]) late(ctx context.Context, position uint64) error {
	is := r.Progress()
	err := fmt.Errorf("process %s: wait for position %d: it is %s at position %d: %w", is.Process, position, is.State, is.Position, context.Cause(ctx))
	if is.Cause != nil {
		err = fmt.Errorf("%w: %w", err, is.Cause)
	}
	return err
}

// handled reports whether everything up to position is handled according to the target.
func (r *Runtime[T, E, S, C]) handled(ctx context.Context, position uint64) (bool, error) {
	var c store.Checkpoint
	err := r.target.Update(ctx, func(tx T) (err error) {
		c, err = tx.LoadCheckpoint(r.checkpoint())
		return err
	})
	if err != nil || c.Position >= position {
		return err == nil, err
	}
	filter := r.source.Filter() // the events in between may not concern the process
	page, err := r.log.ReadAll(ctx, store.LogOptions{From: c.Position + 1, Limit: 1, Filter: filter})
	if err != nil {
		return false, err
	}
	if len(page.Events) > 0 {
		return page.Events[0].Position > position, nil
	}
	return page.End || page.Next > position, nil
}

// waits returns an error if one of instances waits.
func (r *Runtime[T, E, S, C]) waits(ctx context.Context, instances []string) error {
	if len(instances) == 0 {
		return nil
	}
	var notes map[string]*note
	err := r.target.Update(ctx, func(tx T) (err error) {
		notes, err = loadNotes(tx, kindsOf(r.build()).instances, instances)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range instances {
		if f := notes[id].Failing; f != nil {
			return r.waiting(id, f)
		}
	}
	return nil
}

func (r *Runtime[T, E, S, C]) waiting(instance string, f *failing) *InstanceError {
	return &InstanceError{
		Process: r.build(), Instance: instance, Position: f.At.Position, Cause: f.Cause,
		Since: f.Since, Attempts: f.Attempts, Quarantined: f.Quarantined,
	}
}
