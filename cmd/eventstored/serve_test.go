package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/open"
)

// TestMain lets the test binary act as the command, for the tests that need a process.
func TestMain(m *testing.M) {
	if os.Getenv("EVENTSTORED_TEST_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// running is an eventstored process.
type running struct {
	cmd     *exec.Cmd
	address string
	admin   string

	mu   sync.Mutex
	log  strings.Builder // guarded by mu
	done chan struct{}   // closed when the log has ended
}

// start runs eventstored in dir and returns when it serves.
func start(t *testing.T, dir string, environment []string, args ...string) *running {
	t.Helper()
	p := &running{cmd: exec.CommandContext(t.Context(), os.Args[0], args...), done: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), append(environment, "EVENTSTORED_TEST_MAIN=1")...)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // if it has not ended
		<-p.done
		_ = p.cmd.Wait()
	})
	serving := make(chan bool, 1)
	go p.follow(stderr, serving)
	if !<-serving {
		t.Fatalf("eventstored %q does not serve:\n%s", args, p.text())
	}
	return p
}

var addressOf = regexp.MustCompile(`msg=(serving|admin) address=(\S+)`)

// follow reads the log. It reports once whether the process serves.
func (p *running) follow(stderr io.Reader, serving chan<- bool) {
	defer close(p.done)
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		p.mu.Lock()
		p.log.WriteString(lines.Text() + "\n")
		p.mu.Unlock()
		switch match := addressOf.FindStringSubmatch(lines.Text()); {
		case match == nil:
		case match[1] == "admin":
			p.admin = match[2]
		default:
			p.address = match[2]
			serving <- true
		}
	}
	select {
	case serving <- false:
	default:
	}
}

func (p *running) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// stop sends SIGTERM and checks that the process ends with status 0.
func (p *running) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.done
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, p.text())
	}
}

// tenantOf opens the store at url, and closes it at the end of the test.
func tenantOf(t *testing.T, url string) open.Backend {
	t.Helper()
	st, err := open.Store(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

func add(ctx context.Context, st store.Store, id string) error {
	event := store.Event{ID: store.NewID(), Type: "Opened", Data: []byte(`{}`)}
	_, err := st.Append(ctx, store.Stream{Type: "Account", ID: id}, store.NoStream, []store.Event{event})
	return err
}

// TestServeAFile checks the server without any settings: events survive a restart.
func TestServeAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	anyPort := []string{"BIND_ADDR=127.0.0.1:0"}
	p := start(t, dir, anyPort)
	if !strings.Contains(p.text(), "every client may use every tenant") {
		t.Errorf("it does not warn that it trusts everybody:\n%s", p.text())
	}
	if err := add(t.Context(), tenantOf(t, "grpc://"+p.address), "a"); err != nil {
		t.Fatal(err)
	}
	p.stop(t)

	p = start(t, dir, anyPort, "serve", "-admin", "127.0.0.1:0")
	if got := must(t, "", "read", "Account/a", "-store", "grpc://"+p.address); !strings.Contains(got[0], `"type":"Opened"`) {
		t.Errorf("after a restart: %s", got)
	}
	if got := must(t, "", "healthcheck", "-address", p.address); got[0] != "SERVING" {
		t.Errorf("healthcheck: %s", got)
	}
	page := get(t, "http://"+p.admin+"/metrics")
	for _, want := range []string{
		`eventstored_calls_total{code="OK",method="ReadStream"} 1`, `eventstored_events_total{method="ReadStream"} 1`, "go_goroutines",
		`eventstored_call_duration_seconds_bucket{method="ReadStream",le="0.00025"}`, "eventstored_backend_up 1", `eventstored_build_info{go="go`,
		"eventstored_replayed_total 0", `eventstored_append_events_bucket{le="10000"} 0`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the metrics have no %s:\n%s", want, page)
		}
	}
	if page := get(t, "http://"+p.admin+"/debug/pprof/cmdline"); page == "" {
		t.Error("no profiles")
	}
	p.stop(t)
	if got := do(t, "", "healthcheck", "-address", p.address, "-timeout", "1s"); got.err == nil {
		t.Error("a server that has ended is healthy")
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", url, resp.Status, err)
	}
	return string(body)
}

// TestSubscriptionsEndWithTheServer checks that a server that is told to stop does not
// wait for subscribers, and that they resume where they were when it is back.
func TestSubscriptionsEndWithTheServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir, []string{"BIND_ADDR=127.0.0.1:0"})
	st := tenantOf(t, "grpc://"+p.address)
	if err := add(t.Context(), st, "a-1"); err != nil {
		t.Fatal(err)
	}
	seen, leave := subscribe(t, st)
	if id := <-seen; id != "a-1" {
		t.Fatalf("saw %s first", id)
	}
	p.stop(t)
	p = start(t, dir, nil, "-listen", p.address)
	again := tenantOf(t, "grpc://"+p.address)
	if err := add(t.Context(), again, "a-2"); err != nil {
		t.Fatal(err)
	}
	if id := <-seen; id != "a-2" {
		t.Errorf("saw %s after the restart", id)
	}
	leave()
}

// subscribe subscribes to st. It returns the ids of the streams of the events as they arrive,
// and a function that ends the subscription.
func subscribe(t *testing.T, st store.Log) (seen <-chan string, leave func()) {
	t.Helper()
	ids := make(chan string)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		defer close(left)
		for page, err := range st.Subscribe(ctx, store.LogOptions{}) {
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("Subscribe: %v", err)
				}
				return
			}
			for i := range page.Events {
				ids <- page.Events[i].Stream.ID
			}
		}
	}()
	return ids, func() {
		cancel()
		<-left
	}
}

// TestTenantsAreEnforced checks tokens and client certificates over TLS.
func TestTenantsAreEnforced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := newAuthority(t, dir)
	ca.issue(t, "server", pkix.Name{CommonName: "server"})
	ca.issue(t, "ann", pkix.Name{CommonName: "ann", Organization: []string{"acme"}})
	write(t, dir, "token", "s3cret\n")
	write(t, dir, "wrong", "guess\n")
	write(t, dir, "tokens", fmt.Sprintf("# who\nbob acme,other %x\n", sha256.Sum256([]byte("s3cret"))))
	in := func(name string) string { return filepath.Join(dir, name) }
	p := start(t, dir, nil, "-listen", "127.0.0.1:0", "-store", "memory:", "-tls-cert", "server.pem", "-tls-key", "server.key",
		"-client-ca", "ca.pem", "-tokens", "tokens")
	base := "grpcs://" + p.address + "?ca=" + in("ca.pem")
	token, cert := "&token-file="+in("token"), "&cert="+in("ann.pem")+"&key="+in("ann.key")
	for name, tt := range map[string]struct {
		url  string
		want string // part of the expected error
	}{
		"a token for its tenant":           {base + token + "&tenant=acme", ""},
		"a token for its other tenant":     {base + token + "&tenant=other", ""},
		"a token for another tenant":       {base + token + "&tenant=third", "tenant_id 'third' is not allowed"},
		"a wrong token":                    {base + "&tenant=acme&token-file=" + in("wrong"), "not valid"},
		"nothing":                          {base + "&tenant=acme", "not valid"},
		"a certificate for its tenant":     {base + cert + "&tenant=acme", ""},
		"a certificate for another tenant": {base + cert + "&tenant=other", "tenant_id 'other' is not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			st, err := open.Store(ctx, tt.url)
			if err == nil {
				err = errors.Join(add(ctx, st, name), st.Close())
			}
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Append: %v, want %q", err, tt.want)
			}
		})
	}
	t.Run("healthcheck", func(t *testing.T) {
		t.Parallel()
		if got := must(t, "", "healthcheck", "-address", p.address, "-tls-ca", in("ca.pem")); got[0] != "SERVING" {
			t.Errorf("healthcheck: %s", got)
		}
	})
}

// authority is a certificate authority with files in dir.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir string) *authority {
	t.Helper()
	a := &authority{dir: dir}
	a.issue(t, "ca", pkix.Name{CommonName: "ca"})
	return a
}

// issue writes a certificate and its key to name.pem and name.key. The first one is the
// authority's own.
func (a *authority) issue(t *testing.T, name string, subject pkix.Name) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: subject, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if a.cert == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		a.cert, a.key = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, a.dir, name+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, a.dir, name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSettings checks that the error names a wrong setting and the reason.
func TestSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "bad", "x\n")
	bad, missing := filepath.Join(dir, "bad"), filepath.Join(dir, "missing")
	for _, tt := range []struct {
		env  map[string]string
		args []string
		want string
	}{
		{map[string]string{"BIND_ADDR": "0.0.0.0:50051"}, nil, "BIND_ADDR 0.0.0.0:50051 can be reached from other machines"},
		{map[string]string{"BIND_ADDR": "50051"}, nil, "BIND_ADDR: address 50051: missing port"},
		{map[string]string{"BACKEND": "postgres"}, nil, "BACKEND is postgres, but DATABASE_URL is not set"},
		{map[string]string{"BACKEND": "sqlite", "DATABASE_URL": "postgres://u:secret@h/db"}, nil, "BACKEND is sqlite, but DATABASE_URL does not begin with sqlite:"},
		{map[string]string{"BACKEND": "postgres", "DATABASE_URL": "sqlite:x.db"}, nil, "DATABASE_URL does not begin with postgres: or postgresql:"},
		{map[string]string{"BACKEND": "oracle"}, nil, `BACKEND is "oracle": use`},
		{map[string]string{"BACKEND": "postgres://u:secret@h/db"}, nil, "BACKEND is postgres://h/db: use"},
		{map[string]string{"BIND_ADDR": "0.0.0.0:0", "TRUST_TENANTS": "perhaps"}, nil, `TRUST_TENANTS is "perhaps": use true or false`},
		{map[string]string{"BIND_ADDR": "0.0.0.0:0", "TRUST_TENANTS": "false"}, nil, "BIND_ADDR 0.0.0.0:0 can be reached from other machines"},
		{map[string]string{"BIND_ADDR": "0.0.0.0:0", "TRUST_TENANTS": "true"}, []string{"-trust-tenants=false"}, "BIND_ADDR 0.0.0.0:0 can be reached from other machines"},
		{nil, []string{"-admin", "0.0.0.0:9090"}, "-admin 0.0.0.0:9090 can be reached from other machines"},
		{nil, []string{"-admin", "9090"}, "-admin: address 9090: missing port"},
		{nil, []string{"-pprof"}, "-pprof needs -admin"},
		{nil, []string{"-audit", "acme"}, "-audit needs -admin"},
		{nil, []string{"-admin", "127.0.0.1:0", "-audit", "\xff"}, "-audit: "},
		{nil, []string{"postgres://u:secret@h/db"}, "unknown command postgres://h/db"},
		{nil, []string{"serve", "postgres://u:secret@h/db"}, "not [postgres://h/db]"},
		{nil, []string{"serve", "host=h password=secret"}, "not […]"},
		{nil, []string{"-log=postgres://u:secret@h/db"}, "-log"},
		{nil, []string{"-stor=postgres://u:secret@h/db"}, "not defined: -stor"},
		{nil, []string{"-store", "postgres://u:secret@h:1/db?sslmode=x"}, "sslmode is invalid"},
		{nil, []string{"-trust-tenants=postgres://u:secret@h/db"}, "invalid boolean value"},
		{nil, []string{"-store", "disk:x"}, "not the URL of a store"},
		{nil, []string{"-tls-cert", bad}, "-tls-cert and -tls-key go together"},
		{nil, []string{"-tls-cert", bad, "-tls-key", missing}, "-tls-cert and -tls-key: open"},
		{nil, []string{"-client-ca", bad}, "-client-ca needs -tls-cert"},
		{nil, []string{"-tokens", missing}, "-tokens: open"},
		{nil, []string{"-tokens", bad}, "-tokens: " + bad + ": store/grpc/server: tokens, line 1"},
		{nil, []string{"-listen", ":1", "-tokens", bad}, "-tokens without -tls-cert on :1"},
		{nil, []string{"-log", "loud"}, "-log"},
		{nil, []string{"-listen", "127.0.0.1:99999", "-store", "memory:"}, "-listen: listen tcp"},
		{nil, []string{"-listen", "127.0.0.1:0", "-store", "memory:", "-admin", "127.0.0.1:99999"}, "-admin: listen tcp"},
		{nil, []string{"extra"}, `unknown command "extra"`},
		{nil, []string{"serve", "extra"}, `the arguments of serve are "", not ["extra"]`},
	} {
		var stdout, stderr bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		log := io.MultiWriter(&stderr, endOnceServing(cancel))
		err := run(ctx, tt.args, env{strings.NewReader(""), &stdout, log, func(name string) string { return tt.env[name] }})
		cancel()
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v eventstored %q = %v; want %q", tt.env, tt.args, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error()+stdout.String()+stderr.String(), "secret") {
			t.Errorf("%v eventstored %q reveals the password: %v\n%s%s", tt.env, tt.args, err, stdout.String(), stderr.String())
		}
	}
}

// endOnceServing is the log of a server, which it ends as soon as it serves.
type endOnceServing context.CancelFunc

func (end endOnceServing) Write(line []byte) (int, error) {
	if addressOf.Match(line) {
		end()
	}
	return len(line), nil
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"help"}, {"-h"}, {"--help"}, {"help", "nothing"}} {
		got := strings.Join(must(t, "", args...), "\n")
		for _, group := range commands() {
			for _, c := range group {
				if !strings.Contains(got, "\n  "+c.name) || !strings.Contains(got, c.help) {
					t.Errorf("%q says nothing about %s:\n%s", args, c.name, got)
				}
			}
		}
	}
	for _, group := range commands() {
		for _, c := range group {
			for _, args := range [][]string{{c.name, "-h"}, {"help", c.name}} {
				got := do(t, "", args...)
				if !errors.Is(got.err, flag.ErrHelp) || !strings.HasPrefix(got.stdout, "Usage: eventstored "+c.name) {
					t.Errorf("%q = %v:\n%s", args, got.err, got.stdout)
				}
			}
		}
	}
}

// TestMemoryGC checks that a server whose events are in its memory lets little garbage pile
// up, unless the environment says otherwise.
func TestMemoryGC(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		url, gogc string
		want      string
	}{
		{"memory:", "", "50"},
		{"memory:", "200", "200"},
		{"sqlite:events.db", "", "100"},
	} {
		p := start(t, t.TempDir(), []string{"GOGC=" + tt.gogc}, "-listen", "127.0.0.1:0", "-admin", "127.0.0.1:0", "-store", tt.url)
		if page := get(t, "http://"+p.admin+"/metrics"); !strings.Contains(page, "\ngo_gc_gogc_percent "+tt.want+"\n") {
			t.Errorf("%s with GOGC=%s does not set it to %s", tt.url, tt.gogc, tt.want)
		}
		p.stop(t)
	}
}
