//go:build unix

package jetstreamtest_test

import (
	"syscall"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jetstream"
	"github.com/evolvego/evolve/store/storetest"
)

// TestKilledServer: one server in a process of its own keeps everything when it is killed
// before each time that the store is opened again.
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

// TestKilledServers: so do three, all of which are killed at once.
func TestKilledServers(t *testing.T) {
	t.Parallel()
	needsLong(t, "that three servers keep everything when all are killed; TestKilledServer is")
	storetest.RunDurable(t, func(t *testing.T) func() store.Store {
		t.Helper()
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
