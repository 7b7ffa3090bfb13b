package projection

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

const (
	// standbyPoll is how often an instance without the lease asks for it.
	standbyPoll = time.Second
	// releaseIn is how long releasing a lease may take.
	releaseIn = 5 * time.Second
)

// Run keeps the read model up to date until ctx ends, and then returns the error of ctx.
// It blocks, so run it in a goroutine of its own. When ctx ends, Run finishes or gives up
// the current transaction, releases the lease and returns. A later Run continues from the
// checkpoint.
//
// Run retries whatever may be temporary: a store that is down, a handler that fails. It
// returns an error of setup, or one that matches [store.ErrLogDiverged] (the checkpoint
// is not of this log), [ErrFilterGrew], [ErrRetired], [store.ErrClosed],
// [store.ErrInvalid] or [ErrRunning]. In these cases it has written nothing wrong, and
// you have to decide what to do.
func (p *Projection[T, E]) Run(ctx context.Context) (err error) {
	if !p.live.begin() {
		return fmt.Errorf("projection %s: %w", p, ErrRunning)
	}
	defer func() { p.live.end(ctx, err) }()
	var pauses backoff
	for {
		err := p.owning(ctx, func(ctx context.Context) error {
			r := &run[T, E]{p: p, size: min(firstSize, p.batch), worked: func() { pauses.failures = 0 }}
			return r.work(ctx)
		})
		var pause time.Duration
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case fenced(err), errors.Is(err, errMoved):
			continue // begin again with the current state
		case errors.Is(err, codec.ErrNewerSchema):
			pause = 2 * standbyPoll
			if p.live.outdated(err) {
				p.notify(ctx, Notice{Kind: RunFailed, Err: err, Attempt: 1, Took: pause})
			}
		case final(err):
			err = fmt.Errorf("projection %s: %w", p, err)
			p.notify(ctx, Notice{Kind: RunFailed, Err: err})
			return err
		default:
			_, attempt := p.live.failing(err)
			pause = pauses.next(p.retry)
			p.notify(ctx, Notice{Kind: RunFailed, Err: err, Attempt: attempt, Took: pause})
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// final reports whether err ends Run.
func final(err error) bool {
	if user, ok := errors.AsType[*userError](err); ok {
		return user.in == inSetup
	}
	return !errors.As(err, new(*applyError)) &&
		(errors.Is(err, store.ErrLogDiverged) || errors.Is(err, ErrFilterGrew) || errors.Is(err, ErrRetired) ||
			errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrInvalid))
}

// fenced reports whether err says that another owner has moved the checkpoint.
func fenced(err error) bool {
	return errors.Is(err, ErrFenced) && !errors.As(err, new(*userError)) && !errors.As(err, new(*applyError))
}

// errMoved means that the checkpoint has moved back, so that reading begins again.
var errMoved = errors.New("projection: the checkpoint was reset")

// begin returns false if Run was called already.
func (s *status) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		return false
	}
	s.running = true
	s.is.State, s.is.Cause, s.is.Since, s.is.Attempts = Standby, nil, time.Time{}, 0
	s.woken()
	return true
}

// end records that Run returns err.
func (s *status) end(ctx context.Context, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running, s.owner, s.oldest = false, false, time.Time{}
	s.is.State = Idle
	if ctx.Err() == nil {
		s.is.State, s.is.Cause = Failed, err
		if s.is.Since.IsZero() {
			s.is.Since = s.now()
		}
	}
	s.woken()
}

// owned records whether this process owns the projection.
func (s *status) owned(owner bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owner, s.oldest = owner, time.Time{}
	if !owner && s.is.Cause == nil {
		s.is.State = Standby
	}
	s.woken()
}

// outdated records that this program is too old for an event. It returns false if that
// is known.
func (s *status) outdated(err error) (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.is.Since.IsZero() {
		s.is.Since = s.now()
	}
	news = !errors.Is(s.is.Cause, codec.ErrNewerSchema)
	s.is.State, s.is.Cause = Outdated, err
	s.woken()
	return news
}

// owning calls work while this instance has the lease. If it loses the lease, the context
// of work ends, and owning returns ErrFenced.
func (p *Projection[T, E]) owning(ctx context.Context, work func(ctx context.Context) error) error {
	if p.leases == nil {
		return p.asOwner(ctx, work)
	}
	lease, asked, err := p.acquire(ctx)
	if err != nil {
		return err
	}
	working, lose := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		p.renew(working, lose, asked)
	}()
	err = p.asOwner(working, work)
	lose(nil)
	<-renewed
	releasing, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseIn)
	defer cancel()
	_ = p.leases.ReleaseLease(releasing, lease) // if this fails, the lease expires
	if ctx.Err() == nil && errors.Is(context.Cause(working), ErrFenced) {
		return ErrFenced
	}
	return err
}

// asOwner calls work as the owner.
func (p *Projection[T, E]) asOwner(ctx context.Context, work func(ctx context.Context) error) error {
	p.live.owned(true)
	p.notify(ctx, Notice{Kind: OwnerBegan})
	defer func() {
		p.live.owned(false)
		p.notify(ctx, Notice{Kind: OwnerEnded})
	}()
	return work(ctx)
}

// acquire waits for the lease. It returns the lease, and when it asked for it.
func (p *Projection[T, E]) acquire(ctx context.Context) (store.Lease, time.Time, error) {
	for {
		asked := p.now()
		lease, err := p.leases.AcquireLease(ctx, p.leaseName(), p.owner, p.ttl)
		if err == nil {
			return lease, asked, nil
		}
		held := new(store.LeaseHeldError)
		if !errors.As(err, &held) {
			return store.Lease{}, asked, fmt.Errorf("take the lease %q: %w", p.leaseName(), err)
		}
		p.live.owned(false)
		left := held.Until.Sub(asked)
		if err := sleep(ctx, min(max(left, standbyPoll/100), standbyPoll)); err != nil {
			return store.Lease{}, asked, err
		}
	}
}

func (c *config) leaseName() string { return "projection/" + c.build() }

// renew extends the lease until ctx ends. It calls lose when the lease is lost, or may
// have expired.
func (p *Projection[T, E]) renew(ctx context.Context, lose context.CancelCauseFunc, granted time.Time) {
	for sleep(ctx, p.ttl/3) == nil {
		asked := p.now()
		patience, cancel := context.WithTimeout(ctx, p.ttl/3)
		_, err := p.leases.AcquireLease(patience, p.leaseName(), p.owner, p.ttl)
		cancel()
		switch {
		case err == nil:
			granted = asked
		case errors.Is(err, store.ErrLeaseHeld), p.now().Sub(granted) >= p.ttl-p.ttl/3:
			lose(ErrFenced)
			return
		}
	}
}

// backoff computes pauses that grow with each failure.
type backoff struct{ failures int }

// next returns a random pause, at most twice the longest possible pause before it.
func (b *backoff) next(r Retry) time.Duration {
	longest := r.MaxPause
	if b.failures < 40 && r.Pause<<b.failures > 0 {
		longest = min(longest, r.Pause<<b.failures)
	}
	b.failures++
	return time.Duration(1 + rand.Int64N(int64(longest))) //nolint:gosec // a pause is no secret
}

// sleep returns nil after d, or the error of ctx if ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
