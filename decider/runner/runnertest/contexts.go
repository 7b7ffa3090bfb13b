package runnertest

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// until blocks until ctx ends, like a store that does not answer, or until so much time
// has passed that no call can still be waiting.
func until(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Hour):
		return errors.New("runnertest: the store does not answer")
	}
}

// contextEnds lets the context end while the store does not answer: during a read, an
// append that does not happen, and one that does.
func contextEnds(t *trial) {
	block := func(ctx context.Context, _ int) error { return until(ctx) }
	points := map[string]func(t *trial){
		"in a read":                        func(t *trial) { t.probe.onRead = block },
		"in an append that did not happen": func(t *trial) { t.probe.onAppend = block },
		"in an append that has happened": func(t *trial) {
			t.probe.afterAppend = func(ctx context.Context, _ int, _ error) error { return until(ctx) }
		},
		"after a conflict": func(t *trial) {
			t.rival(do(doDeposit, 1, "rival"))
			t.probe.onRead = func(ctx context.Context, n int) error {
				if _, appends := t.probe.asked(); len(appends) == 0 {
					return nil
				}
				return until(ctx)
			}
		},
	}
	for name, prepare := range points {
		t.at(name+", cancel", func(t *trial) {
			t.given(acc, do(doOpen, 0, "given"))
			prepare(t)
			ctx, cancel := context.WithCancel(t.ctx)
			time.AfterFunc(time.Second, cancel)
			t.endsAt(ctx, time.Second, context.Canceled)
		})
		t.at(name+", deadline", func(t *trial) {
			t.given(acc, do(doOpen, 0, "given"))
			prepare(t)
			ctx, cancel := context.WithTimeout(t.ctx, time.Second)
			defer cancel()
			t.endsAt(ctx, time.Second, context.DeadlineExceeded)
		})
	}
	t.at("before the call", func(t *trial) {
		t.given(acc, do(doOpen, 0, "given"))
		ctx, cancel := context.WithCancel(t.ctx)
		cancel()
		t.endsAt(ctx, 0, context.Canceled)
		t.wantOnce(0)
	})
}

// endsAt handles a deposit, which must end with target when ctx ends.
func (t *trial) endsAt(ctx context.Context, after time.Duration, target error) {
	t.Helper()
	start := time.Now()
	out, err := t.system().Handle(ctx, Call{ID: acc, Command: do(doDeposit, 5, "mine"), Attempts: 50})
	if !errors.Is(err, target) || errors.Is(err, ErrRejected) {
		t.Errorf("Handle() = %+v, %v, want the error of the context, %q", out, err, target)
	}
	if took := time.Since(start); took != after {
		t.Errorf("the call returned after %v, want when the context ended, after %v", took, after)
	}
	time.Sleep(time.Hour)
	if n := t.count("mine"); n > 1 {
		t.Errorf("the stream has the event of the command %d times, want at most once", n)
	}
}

func contextEndsPause(t *trial) {
	t.given(acc, do(doOpen, 0, "given"))
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	var canceled time.Time
	t.probe.onAppend = func(_ context.Context, n int) error {
		t.given(acc, do(doDeposit, 1, fmt.Sprint("rival", n)))
		if n == 2 { // only a pause takes time
			time.AfterFunc(time.Microsecond, func() {
				canceled = time.Now()
				cancel()
			})
		}
		return nil
	}
	out, err := t.system().Handle(ctx, Call{ID: acc, Command: do(doDeposit, 5, "mine"), Attempts: 50})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Handle() = %+v, %v, want the error of the context", out, err)
	}
	if late := time.Since(canceled); ctx.Err() == nil || late != 0 {
		t.Errorf("the call returned %v after the context had ended, want at once", late)
	}
	t.wantOnce(0)
}

// A call that is abandoned while it reads or appends leaves nothing behind that the next
// call would take as true, and does not end concurrent calls.
func givenUp(t *trial) {
	t.given(acc, do(doOpen, 0, "given"))
	t.probe.latency = time.Second
	for _, patience := range []time.Duration{time.Second / 2, 3 * time.Second / 2} {
		s := t.system() // which knows nothing, so that it reads
		t.together(2, func(i int) {
			if i == 1 {
				time.Sleep(time.Millisecond)
				t.must(s, Call{ID: acc, Command: do(doDeposit, 1, "beside")})
				return
			}
			ctx, cancel := context.WithTimeout(t.ctx, patience)
			defer cancel()
			c := Call{ID: acc, Command: do(doDeposit, 1, fmt.Sprint("abandoned ", patience))}
			if out, err := s.Handle(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Handle() = %+v, %v, want the error of the context", out, err)
			}
		})
		t.must(s, Call{ID: acc, Command: do(doDeposit, 1, "next")})
		t.wantLoaded(s)
	}
	for _, tag := range []string{"beside", "next"} {
		if n := t.count(tag); n != 2 {
			t.Errorf("the calls %q are in the stream %d times, want 2", tag, n)
		}
	}
}
