package main

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strings"

	"github.com/evolvego/evolve/decider/process"
)

// postman sends letters through a mail server.
type postman struct{ server, from string }

// send is the Send of the process. The id of the command is the id of the message, so
// that a mail which is sent again after a crash can be recognized. A letter that the
// server refuses permanently quarantines the order. Other errors are retried.
func (p *postman) send(ctx context.Context, c process.Command[letter]) error {
	to, err := mail.ParseAddress(c.Command.To)
	if err != nil {
		return process.Permanent(fmt.Errorf("the customer %q has no address: %w", c.Command.To, err))
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.server)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	host, _, _ := net.SplitHostPort(p.server) // the address was valid for dialing
	err = p.deliver(conn, host, to, c)
	if answer, ok := errors.AsType[*textproto.Error](err); ok && answer.Code >= 500 {
		return process.Permanent(err)
	}
	return err
}

// deliver sends the letter over conn, and closes conn.
func (p *postman) deliver(conn net.Conn, host string, to *mail.Address, c process.Command[letter]) error {
	client, err := smtp.NewClient(conn, host)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	defer client.Close()
	if err := errors.Join(client.Mail(p.from), client.Rcpt(to.Address)); err != nil {
		return err
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	text := []string{
		"From: " + p.from, "To: " + to.String(), "Subject: " + mime.QEncoding.Encode("utf-8", c.Command.Subject),
		"Message-ID: <" + c.ID + "@evolve>", "Content-Type: text/plain; charset=utf-8", "", c.Command.Text, "",
	}
	if _, err := w.Write([]byte(strings.Join(text, "\r\n"))); err != nil {
		return err
	}
	if err := w.Close(); err != nil { // from here on the server has it
		return err
	}
	_ = client.Quit() // the letter is delivered, whatever this returns
	return nil
}
