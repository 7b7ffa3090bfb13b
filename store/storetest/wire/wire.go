// Package wire provides a TCP connection between a client and a server that breaks when
// a test tells it to.
package wire

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
)

// Wire forwards TCP connections to a server, and breaks them when you tell it to. Give
// the client [Wire.Addr] instead of the server's address. It is safe for concurrent
// use.
//
// To lose the answer to a request that the server has certainly handled, call
// [Wire.StallAnswers], send the request, wait until the server has handled it, and call
// [Wire.Drop].
type Wire struct {
	target   string
	listener net.Listener
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex
	mode    wireMode          // guarded by mu
	changed chan struct{}     // closed and replaced when mode changes; guarded by mu
	lines   map[*line]bool    // open connections; guarded by mu
	random  *rand.Rand        // for Chaos; nil without it; guarded by mu
	most    int               // maximum number of bytes that Chaos lets a connection pass; guarded by mu
	count   map[direction]int // number of connections that were cut; guarded by mu
}

type wireMode int

const (
	pass wireMode = iota
	stall
	stallAnswers
	cutRequests
	cutAnswers
)

// direction is the direction in which bytes flow.
type direction int

const (
	request direction = iota // from client to target
	reply
)

// line is one connection through the wire.
type line struct {
	client, target net.Conn
	left           map[direction]int // bytes until the line is cut, if it is to be cut; guarded by Wire.mu
	silent         bool              // the client is cut off, and the target does not know it; guarded by Wire.mu
}

// New returns a wire to the server at target, which is an address for [net.Dial] with the
// network "tcp". Close it when you are done.
func New(target string) (*Wire, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &Wire{
		target: target, listener: listener, stop: stop,
		changed: make(chan struct{}), lines: map[*line]bool{}, count: map[direction]int{},
	}
	w.running.Go(func() { w.accept(ctx) })
	return w, nil
}

// Addr returns the address that clients connect to, such as "127.0.0.1:40123".
func (w *Wire) Addr() string { return w.listener.Addr().String() }

// Resume forwards everything again, beginning with what was held back. Connections that
// were cut stay cut, and the server learns of it now.
func (w *Wire) Resume() {
	w.set(pass)
	for _, l := range w.up() {
		w.mu.Lock()
		silent := l.silent
		w.mu.Unlock()
		if silent {
			l.close()
		}
	}
}

// Stall holds back everything in both directions until you call another method, as if the
// network were down for a while.
func (w *Wire) Stall() { w.set(stall) }

// StallAnswers holds back everything that the server sends.
func (w *Wire) StallAnswers() { w.set(stallAnswers) }

// CutRequests ends every connection on which a client sends something. The server does
// not receive it.
func (w *Wire) CutRequests() { w.set(cutRequests) }

// CutAnswers ends every connection on which the server sends something. The client does
// not receive it. The server has received what the client sent before, and does not
// learn that the connection has ended until you call [Wire.Resume], so it continues its
// work.
func (w *Wire) CutAnswers() { w.set(cutAnswers) }

// Chaos ends each new connection after a random number of bytes, from 0 to most, in one
// direction. These bytes still get through. The seed determines the numbers. Resume
// ends the chaos.
func (w *Wire) Chaos(seed uint64, most int) {
	w.set(pass)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.random, w.most = rand.New(rand.NewPCG(seed, 0)), most
}

// Drop ends all connections now. Clients can connect again.
func (w *Wire) Drop() {
	for _, l := range w.up() {
		l.close()
	}
}

// Cuts returns how many connections were cut while the client was sending, and how many
// while the server was sending, so that a test can check that it really tested
// something.
func (w *Wire) Cuts() (requests, answers int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count[request], w.count[reply]
}

// Close ends the wire and all its connections, and returns when its last goroutine has
// ended. You can call it more than once.
func (w *Wire) Close() error {
	w.stop()
	err := w.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	w.Resume()
	w.Drop()
	w.running.Wait()
	return err
}

func (w *Wire) set(mode wireMode) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mode, w.random = mode, nil
	close(w.changed)
	w.changed = make(chan struct{})
}

// up returns the open connections.
func (w *Wire) up() (lines []*line) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for l := range w.lines {
		lines = append(lines, l)
	}
	return lines
}

func (w *Wire) accept(ctx context.Context) {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		l := &line{client: client}
		w.mu.Lock()
		if w.random != nil {
			l.left = map[direction]int{direction(w.random.IntN(2)): w.random.IntN(w.most + 1)}
		}
		w.mu.Unlock()
		w.running.Go(func() { w.connect(ctx, l) })
	}
}

// connect carries one connection until it ends.
func (w *Wire) connect(ctx context.Context, l *line) {
	var err error
	if l.target, err = (&net.Dialer{}).DialContext(ctx, "tcp", w.target); err != nil {
		_ = l.client.Close()
		return
	}
	w.mu.Lock()
	w.lines[l] = true
	w.mu.Unlock()
	if ctx.Err() != nil { // Close has not seen this connection
		l.close()
	}
	var both sync.WaitGroup
	both.Go(func() { w.carry(l, request, l.client, l.target) })
	both.Go(func() { w.carry(l, reply, l.target, l.client) })
	both.Wait()
	l.close()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.lines, l)
}

func (l *line) close() {
	_ = l.client.Close()
	_ = l.target.Close()
}

// carry copies bytes in one direction until it ends. When one side stops sending, carry
// passes that on, and the other direction continues.
func (w *Wire) carry(l *line, d direction, from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			n, cut := w.fate(l, d, n)
			if _, err := to.Write(buffer[:n]); err != nil || cut {
				w.end(l, d)
				return
			}
		}
		if errors.Is(err, io.EOF) {
			_ = to.(*net.TCPConn).CloseWrite() //nolint:errcheck // it was made by Dial or Accept of "tcp"
			return
		}
		if err != nil {
			w.end(l, d)
			return
		}
	}
}

// fate waits while d is stalled. It returns how many of n bytes pass, and whether l is
// cut after them.
func (w *Wire) fate(l *line, d direction, n int) (passed int, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.mode == stall || w.mode == stallAnswers && d == reply {
		changed := w.changed
		w.mu.Unlock()
		<-changed
		w.mu.Lock()
	}
	left, ends := l.left[d]
	switch {
	case w.mode == cutRequests && d == request:
		n, cut = 0, true
	case w.mode == cutAnswers && d == reply:
		n, cut, l.silent = 0, true, true
	case ends && n > left:
		n, cut = left, true
	case ends:
		l.left[d] -= n
	}
	if cut {
		w.count[d]++
	}
	return n, cut
}

// end ends l, but only for the client if the target must not know.
func (w *Wire) end(l *line, d direction) {
	w.mu.Lock()
	silent := l.silent
	w.mu.Unlock()
	if !silent {
		l.close()
		return
	}
	_ = l.client.Close()
	if d == reply { // nobody receives what else the target sends
		_, _ = io.Copy(io.Discard, l.target)
	}
}
