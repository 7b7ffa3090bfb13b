package jetstream

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
)

// mute is a connection to a server that answers nothing, but can send notifications.
type mute struct {
	conn net.Conn
	subs map[string]string // ids of subscriptions by subject
	said chan string       // the subjects of messages that it has received
}

// Dial makes mute a nats.CustomDialer.
func (m *mute) Dial(string, string) (net.Conn, error) {
	client, server := net.Pipe()
	m.conn = server
	go m.serve()
	return client, nil
}

func (m *mute) serve() {
	m.write(`INFO {"version":"2.15.3","headers":true,"max_payload":1048576}`)
	in := bufio.NewScanner(m.conn)
	for in.Scan() {
		words := strings.Fields(in.Text())
		switch {
		case len(words) == 0:
		case words[0] == "PING":
			m.write("PONG")
		case words[0] == "SUB":
			m.subs[words[1]] = words[len(words)-1]
		case words[0] == "PUB":
			m.said <- words[1]
		}
	}
}

func (m *mute) write(line string) { _, _ = fmt.Fprint(m.conn, line, "\r\n") }

// elect tells the client that stream has a new leader.
func (m *mute) elect(stream string) {
	subject := electionSubject + stream
	m.write("MSG " + subject + " " + m.subs[subject] + " 0\r\n")
}

// muteWire returns a server that answers nothing, and a wire to it.
func muteWire(t *testing.T) (*mute, *wire) {
	t.Helper()
	server := &mute{subs: make(map[string]string), said: make(chan string)}
	nc, err := nats.Connect("nats://127.0.0.1", nats.SetCustomDialer(server), nats.NoReconnect(),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	w, err := newWire(nc)
	if err != nil {
		t.Fatal(err)
	}
	return server, w
}

// TestSilent checks which missing permission is a reason why nobody answers: the one to
// send, but not the one to receive notifications.
func TestSilent(t *testing.T) {
	t.Parallel()
	for denied, want := range map[string]bool{
		`Publish to "ev.x.e.a"`:                         true,
		`Subscription to "evn.x.>"`:                     false,
		`Subscription to "` + electionSubject + `EV_x"`: false,
		"": false,
	} {
		t.Run(denied, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, w := muteWire(t)
				go func() {
					<-server.said
					if denied != "" {
						server.write("-ERR 'Permissions Violation for " + denied + "'")
					}
				}()
				_, err := w.ask(t.Context(), withAny, answerIn, &nats.Msg{Subject: "ev.x.e.a"})
				if got := errors.Is(err, nats.ErrPermissionViolation); got != want || !errors.Is(err, errNoAnswer) {
					t.Errorf("ask = %v, want the permission as its reason: %t", err, want)
				}
			})
		})
	}
}

// TestElections checks which requests fail soon after the election of a leader: those
// that were sent before it to the stream that has a new leader. The others wait.
func TestElections(t *testing.T) {
	t.Parallel()
	names := subjects{"x"}
	for name, tt := range map[string]struct {
		subject, elected string
		want             time.Duration
	}{
		"events":                     {"ev.x.e.a", names.stream(), lateIn},
		"kept":                       {"evk.x.c", names.keep(), lateIn},
		"request":                    {"$JS.API.STREAM.INFO.EV_x", names.stream(), lateIn},
		"events, other stream":       {"ev.x.e.a", names.keep(), answerIn},
		"kept, other stream":         {"evk.x.c", names.stream(), answerIn},
		"request, other stream":      {"$JS.API.STREAM.INFO.EV_x_KEEP", names.stream(), answerIn},
		"events of a log called x.y": {"ev.xy.e.a", names.stream(), answerIn},
		"nobody is elected":          {"ev.x.e.a", "", answerIn},
		"request, nobody is elected": {"$JS.API.STREAM.INFO.EV_x", "", answerIn},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, w := muteWire(t)
				if err := w.followElections(names); err != nil {
					t.Fatal(err)
				}
				go func() {
					<-server.said
					if tt.elected != "" {
						server.elect(tt.elected)
					}
				}()
				begun := time.Now()
				_, err := w.ask(t.Context(), withAny, answerIn, &nats.Msg{Subject: tt.subject})
				if took := time.Since(begun); !errors.Is(err, errNoAnswer) || took.Round(time.Millisecond) != tt.want {
					t.Errorf("ask = %v after %s, want %v after %s", err, took, errNoAnswer, tt.want)
				}
			})
		})
	}
}
