package process

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// Run reacts to the log until ctx ends, and then returns the error of ctx. It blocks, so
// run it in a goroutine of its own. When ctx ends, the contexts of commands that are
// being sent end too, their reactions count as not done, and Run returns. A later Run
// continues from there.
//
// Run retries whatever may be temporary. It returns an error that matches
// [store.ErrLogDiverged] (the checkpoint is not of this log), [ErrSuperseded],
// [store.ErrClosed], [store.ErrInvalid] or [ErrRunning], or an error that says that the
// state needs [Runtime.WithState]. It panics if send is nil.
func (r *Runtime[T, E, S, C]) Run(ctx context.Context, send Send[C]) (err error) {
	if send == nil {
		panic(fmt.Sprintf("process %q: Run needs a Send", r.name))
	}
	if !r.live.begin() {
		return fmt.Errorf("process %s: %w", r.build(), ErrRunning)
	}
	defer func() { r.live.end(ctx, err) }()
	if r.lossy != nil {
		r.notify(ctx, Notice{Kind: RunFailed, Err: r.lossy})
		return r.lossy
	}
	failures := 0
	for {
		err := r.owning(ctx, func(ctx context.Context) error {
			for { // begin again with the current state, while this process is the owner
				o := newOwner(r, send)
				err := o.work(ctx, func() { failures = 0 })
				o.stop()
				if !errors.Is(err, errFenced) || ctx.Err() != nil {
					return err
				}
			}
		})
		var pause time.Duration
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errFenced):
			continue // begin again with the current state
		case errors.Is(err, codec.ErrNewerSchema):
			pause = 2 * standbyPoll
			if r.live.fails(Outdated, err, r.now()) == 1 {
				r.notify(ctx, Notice{Kind: RunFailed, Err: err, Attempt: 1, Took: pause})
			}
		case final(err):
			err = fmt.Errorf("process %s: %w", r.build(), err)
			r.notify(ctx, Notice{Kind: RunFailed, Err: err})
			return err
		default:
			attempt := r.live.fails(Retrying, err, r.now())
			failures++
			pause = backoff(failures)
			r.notify(ctx, Notice{Kind: RunFailed, Err: err, Attempt: attempt, Took: pause})
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// final reports whether err ends Run.
func final(err error) bool {
	return errors.Is(err, store.ErrLogDiverged) || errors.Is(err, ErrSuperseded) || errors.Is(err, store.ErrClosed) ||
		errors.Is(err, store.ErrInvalid)
}

// backoff returns the pause after that many failures, with random jitter.
func backoff(failures int) time.Duration {
	ceiling := maxPause
	if failures < 10 {
		ceiling = min(firstPause<<max(failures-1, 0), maxPause)
	}
	return ceiling/2 + rand.N(ceiling/2+1) //nolint:gosec // spreads load, guards nothing
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// owning calls work while this instance of the program has the lease, if there are
// leases. When it loses the lease, the context of work ends.
func (r *Runtime[T, E, S, C]) owning(ctx context.Context, work func(ctx context.Context) error) error {
	if r.leases == nil {
		return r.asOwner(ctx, work)
	}
	lease, err := r.acquire(ctx)
	if err != nil {
		return err
	}
	working, lose := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		r.renew(working, lose)
	}()
	err = r.asOwner(working, work)
	if cause := context.Cause(working); cause != nil && ctx.Err() == nil {
		err = cause
	}
	lose(nil)
	<-renewed
	r.release(ctx, lease)
	return err
}

// release gives a lease back, even if ctx has ended.
func (r *Runtime[T, E, S, C]) release(ctx context.Context, lease store.Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseFor/3)
	defer cancel()
	_ = r.leases.ReleaseLease(ctx, lease) // otherwise it expires
}

func (r *Runtime[T, E, S, C]) asOwner(ctx context.Context, work func(ctx context.Context) error) error {
	r.live.own(true)
	r.notify(ctx, Notice{Kind: OwnerBegan})
	err := work(ctx)
	r.live.own(false)
	r.notify(ctx, Notice{Kind: OwnerEnded})
	return err
}

func leaseName(build string) string { return "process/" + build }

// acquire waits for the lease.
func (r *Runtime[T, E, S, C]) acquire(ctx context.Context) (store.Lease, error) {
	for {
		lease, err := r.leases.AcquireLease(ctx, leaseName(r.build()), r.owner, leaseFor)
		if !errors.Is(err, store.ErrLeaseHeld) {
			return lease, err
		}
		if err := sleep(ctx, standbyPoll); err != nil {
			return store.Lease{}, err
		}
	}
}

// renew extends the lease until ctx ends. It calls lose if the lease is lost, or may be.
func (r *Runtime[T, E, S, C]) renew(ctx context.Context, lose context.CancelCauseFunc) {
	last := r.now()
	for sleep(ctx, leaseFor/3) == nil {
		asked := r.now()
		_, err := r.leases.AcquireLease(ctx, leaseName(r.build()), r.owner, leaseFor)
		switch {
		case err == nil:
			last = asked
		case ctx.Err() != nil:
			return
		case errors.Is(err, store.ErrLeaseHeld) || r.now().Sub(last) >= leaseFor:
			lose(fmt.Errorf("%w: the lease was lost: %w", errFenced, err))
			return
		}
	}
}
