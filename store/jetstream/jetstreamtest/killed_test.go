//go:build unix

package jetstreamtest_test

import (
	"syscall"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jetstream"
	"github.com/evolvego/evolve/store/storetest"
)

// TestKilledServer kills a single server, in a process of its own, before each time
// that the store is opened again. It must keep everything.
func TestKilledServer(t *testing.T) {
	t.Parallel()
	storetest.RunDurable(t, func(t *testing.T) func() store.Store {
		t.Helper()
		n := startNodes(t, 1, asUsual).all[0]
		opened := false
		return func() store.Store {
			if opened {
				n.end(t, syscall.SIGKILL)
				n.start(t)
			}
			opened = true
			return open(t, n.url(), jetstream.WithReplicas(1))
		}
	})
}

// TestKilledServers does the same with three servers, which are all killed at once.
func TestKilledServers(t *testing.T) {
	t.Parallel()
	needsLong(t, "that three servers keep everything when all are killed; TestKilledServer is")
	two := make(chan struct{}, 2) // clusters at a time: that of the test itself, and one more
	storetest.RunDurable(t, func(t *testing.T) func() store.Store {
		t.Helper()
		two <- struct{}{}
		t.Cleanup(func() { <-two })
		c := startNodes(t, servers, asUsual)
		opened := false
		return func() store.Store {
			if opened {
				c.killAll(t)
			}
			opened = true
			return open(t, c.urls())
		}
	})
}
