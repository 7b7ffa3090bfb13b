// Package jetstreamtest starts NATS servers with JetStream in the process of a test,
// for stores of package jetstream. It is a separate module, so that users of such a
// store do not depend on the server.
package jetstreamtest

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// patience is how long a server may take to start.
const patience = time.Minute

// Server is a server in the process, with the settings that package jetstream asks for.
type Server struct {
	server  *server.Server
	options *server.Options
}

// Start starts a server that keeps its files in a directory of the test, and stops with
// the test.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{options: settings(dir(tb))}
	s.Restart(tb)
	tb.Cleanup(s.Stop)
	return s
}

// dir returns a directory for the files of a server: for a test in memory, if the system
// has such directories, because its result does not depend on the disk, and for a
// benchmark on the disk.
func dir(tb testing.TB) string {
	tb.Helper()
	if _, ok := tb.(*testing.B); ok {
		return tb.TempDir()
	}
	made, err := os.MkdirTemp("/dev/shm", "jetstreamtest-") //nolint:usetesting // not there
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() { _ = os.RemoveAll(made) })
	return made
}

func settings(dir string) *server.Options {
	return &server.Options{
		Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, MaxPayload: 8 << 20, WriteDeadline: 10 * time.Second,
		JetStream: true, StoreDir: dir, SyncAlways: true,
		JetStreamLimits: server.JSLimitOpts{MaxBatchSize: 4096, MaxBatchInflightPerStream: 200},
	}
}

// URL returns the URL of the server.
func (s *Server) URL() string { return "nats://" + s.server.Addr().String() }

// Stop stops the server, if it is running, and keeps its files.
func (s *Server) Stop() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}

// Restart starts the server again with its previous port and files.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	next, err := server.NewServer(s.options)
	if err != nil {
		tb.Fatalf("start a NATS server: %v", err)
	}
	s.server = next
	next.Start()
	if !next.ReadyForConnections(patience) {
		tb.Fatalf("a NATS server is not ready after %s", patience)
	}
	s.options.Port = portOf(next.Addr())
}

// Cluster is three servers that keep logs together.
type Cluster struct{ Servers []*Server }

// StartCluster starts three servers, which stop with the test.
func StartCluster(tb testing.TB) *Cluster {
	tb.Helper()
	const size = 3
	c := &Cluster{}
	var routes []string
	ports := Ports(tb, size)
	for i := range size {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[i]))
	}
	for i := range size {
		o := settings(dir(tb))
		o.ServerName = fmt.Sprintf("n%d", i+1)
		o.Cluster = server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: ports[i]}
		o.Routes = server.RoutesFromStr(strings.Join(routes, ","))
		s := &Server{options: o}
		next, err := server.NewServer(o)
		if err != nil {
			tb.Fatalf("start a NATS server: %v", err)
		}
		s.server = next
		next.Start()
		tb.Cleanup(s.Stop)
		c.Servers = append(c.Servers, s)
	}
	for _, s := range c.Servers {
		if !s.server.ReadyForConnections(patience) {
			tb.Fatalf("a NATS server is not ready after %s", patience)
		}
		s.options.Port = portOf(s.server.Addr())
	}
	c.await(tb)
	return c
}

// await waits until the cluster has a leader.
func (c *Cluster) await(tb testing.TB) {
	tb.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	often := time.NewTicker(5 * time.Millisecond)
	defer often.Stop()
	for {
		current := 0
		for _, s := range c.Servers {
			if s.server.JetStreamIsLeader() || s.server.JetStreamIsCurrent() {
				current++
			}
		}
		if current == len(c.Servers) {
			return
		}
		select {
		case <-often.C:
		case <-deadline.C:
			tb.Fatalf("the cluster has no leader after %s", patience)
		}
	}
}

// URL returns the URLs of all servers.
func (c *Cluster) URL() string {
	urls := make([]string, len(c.Servers))
	for i, s := range c.Servers {
		urls[i] = s.URL()
	}
	return strings.Join(urls, ",")
}

// Ports returns n loopback ports on which nothing listens.
func Ports(tb testing.TB, n int) []int {
	tb.Helper()
	ports, listeners := make([]int, n), make([]net.Listener, n)
	for i := range n {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // of a test, and at once
		if err != nil {
			tb.Fatal(err)
		}
		ports[i], listeners[i] = portOf(l.Addr()), l
	}
	for _, l := range listeners {
		_ = l.Close()
	}
	return ports
}

func portOf(address net.Addr) int {
	if tcp, ok := address.(*net.TCPAddr); ok {
		return tcp.Port
	}
	panic("unreachable: a server listens on TCP")
}
