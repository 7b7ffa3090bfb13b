package jetstreamtest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/evolvego/evolve/store/jetstream/jetstreamtest"
	"github.com/evolvego/evolve/store/storetest/wire"
)

// childEnv is set for a process that is a server; its value is a childSettings.
const childEnv = "EVOLVE_JETSTREAMTEST_SERVER"

// childSettings is the configuration of a server in a process of its own.
type childSettings struct {
	Name        string
	Dir         string
	Port        int
	ClusterPort int           // 0 if it is alone
	Routes      []string      // to the other servers
	MaxStore    int64         // in bytes; 0 means three quarters of the disk
	Clock       time.Duration // how far it is fast
}

// serveChild runs a server until it is told to stop, or its parent ends.
func serveChild(text string) {
	var c childSettings
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		panic(err)
	}
	if c.Clock != 0 {
		setClock(c.Clock)
	}
	o := &server.Options{
		ServerName: c.Name, Host: "127.0.0.1", Port: c.Port, NoLog: true, NoSigs: true, MaxPayload: 8 << 20,
		JetStream: true, StoreDir: c.Dir, SyncAlways: true, JetStreamMaxStore: c.MaxStore,
		JetStreamLimits: server.JSLimitOpts{MaxBatchSize: 4096, MaxBatchInflightPerStream: 200},
	}
	if c.ClusterPort > 0 {
		// Without NoAdvertise, servers and clients would find ways around the wires.
		o.Cluster = server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: c.ClusterPort, NoAdvertise: true, PoolSize: -1}
		for _, r := range c.Routes {
			o.Routes = append(o.Routes, server.RoutesFromStr("nats://"+r)...)
		}
	}
	s, err := server.NewServer(o)
	if err != nil {
		panic(err)
	}
	s.Start()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent ends
		os.Exit(1)
	}()
	<-stop
	s.LameDuckShutdown()
	s.WaitForShutdown()
	os.Exit(0)
}

// node is a server in a process of its own.
type node struct {
	childSettings
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

// start starts the server on its existing files.
func (n *node) start(t *testing.T) {
	t.Helper()
	text, err := json.Marshal(n.childSettings)
	if err != nil {
		t.Fatal(err)
	}
	n.cmd = exec.CommandContext(context.Background(), os.Args[0]) // this program, until it is killed
	n.cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	n.cmd.Stderr = os.Stderr
	if n.stdin, err = n.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", n.Port)) //nolint:noctx // at once
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("server %s does not listen after a minute: %v", n.Name, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// asUsual changes nothing.
func asUsual(int, *childSettings) {}

// signal sends sig to the server.
func (n *node) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := n.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("%s to server %s: %v", sig, n.Name, err)
	}
}

// end ends the server with sig, and waits for it.
func (n *node) end(t *testing.T, sig os.Signal) {
	t.Helper()
	n.signal(t, sig)
	_ = n.cmd.Wait() // reports the signal
}

func (n *node) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", n.Port) }

// nodes is a group of servers, and the wires between them.
type nodes struct {
	all   []*node
	wires map[string][]*wire.Wire // the wires from and to a server, by its name
}

// startNodes starts size servers with the usual settings, as modified by change.
func startNodes(t *testing.T, size int, change func(i int, s *childSettings)) *nodes {
	t.Helper()
	ports := jetstreamtest.Ports(t, 2*size)
	c := &nodes{wires: make(map[string][]*wire.Wire)}
	for i := range size {
		c.all = append(c.all, &node{childSettings: childSettings{
			Name: fmt.Sprintf("n%d", i+1), Dir: t.TempDir(), Port: ports[i], ClusterPort: ports[size+i],
		}})
	}
	if size == 1 {
		c.all[0].ClusterPort = 0
	}
	for _, from := range c.all {
		for _, to := range c.all {
			if from == to {
				continue
			}
			w, err := wire.New(fmt.Sprintf("127.0.0.1:%d", to.ClusterPort))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = w.Close() })
			from.Routes = append(from.Routes, w.Addr())
			for _, n := range []*node{from, to} {
				c.wires[n.Name] = append(c.wires[n.Name], w)
			}
		}
	}
	for i, n := range c.all {
		change(i, &n.childSettings)
		n.start(t)
		t.Cleanup(func() { _ = n.cmd.Process.Kill(); _ = n.cmd.Wait() })
	}
	c.await(t)
	return c
}

// await returns when the servers have a leader, which a store does not wait for very long.
func (c *nodes) await(t *testing.T) {
	t.Helper()
	nc, js := connected(t, c.all[0].url())
	defer nc.Close()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		_, err := js.AccountInfo(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the servers have no leader after two minutes: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// cutOff stops all traffic between a server and the others if cut is true, and resumes
// it otherwise.
func (c *nodes) cutOff(n *node, cut bool) {
	for _, w := range c.wires[n.Name] {
		if cut {
			w.Stall()
		} else {
			w.Resume()
		}
	}
}

// leader returns the server that leads the stream, according to one of the others.
func (c *nodes) leader(t *testing.T, stream string) *node {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		for _, n := range c.all {
			if name := leaderBy(n.url(), stream); name != "" {
				for _, l := range c.all {
					if l.Name == name {
						return l
					}
				}
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("stream %s has no leader after a minute", stream)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func leaderBy(url, stream string) string {
	nc, err := nats.Connect(url)
	if err != nil {
		return ""
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	js, err := natsjs.New(nc)
	if err != nil {
		return ""
	}
	found, err := js.Stream(ctx, stream)
	if err != nil || found.CachedInfo().Cluster == nil {
		return ""
	}
	return found.CachedInfo().Cluster.Leader
}
