package grpc_test

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// proxy forwards connections to a server and breaks them after some bytes.
type proxy struct {
	net.Listener
	target string

	mu     sync.Mutex
	random *rand.Rand // guarded by mu
	cuts   int        // guarded by mu
	done   sync.WaitGroup
}

// startProxy starts a proxy whose connections carry between bytes and five times bytes.
func startProxy(tb testing.TB, target string, bytes int64) *proxy {
	tb.Helper()
	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &proxy{Listener: listener, target: target, random: rand.New(rand.NewPCG(1, 2))}
	p.done.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			limit := bytes + p.random.Int64N(4*bytes)
			p.mu.Unlock()
			p.done.Go(func() { p.carry(tb.Context(), conn, limit) })
		}
	})
	tb.Cleanup(func() {
		_ = listener.Close()
		p.done.Wait()
	})
	return p
}

// carry carries limit bytes between client and the target.
func (p *proxy) carry(ctx context.Context, client net.Conn, limit int64) {
	srv, err := new(net.Dialer).DialContext(ctx, "tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	var both sync.WaitGroup
	once := sync.OnceFunc(func() {
		_ = client.Close()
		_ = srv.Close()
	})
	var left sync.Mutex
	pump := func(to, from net.Conn) {
		defer once()
		buffer := make([]byte, 512)
		for {
			n, err := from.Read(buffer)
			left.Lock()
			limit -= int64(n)
			over := limit < 0
			left.Unlock()
			if over {
				p.mu.Lock()
				p.cuts++
				p.mu.Unlock()
				return
			}
			if _, werr := to.Write(buffer[:n]); err != nil || werr != nil {
				return
			}
		}
	}
	both.Go(func() { pump(srv, client) })
	both.Go(func() { pump(client, srv) })
	both.Wait()
}

// wantCuts fails if fewer than n connections were cut, because then nothing was tested.
func (p *proxy) wantCuts(tb testing.TB, n int) {
	tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cuts < n {
		tb.Fatalf("%d connections were cut, want at least %d", p.cuts, n)
	}
}
