//go:build unix

package jetstreamtest_test

import (
	"context"
	"encoding/json"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// TestMembers runs four servers, three of which keep the log. While clients append, one
// of the three is removed and the fourth takes its place. The removed server may or may
// not be the leader, and may be running or killed.
func TestMembers(t *testing.T) {
	t.Parallel()
	const size = 4
	c := startNodes(t, size, asUsual)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	w := newWorkload(ctx, t, c)
	w.await(t, -1)
	for round := range 1 + 6*failovers() {
		leader, others := c.members(ctx, t)
		out := leader
		if round%2 == 1 {
			out = others[0]
		}
		killed := round%3 == 2
		if killed {
			out.end(t, syscall.SIGKILL)
			w.await(t, c.indexOf(out))
		}
		began := time.Now()
		c.takeOut(ctx, t, out)
		t.Logf("server %s, the leader: %t, killed: %t, was replaced in %s", out.Name, out == leader, killed, time.Since(began).Round(time.Millisecond))
		if killed {
			out.start(t)
		}
		w.await(t, -1)
	}
	w.check(ctx, t)
}

// info returns what the leader of the log reports about it, as soon as there is a
// leader.
func (c *nodes) info(ctx context.Context, t *testing.T) *natsjs.ClusterInfo {
	t.Helper()
	for ctx.Err() == nil {
		for _, n := range c.all {
			if info := infoBy(ctx, n.url(), "EV_evolve"); info != nil && info.Leader != "" {
				return info
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the log has no leader")
	return nil
}

func infoBy(ctx context.Context, url, stream string) *natsjs.ClusterInfo {
	nc, err := nats.Connect(url)
	if err != nil {
		return nil
	}
	defer nc.Close()
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	js, err := natsjs.New(nc)
	if err != nil {
		return nil
	}
	found, err := js.Stream(short, stream)
	if err != nil {
		return nil
	}
	return found.CachedInfo().Cluster
}

// members returns the servers that keep the log.
func (c *nodes) members(ctx context.Context, t *testing.T) (leader *node, others []*node) {
	t.Helper()
	info := c.info(ctx, t)
	for _, n := range c.all {
		switch {
		case n.Name == info.Leader:
			leader = n
		case slices.ContainsFunc(info.Replicas, func(p *natsjs.PeerInfo) bool { return p.Name == n.Name }):
			others = append(others, n)
		}
	}
	return leader, others
}

// takeOut makes another server keep the log in place of n, and returns when that server
// has all of it.
func (c *nodes) takeOut(ctx context.Context, t *testing.T, n *node) {
	t.Helper()
	request, err := json.Marshal(map[string]string{"peer": n.Name})
	if err != nil {
		t.Fatal(err)
	}
	urls := make([]string, 0, len(c.all))
	for _, other := range c.all {
		if other != n {
			urls = append(urls, other.url())
		}
	}
	nc, err := nats.Connect(urls[0])
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	answer, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.PEER.REMOVE.EV_evolve", request)
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		Success bool `json:"success"`
	}
	if err := json.Unmarshal(answer.Data, &said); err != nil || !said.Success {
		t.Fatalf("remove server %s: %s", n.Name, answer.Data)
	}
	for ctx.Err() == nil {
		info := c.info(ctx, t)
		current := 0
		for _, p := range info.Replicas {
			if p.Current && p.Name != n.Name {
				current++
			}
		}
		if info.Leader != n.Name && current == servers-1 && len(info.Replicas) == servers-1 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("server %s was not replaced", n.Name)
}
