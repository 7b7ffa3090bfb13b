// Package wire is a line over TCP between a client and a server that fails when a test wants
// it to.
package wire

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
)

// Wire is a line over TCP that can fail, between a client and a server in a test:
// the client is told [Wire.Addr] in place of the server's address. It passes
// everything on until it is told otherwise. It is safe for concurrent use.
//
// To lose the answer of a request that has surely been dealt with, call
// [Wire.StallAnswers], send the request, wait until the server has dealt with it,
// and call [Wire.Drop].
type Wire struct {
	target   string
	listener net.Listener
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex
	mode    wireMode          // guarded by mu
	changed chan struct{}     // closed and replaced when mode changes; guarded by mu
	lines   map[*line]bool    // that are up; guarded by mu
	random  *rand.Rand        // of Chaos; nil: none. Guarded by mu
	most    int               // bytes that a line of Chaos lets pass; guarded by mu
	count   map[direction]int // lines that were cut; guarded by mu
}

type wireMode int

const (
	pass wireMode = iota
	stall
	stallAnswers
	cutRequests
	cutAnswers
)

// direction is the way that bytes take.
type direction int

const (
	request direction = iota // from client to target
	reply
)

// line is one connection through the wire.
type line struct {
	client, target net.Conn
	left           map[direction]int // bytes until the line is cut, if there is an end; guarded by Wire.mu
	silent         bool              // the client is cut off, and the target does not know; guarded by Wire.mu
}

// New returns a wire to the server at target, an address for [net.Dial] with
// "tcp". It must be closed.
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

// Resume passes everything on again, first what was stalled. Connections that were
// cut stay so, and now the target learns of it.
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

// Stall holds back everything in both directions, as a line does that is down for
// a while, until the next call of another method.
func (w *Wire) Stall() { w.set(stall) }

// StallAnswers holds back everything that the target sends.
func (w *Wire) StallAnswers() { w.set(stallAnswers) }

// CutRequests ends every connection on which a client sends something; the target
// does not get it.
func (w *Wire) CutRequests() { w.set(cutRequests) }

// CutAnswers ends every connection on which the target sends something; the client
// does not get it. What the client sent before has got through, and the target
// does not learn of the end before [Wire.Resume], so that it goes on with it.
func (w *Wire) CutAnswers() { w.set(cutAnswers) }

// Chaos ends every connection that is made from now on when more bytes are sent in one
// direction than seed says, from 0 to most; those get through. It ends with Resume.
func (w *Wire) Chaos(seed uint64, most int) {
	w.set(pass)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.random, w.most = rand.New(rand.NewPCG(seed, 0)), most
}

// Drop ends all connections at once. New ones can be made.
func (w *Wire) Drop() {
	for _, l := range w.up() {
		l.close()
	}
}

// Cuts returns how many connections were cut while their client sent something, and
// how many while their target did: for a test to see that it has tested something.
func (w *Wire) Cuts() (requests, answers int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count[request], w.count[reply]
}

// Close ends the wire and all its connections, and returns when nothing of it runs
// any more. It can be called again.
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

// up returns the connections there are.
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
	if ctx.Err() != nil { // Close has not seen it
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

// carry moves bytes in one direction until it ends. The end of what one side sends
// is passed on, and the other direction goes on.
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

// fate waits while d is stalled, and says how many of n bytes pass, and whether l
// is cut then.
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

// end ends l, for the client only where the target is not to know.
func (w *Wire) end(l *line, d direction) {
	w.mu.Lock()
	silent := l.silent
	w.mu.Unlock()
	if !silent {
		l.close()
		return
	}
	_ = l.client.Close()
	if d == reply { // what else the target has to say is for nobody
		_, _ = io.Copy(io.Discard, l.target)
	}
}
