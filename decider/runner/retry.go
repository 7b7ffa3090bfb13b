package runner

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// Retry says how often and how soon a command is retried after a conflict, or after an
// append whose answer was lost. The zero value means the defaults. The second attempt
// follows at once, the third after a random wait of at most Base, the fourth of at most
// twice that, and so on up to Cap ("full jitter", Marc Brooker, "Exponential Backoff And
// Jitter", AWS Architecture Blog, 2015).
type Retry struct {
	Attempts int           // including the first; 0: 10
	Base     time.Duration // the longest wait before the third attempt; 0: 2 ms
	Cap      time.Duration // the longest wait before any attempt; 0: 250 ms

	// Jitter returns how long to wait, at most ceiling. If it is nil, the wait is random.
	// Jitter must be safe for concurrent use.
	Jitter func(ceiling time.Duration) time.Duration

	// Transient reports whether to retry a read that failed, as one more attempt. If it
	// is nil, the call returns the error at once. Transient must be safe for concurrent
	// use.
	Transient func(err error) bool
}

// orDefaults returns r with defaults for its zero fields. It panics if one is negative.
func (r Retry) orDefaults() Retry {
	if r.Attempts < 0 || r.Base < 0 || r.Cap < 0 {
		panic(fmt.Sprintf("runner: retry: negative Attempts %d, Base %v or Cap %v", r.Attempts, r.Base, r.Cap))
	}
	if r.Attempts == 0 {
		r.Attempts = 10
	}
	if r.Base == 0 {
		r.Base = 2 * time.Millisecond
	}
	if r.Cap == 0 {
		r.Cap = 250 * time.Millisecond
	}
	if r.Jitter == nil {
		r.Jitter = func(ceiling time.Duration) time.Duration {
			return rand.N(ceiling + 1) //nolint:gosec // spreads load, guards nothing
		}
	}
	if r.Transient == nil {
		r.Transient = func(error) bool { return false }
	}
	return r
}

// wait returns how long to wait before attempt.
func (r Retry) wait(attempt int) time.Duration {
	if attempt < 3 {
		return 0
	}
	ceiling := r.Base
	for range attempt - 3 {
		if ceiling >= r.Cap {
			break
		}
		ceiling *= 2
	}
	return r.Jitter(min(ceiling, r.Cap))
}

// pause returns true after d, or false when ctx ends.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
