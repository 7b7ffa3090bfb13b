package projection

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/evolvego/evolve/store"
)

// State says what a projection is doing in this process.
type State string

// The states of a projection.
const (
	// Idle: Run has not been called, or has ended with its context.
	Idle State = "idle"
	// Standby: another instance has the lease.
	Standby State = "standby"
	// Building: it reads history, and has never been live.
	Building State = "building"
	// Behind: it was live before, and reads what it has missed.
	Behind State = "behind"
	// Live: it has handled everything in the log.
	Live State = "live"
	// Retrying: something failed and is retried. Cause says what.
	Retrying State = "retrying"
	// Outdated: an event has a newer schema than this program knows. The projection has
	// released the lease so that a newer program can continue.
	Outdated State = "outdated"
	// Failed: Run has ended with an error.
	Failed State = "failed"
)

// Progress is the progress of a projection, as far as this process knows.
type Progress struct {
	// Build is the name and the version, such as "balances@1".
	Build string
	// State says what the projection is doing.
	State State
	// Position is the position up to which the read model contains the log, except for
	// parked events. It never goes back.
	Position uint64
	// Head is the last known head of the log.
	Head uint64
	// Lag is the age of the oldest known event that is not handled, or 0 if there is
	// none.
	Lag time.Duration
	// Parked is how many keys are parked.
	Parked int
	// Ready reports whether this version has ever caught up.
	Ready bool
	// Cause is the error that is being retried, or that Run has ended with. It is nil if
	// nothing is wrong.
	Cause error
	// Since is when Cause first occurred, without success since then.
	Since time.Time
	// Attempts is how many attempts have failed since then.
	Attempts int
	// Moved is when Position last moved.
	Moved time.Time
	// Fault is the last panic of the observer, or nil if there was none.
	Fault error
}

// status is the shared progress of a projection, for callers that read it or wait for it.
type status struct {
	now func() time.Time

	mu      sync.Mutex
	running bool                // guarded by mu
	owner   bool                // guarded by mu
	is      Progress            // guarded by mu
	oldest  time.Time           // guarded by mu; when the oldest waiting event was recorded, or zero if none waits
	parked  map[string]struct{} // guarded by mu; known to the owner
	inline  store.Checkpoint    // guarded by mu; the last checkpoint that an inline append made
	wake    chan struct{}       // guarded by mu; closed at the next change, nil if nothing waits
}

func newStatus(build string, now func() time.Time) *status {
	return &status{now: now, is: Progress{Build: build, State: Idle}}
}

// change calls change, and wakes all waiters.
func (s *status) change(change func(p *Progress)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.is)
	s.woken()
}

// woken wakes all waiters. It needs mu.
func (s *status) woken() {
	if s.wake != nil {
		close(s.wake)
		s.wake = nil
	}
}

// reached records that the read model contains the log up to position.
func (s *status) reached(position, head uint64, live bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if position > s.is.Position {
		s.is.Position, s.is.Moved = position, s.now()
	}
	s.is.Head = max(s.is.Head, head, position)
	s.is.Cause, s.is.Since, s.is.Attempts = nil, time.Time{}, 0
	s.is.State = s.working(live)
	if live {
		s.oldest = time.Time{}
	}
	s.woken()
}

// working returns the state of an owner without errors. It needs mu.
func (s *status) working(live bool) State {
	switch {
	case live:
		return Live
	case s.is.Ready:
		return Behind
	}
	return Building
}

// failing records that something failed and is retried. It returns since when it has
// failed, and how often.
func (s *status) failing(err error) (since time.Time, attempts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.is.Cause == nil {
		s.is.Since = s.now()
	}
	s.is.State, s.is.Cause = Retrying, err
	s.is.Attempts++
	s.woken()
	return s.is.Since, s.is.Attempts
}

// committed records that a transaction has put the log up to position into the read
// model.
func (s *status) committed(position uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if position > s.is.Position {
		s.is.Position, s.is.Moved = position, s.now()
	}
	s.is.Head = max(s.is.Head, position)
	if s.is.Cause != nil {
		s.is.Cause, s.is.Since, s.is.Attempts = nil, time.Time{}, 0
		s.is.State = s.working(false)
	}
	s.woken()
}

// hasInHand records that an event recorded at then waits to be handled.
func (s *status) hasInHand(then time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oldest = then
}

// inlined returns the checkpoint that the last inline append made.
func (s *status) inlined() store.Checkpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inline
}

// snapshot returns the current progress.
func (s *status) snapshot() Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.is
	if !s.oldest.IsZero() {
		p.Lag = max(s.now().Sub(s.oldest), 0)
	}
	return p
}

// waiting returns the progress, whether this process is the owner, the first of keys that
// it knows to be parked, and a channel that is closed at the next change.
func (s *status) waiting(keys []string) (p Progress, owner bool, parked string, wake <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		if _, ok := s.parked[key]; ok {
			parked = key
			break
		}
	}
	if s.wake == nil {
		s.wake = make(chan struct{})
	}
	return s.is, s.owner, parked, s.wake
}

// Progress returns the progress of p, as far as this process knows. If another process
// has the lease, Position is where this process last saw it.
func (p *Projection[T, E]) Progress() Progress { return p.live.snapshot() }

// Intervals at which WaitFor asks the target when another process owns the projection:
// short at first, then longer.
const (
	firstPoll = 2 * time.Millisecond
	lastPoll  = 100 * time.Millisecond
)

// WaitFor returns nil when the read model contains the log up to position, so that a
// caller that has just appended reads its own writes: pass the position of the outcome.
// It works in every process. If another process has the lease, WaitFor asks the target
// for the checkpoint, at intervals that grow from 2 to 100 ms.
//
// Keys are the keys that the caller is about to read. If one of them is parked, WaitFor
// returns an error that matches [ErrParked]. Without keys, WaitFor does not wait for
// events of parked keys. It returns [ErrAhead] if position is beyond the head of the log.
// If Run has failed in this process, WaitFor returns its error. When ctx ends, WaitFor
// returns the error of ctx and says what p was doing.
func (p *Projection[T, E]) WaitFor(ctx context.Context, position uint64, keys ...string) error {
	for poll, asked := firstPoll, false; ; {
		is, owner, parked, wake := p.live.waiting(keys)
		if owner && parked == "" {
			if done, err := p.arrived(is, position, ""); done || err != nil {
				return err
			}
		} else if done, err := p.arrivedThere(ctx, is, position, keys); done || err != nil {
			return err
		}
		if !asked {
			asked = true
			if head, err := p.log.Head(ctx); err == nil && position > head {
				return fmt.Errorf("projection %s: wait for position %d: the head of the log is %d: %w",
					p, position, head, ErrAhead)
			}
		}
		if owner && parked == "" {
			select {
			case <-wake:
				continue
			case <-ctx.Done():
				return p.waited(ctx, position)
			}
		}
		timer := time.NewTimer(poll)
		poll = min(2*poll, lastPoll)
		select {
		case <-wake:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return p.waited(ctx, position)
		}
		timer.Stop()
	}
}

func (p *Projection[T, E]) arrived(is Progress, position uint64, parked string) (bool, error) {
	if is.Position < position {
		return false, nil
	}
	if parked != "" {
		return true, fmt.Errorf("projection %s: key %q: %w", p, parked, ErrParked)
	}
	return true, nil
}

// arrivedThere is arrived for the case that another process may own the projection.
func (p *Projection[T, E]) arrivedThere(ctx context.Context, is Progress, position uint64, keys []string) (bool, error) {
	if is.State == Failed {
		return true, fmt.Errorf("projection %s: wait for position %d: %w", p, position, is.Cause)
	}
	at, parked, err := p.there(ctx, position, keys)
	switch {
	case err == nil:
		is.Position = at.Position
		return p.arrived(is, position, parked)
	case ctx.Err() == nil && errors.Is(err, store.ErrClosed):
		return true, fmt.Errorf("projection %s: wait for position %d: %w", p, position, err)
	}
	return false, nil // it may recover before ctx ends
}

// there returns the checkpoint of the target, and the first of keys that is parked if the
// checkpoint has reached position.
func (p *Projection[T, E]) there(ctx context.Context, position uint64, keys []string) (at store.Checkpoint, parked string, err error) {
	if c, ok := p.target.(store.Checkpoints); ok { // does not queue behind writers
		if at, err = c.LoadCheckpoint(ctx, p.build()); err != nil || at.Position < position || len(keys) == 0 {
			return at, "", err
		}
	}
	err = p.target.Update(ctx, func(tx T) (err error) {
		if at, err = tx.LoadCheckpoint(p.build()); err != nil || at.Position < position || len(keys) == 0 {
			return err
		}
		parked, err = p.firstParked(tx, keys)
		return err
	})
	return at, parked, err
}

// waited returns the error of a WaitFor whose context has ended.
func (p *Projection[T, E]) waited(ctx context.Context, position uint64) error {
	is := p.Progress()
	err := fmt.Errorf("projection %s: wait for position %d: it is %s at %d: %w", p, position, is.State, is.Position, ctx.Err())
	if is.Cause != nil {
		err = fmt.Errorf("%w: %w", err, is.Cause)
	}
	return err
}
