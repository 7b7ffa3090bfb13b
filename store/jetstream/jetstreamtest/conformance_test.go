package jetstreamtest_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jetstream"
	"github.com/evolvego/evolve/store/jetstream/jetstreamtest"
	"github.com/evolvego/evolve/store/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	url := jetstreamtest.Start(t).URL()
	var logs atomic.Int64
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		return open(t, url, newLog(&logs), jetstream.WithReplicas(1))
	})
}

func TestDurable(t *testing.T) {
	t.Parallel()
	url := jetstreamtest.Start(t).URL()
	var logs atomic.Int64
	storetest.RunDurable(t, func(t *testing.T) func() store.Store {
		t.Helper()
		log := newLog(&logs)
		return func() store.Store { return open(t, url, log, jetstream.WithReplicas(1)) }
	})
}

// TestDurableOfCluster checks that three servers keep their data.
func TestDurableOfCluster(t *testing.T) {
	t.Parallel()
	url := jetstreamtest.StartCluster(t).URL()
	var logs atomic.Int64
	storetest.RunDurable(t, func(t *testing.T) func() store.Store {
		t.Helper()
		log := newLog(&logs)
		return func() store.Store { return open(t, url, log) }
	})
}

// TestConformanceOfCluster checks conformance if three servers keep the log, and any of
// them answers.
func TestConformanceOfCluster(t *testing.T) {
	t.Parallel()
	needsLong(t, "all of storetest on three servers; TestDurableOfCluster and TestFailover are")
	url := jetstreamtest.StartCluster(t).URL()
	var logs atomic.Int64
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		return open(t, url, newLog(&logs))
	})
}

func newLog(logs *atomic.Int64) jetstream.Option {
	return jetstream.WithLog(fmt.Sprintf("l%d", logs.Add(1)))
}

// open opens the store at url, and closes it when the test ends.
func open(tb testing.TB, url string, options ...jetstream.Option) *jetstream.Store {
	tb.Helper()
	st, err := jetstream.Open(context.Background(), url, options...)
	if err != nil {
		tb.Fatalf("Open(%q): %v", url, err)
	}
	tb.Cleanup(func() {
		if err := st.Close(); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	return st
}

// failovers returns how often each failure happens in the long tests, or 0 to skip
// them.
func failovers() int {
	n, _ := strconv.Atoi(os.Getenv(longEnv))
	return n
}

// needsLong skips a long test, unless it was requested.
func needsLong(t *testing.T, what string) {
	t.Helper()
	if failovers() == 0 {
		t.Skipf("NOT TESTED without %s=1: %s", longEnv, what)
	}
}

func batch(n int) []store.Event {
	events := make([]store.Event, n)
	for i := range events {
		events[i] = store.Event{ID: store.NewID(), Type: "Noted", Data: []byte("{}")}
	}
	return events
}
