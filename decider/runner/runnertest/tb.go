package runnertest

import (
	"fmt"
	"runtime"
	"sync"
)

// reporter receives what a clause finds wrong.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// recorder records failures. It is safe for concurrent use.
type recorder struct {
	mu       sync.Mutex
	failures []string // guarded by mu
}

var _ reporter = (*recorder)(nil)

// record runs body in a goroutine of its own, so that Fatalf can end it, and returns the
// failures.
func record(body func(tb reporter)) []string {
	var r recorder
	done := make(chan struct{}) // in a bubble, Go 1.25.0 may not notice that a WaitGroup waits
	go func() {
		defer close(done)
		body(&r)
	}()
	<-done
	return r.failures
}

// Helper does nothing, because a recorder has no line numbers.
func (*recorder) Helper() {}

// Errorf records a failure.
func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// Fatalf records a failure and ends the goroutine.
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}
