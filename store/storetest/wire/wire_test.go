package wire_test

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/evolvego/evolve/store/storetest/wire"
)

// ledger is a server that writes down every line that it receives, and answers with the
// number of lines.
type ledger struct {
	listener net.Listener
	wrote    chan string // receives every line after it is written down

	mu    sync.Mutex
	lines []string // guarded by mu
}

func startLedger(t *testing.T) *ledger {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &ledger{listener: listener, wrote: make(chan string, 1000)}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait() // it hangs if the wire leaves a connection open
	})
	return s
}

func (s *ledger) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for in := bufio.NewScanner(conn); in.Scan(); {
		s.mu.Lock()
		s.lines = append(s.lines, in.Text())
		n := len(s.lines)
		s.mu.Unlock()
		s.wrote <- in.Text()
		if _, err := fmt.Fprintln(conn, n); err != nil {
			return
		}
	}
}

func (s *ledger) count(line string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines {
		if l == line {
			n++
		}
	}
	return n
}

// wired is a wire to a ledger.
type wired struct {
	*wire.Wire
	*ledger
}

func newWired(t *testing.T) wired {
	t.Helper()
	s := startLedger(t)
	w, err := wire.New(s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 2 {
			if err := w.Close(); err != nil {
				t.Errorf("Close() = %v", err)
			}
		}
	})
	return wired{w, s}
}

func (w wired) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// ask sends line and returns the answer.
func ask(conn net.Conn, line string) (string, error) {
	if _, err := fmt.Fprintln(conn, line); err != nil {
		return "", err
	}
	return answerOf(conn)
}

func answerOf(conn net.Conn) (string, error) {
	text, err := bufio.NewReader(conn).ReadString('\n')
	return text, err
}

// silent reports whether conn gets no answer for some time.
func silent(conn net.Conn) bool {
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	_, err := answerOf(conn)
	_ = conn.SetReadDeadline(time.Time{})
	timeout, ok := err.(net.Error) //nolint:errorlint // it is that of conn
	return ok && timeout.Timeout()
}

func TestWirePasses(t *testing.T) {
	t.Parallel()
	w := newWired(t)
	for i := range 3 {
		conn := w.dial(t)
		for j := range 3 {
			if got, err := ask(conn, "x"); err != nil || got != fmt.Sprintln(3*i+j+1) {
				t.Errorf("ask %d on connection %d = %q, %v", j, i, got, err)
			}
		}
	}
}

func TestWireCutsRequests(t *testing.T) {
	t.Parallel()
	w := newWired(t)
	conn := w.dial(t)
	if _, err := ask(conn, "before"); err != nil {
		t.Fatal(err)
	}
	w.CutRequests()
	if got, err := ask(conn, "cut"); err == nil {
		t.Errorf("ask = %q, want an error", got)
	}
	w.Resume()
	if _, err := ask(conn, "cut"); err == nil {
		t.Error("a connection that was cut works again")
	}
	if _, err := ask(w.dial(t), "after"); err != nil {
		t.Errorf("ask on a new connection = %v", err)
	}
	if w.count("cut") != 0 || w.count("before") != 1 || w.count("after") != 1 {
		t.Errorf("the ledger has %q", w.lines)
	}
	if requests, answers := w.Cuts(); requests != 1 || answers != 0 {
		t.Errorf("Cuts() = %d, %d, want 1, 0", requests, answers)
	}
}

func TestWireCutsAnswers(t *testing.T) {
	t.Parallel()
	w := newWired(t)
	conn := w.dial(t)
	w.CutAnswers()
	if got, err := ask(conn, "cut"); err == nil {
		t.Errorf("ask = %q, want an error", got)
	}
	if w.count("cut") != 1 {
		t.Errorf("the ledger has %q, want the request whose answer was cut", w.lines)
	}
	w.Resume()
	if _, err := ask(w.dial(t), "after"); err != nil {
		t.Errorf("ask on a new connection = %v", err)
	}
	if requests, answers := w.Cuts(); requests != 0 || answers != 1 {
		t.Errorf("Cuts() = %d, %d, want 0, 1", requests, answers)
	}
}

func TestWireStalls(t *testing.T) {
	t.Parallel()
	w := newWired(t)
	conn := w.dial(t)
	w.Stall()
	if _, err := fmt.Fprintln(conn, "stalled"); err != nil {
		t.Fatal(err)
	}
	if !silent(conn) || w.count("stalled") != 0 {
		t.Error("a stalled request got through")
	}
	w.StallAnswers()
	if line := <-w.wrote; line != "stalled" || !silent(conn) {
		t.Errorf("the ledger got %q, and its answer was not stalled", line)
	}
	w.Resume()
	if got, err := answerOf(conn); err != nil || got != "1\n" {
		t.Errorf("the answer after Resume = %q, %v", got, err)
	}
}

func TestWireDropsAfterTheRequest(t *testing.T) {
	t.Parallel()
	w := newWired(t)
	conn := w.dial(t)
	w.StallAnswers()
	if _, err := fmt.Fprintln(conn, "dropped"); err != nil {
		t.Fatal(err)
	}
	<-w.wrote
	w.Drop()
	if got, err := answerOf(conn); err == nil {
		t.Errorf("the answer after Drop = %q, want an error", got)
	}
	w.Resume()
	if got, err := ask(w.dial(t), "after"); err != nil || got != "2\n" {
		t.Errorf("ask on a new connection = %q, %v", got, err)
	}
}

// TestWireChaos checks that the same seed cuts at the same places, inside requests and
// inside answers, and that a client that got an answer got a true one.
func TestWireChaos(t *testing.T) {
	t.Parallel()
	const connections = 60
	run := func(seed uint64) (told []int, requests, answers int) {
		w := newWired(t)
		w.Chaos(seed, 40)
		for i := range connections {
			conn := w.dial(t)
			asked := 0
			for {
				line := fmt.Sprintf("%d.%d", i, asked)
				_, err := ask(conn, line)
				if err != nil {
					break
				}
				if w.count(line) != 1 {
					t.Errorf("%s was answered and is in the ledger %d times", line, w.count(line))
				}
				asked++
			}
			told = append(told, asked)
		}
		w.Resume()
		if _, err := ask(w.dial(t), "after"); err != nil {
			t.Errorf("ask after Resume = %v", err)
		}
		requests, answers = w.Cuts()
		return told, requests, answers
	}
	first, requests, answers := run(1)
	if requests < 10 || answers < 10 || requests+answers != connections {
		t.Errorf("%d requests and %d answers were cut of %d connections", requests, answers, connections)
	}
	if again, _, _ := run(1); !slices.Equal(again, first) {
		t.Errorf("the same seed gave the answers %v and then %v", first, again)
	}
	if other, _, _ := run(2); slices.Equal(other, first) {
		t.Errorf("another seed gave the same answers %v", other)
	}
}

func TestWireWithoutTarget(t *testing.T) {
	t.Parallel()
	s := startLedger(t)
	_ = s.listener.Close()
	w, err := wire.New(s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn := wired{w, s}.dial(t)
	if got, err := ask(conn, "x"); err == nil {
		t.Errorf("ask without a target = %q, want an error", got)
	}
	if err := w.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if _, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.Addr()); err == nil {
		t.Error("a closed wire takes connections")
	}
}
