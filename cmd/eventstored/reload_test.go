package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/store/open"
)

// logged waits until the log of p contains text.
func (p *running) logged(t *testing.T, text string, times int) {
	t.Helper()
	for strings.Count(p.text(), text) < times {
		select {
		case <-p.done:
			t.Fatalf("it ended before it logged %q:\n%s", text, p.text())
		case <-time.After(5 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// serial returns the serial number of the certificate of the server at address.
func serial(t *testing.T, address string) string {
	t.Helper()
	conn, err := new(tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String() //nolint:errcheck // a tls.Dialer returns nothing else
}

// TestHangup changes the tokens and the certificate of a server and sends SIGHUP. The
// server uses the new ones, and calls and subscriptions in progress continue. A file
// that cannot be read changes nothing.
func TestHangup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := newAuthority(t, dir)
	ca.issue(t, "server", pkix.Name{CommonName: "server"})
	in := func(name string) string { return filepath.Join(dir, name) }
	tokens := func(token string) string { return fmt.Sprintf("ann * %x\n", sha256.Sum256([]byte(token))) }
	write(t, dir, "old", "old-token")
	write(t, dir, "new", "new-token")
	write(t, dir, "tokens", tokens("old-token"))
	p := start(t, dir, nil, "-listen", "127.0.0.1:0", "-store", "memory:", "-tls-cert", "server.pem", "-tls-key", "server.key", "-tokens", "tokens")
	url := func(token string) string {
		return "grpcs://" + p.address + "?ca=" + in("ca.pem") + "&token-file=" + in(token)
	}
	st := tenantOf(t, url("old"))
	seen, leave := subscribe(t, st)
	if err := add(t.Context(), st, "a-1"); err != nil {
		t.Fatal(err)
	}
	<-seen
	hangup := func() {
		t.Helper()
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, "tokens", "not a list of tokens\n")
	hangup()
	p.logged(t, "tokens and certificates stay as they were", 1)
	if err := add(t.Context(), st, "a-2"); err != nil {
		t.Errorf("with the old token, after reading an invalid file: %v", err)
	}
	<-seen
	before := serial(t, p.address)
	write(t, dir, "tokens", tokens("new-token"))
	ca.issue(t, "server", pkix.Name{CommonName: "server"})
	hangup()
	p.logged(t, "read tokens and certificates", 1)
	if after := serial(t, p.address); after == before {
		t.Error("the server shows its old certificate")
	}
	if err := add(t.Context(), tenantOf(t, url("new")), "a-3"); err != nil {
		t.Errorf("with the new token: %v", err)
	}
	if id := <-seen; id != "a-3" {
		t.Errorf("the earlier subscription yielded %s", id)
	}
	if st, err := open.Store(t.Context(), url("old")); err == nil {
		_ = st.Close()
		t.Error("the old token is accepted")
	}
	leave()
	p.stop(t)
}

// TestFilesThatChange checks that the server notices a change without a signal.
func TestFilesThatChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	line := func(token string) string { return fmt.Sprintf("ann * %x\n", sha256.Sum256([]byte(token))) }
	write(t, dir, "tokens", line("old"))
	synctest.Test(t, func(t *testing.T) {
		k, err := newKeeper(&settings{tokens: filepath.Join(dir, "tokens")})
		if err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			k.watch(ctx, slog.New(slog.NewTextHandler(&log, nil)), nil)
		}()
		first := k.current.Load()
		time.Sleep(time.Minute)
		if k.current.Load() != first {
			t.Error("the files were read again although none has changed")
		}
		write(t, dir, "tokens", line("new")+line("other"))
		time.Sleep(11 * time.Second)
		second := k.current.Load()
		if second == first {
			t.Error("a file that has changed was not read again")
		}
		if err := os.Remove(filepath.Join(dir, "tokens")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if k.current.Load() != second {
			t.Error("a missing file changes who may call")
		}
		cancel()
		<-ended
		if n := strings.Count(log.String(), "stay as they were"); n != 1 {
			t.Errorf("a missing file was logged %d times:\n%s", n, log.String())
		}
	})
}
