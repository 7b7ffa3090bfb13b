package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/mail"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/process/processtest"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/examples/tutorial/order"
	"github.com/evolvego/evolve/store/sqlite"
)

// mailbox is a mail server that records its mails. It loses its answer to the first mail
// for each address.
type mailbox struct {
	mails chan received
	known map[string]bool
}

// received is a delivered mail.
type received struct{ to, id, subject, text string }

// NewSession is called for each connection. Here they come one after the other.
func (b *mailbox) NewSession(conn *smtp.Conn) (smtp.Session, error) {
	return &session{box: b, conn: conn}, nil
}

type session struct {
	box  *mailbox
	conn *smtp.Conn
	to   string
}

func (s *session) Mail(string, *smtp.MailOptions) error { return nil }
func (s *session) Reset()                               {}
func (s *session) Logout() error                        { return nil }

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	if strings.HasPrefix(to, "gone") {
		return &smtp.SMTPError{Code: 550, Message: "no such user"}
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	msg, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(msg.Body)
	if err != nil {
		return err
	}
	s.box.mails <- received{s.to, msg.Header.Get("Message-Id"), msg.Header.Get("Subject"), strings.TrimSpace(string(text))}
	if !s.box.known[s.to] {
		s.box.known[s.to] = true
		return s.conn.Conn().Close()
	}
	return nil
}

// startServer starts a mail server, and returns its address and its mails.
func startServer(t *testing.T) (address string, mails <-chan received) {
	t.Helper()
	box := &mailbox{make(chan received, 100), map[string]bool{}}
	server := smtp.NewServer(box)
	lis, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(lis) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return lis.Addr().String(), box.mails
}

func TestMails(t *testing.T) {
	t.Parallel()
	address, mails := startServer(t)
	st, err := sqlite.Open(filepath.Join(t.TempDir(), "orders.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	p := process.New(st, st, "Letters", letters(time.Millisecond), orders()).WithTimers(timers())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, (&postman{address, "shop@example.org"}).send) }()
	orders := runner.New("Order", order.Decider(), st, order.Codec())
	for id, customer := range map[string]string{"o-1": "ann@example.org", "o-2": "gone@example.org", "o-3": "nobody"} {
		if _, err := orders.Handle(t.Context(), id, order.Place{Customer: customer, Cents: 1250}); err != nil {
			t.Fatal(err)
		}
	}
	const first, reminder = "Your order o-1", "Your order o-1 is not paid"
	ids := map[string]string{}
	for _, want := range []received{ // the first one comes twice, because its answer is lost
		{"ann@example.org", "", first, "Thank you. Please pay 12.50."},
		{"ann@example.org", "", first, "Thank you. Please pay 12.50."},
		{"ann@example.org", "", reminder, "Please pay 12.50."},
	} {
		got := <-mails
		if id, known := ids[got.subject]; known && id != got.id {
			t.Errorf("a repeated mail has the id %s, but had %s", got.id, id)
		}
		ids[got.subject] = got.id
		if got.id = ""; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if ids[first] == ids[reminder] {
		t.Errorf("two mails have the id %s", ids[first])
	}
	head, err := st.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.WaitFor(t.Context(), head); err != nil {
		t.Fatal(err)
	}
	for id, why := range map[string]string{"o-2": "no such user", "o-3": "has no address"} {
		if err := p.WaitFor(t.Context(), head, id); !errors.Is(err, process.ErrWaiting) || !strings.Contains(err.Error(), why) {
			t.Errorf("order %s: %v; want it to wait because of %q", id, err, why)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v", err)
	}
	if len(mails) > 0 {
		t.Errorf("one more mail: %+v", <-mails)
	}
}

// TestLetters checks what the process does over days.
func TestLetters(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	thanks := letter{"ann", "Your order o-1", "Thank you. Please pay 12.50."}
	processtest.Story(t, letters(3*day)).
		Given(happening{"o-1", "placed", "ann", 1250}).Sends(thanks).
		Given(happening{"o-1", "paid", "", 250}).
		After(3 * day).Sends(letter{"ann", "Your order o-1 is not paid", "Please pay 10.00."}).
		Given(happening{"o-1", "paid", "", 1000}).After(30 * day).Sends().Over("o-1")
}
