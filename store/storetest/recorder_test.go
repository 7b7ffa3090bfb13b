package storetest_test

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest"
)

// recorder is a test that is expected to fail.
type recorder struct {
	name     string
	mu       sync.Mutex
	failed   bool     // guarded by mu
	skipped  bool     // guarded by mu
	messages []string // guarded by mu
}

// record checks a clause on the stores from open, and returns the messages of the test.
func record(clause string, open func() store.Store, patience time.Duration) *recorder {
	r := &recorder{name: clause}
	done := make(chan struct{})
	go func() { // FailNow ends this goroutine
		defer close(done)
		defer func() {
			if got := recover(); got != nil { // it is no result, so it does not count as a failure
				r.say(fmt.Sprintf("panic: %v\n%s", got, debug.Stack()))
			}
		}()
		if !storetest.CheckClause(r, clause, open, patience) {
			r.Fatalf("there is no clause %q", clause)
		}
	}()
	<-done
	return r
}

// patiently returns the result of check with little patience, which a store that hangs
// uses up, or with much if it is not what is wanted: a busy machine may be that slow.
func patiently(check func(patience time.Duration) *recorder, wanted func(r *recorder) bool) *recorder {
	if r := check(time.Second); wanted(r) {
		return r
	}
	return check(time.Minute)
}

func (r *recorder) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.messages, "\n")
}

func (r *recorder) say(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, text)
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recorder) Skipped() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.skipped
}

func (r *recorder) Fail() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
}

func (r *recorder) FailNow() { r.Fail(); runtime.Goexit() }

func (r *recorder) SkipNow() {
	r.mu.Lock()
	r.skipped = true
	r.mu.Unlock()
	runtime.Goexit()
}

func (r *recorder) Helper()                           {}
func (r *recorder) Name() string                      { return r.name }
func (r *recorder) Log(args ...any)                   { r.say(fmt.Sprintln(args...)) }
func (r *recorder) Logf(format string, args ...any)   { r.say(fmt.Sprintf(format, args...)) }
func (r *recorder) Skip(args ...any)                  { r.Log(args...); r.SkipNow() }
func (r *recorder) Skipf(format string, args ...any)  { r.Logf(format, args...); r.SkipNow() }
func (r *recorder) Error(args ...any)                 { r.Log(args...); r.Fail() }
func (r *recorder) Errorf(format string, args ...any) { r.Logf(format, args...); r.Fail() }
func (r *recorder) Fatal(args ...any)                 { r.Log(args...); r.FailNow() }
func (r *recorder) Fatalf(format string, args ...any) { r.Logf(format, args...); r.FailNow() }
