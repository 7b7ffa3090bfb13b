package grpc

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/evolvego/evolve/store"
)

const (
	defaultTimeout = 30 * time.Second
	// maxAnswer is the maximum size of an answer in bytes. Servers differ in how long they
	// make a page; a page that is too large is requested again in halves.
	maxAnswer = 64 << 20
	// pingAfter is when a connection on which nothing arrives, although a call is waiting,
	// is checked with a ping. Servers that send keep-alives never get one; a server that
	// objects says so, and gets fewer.
	pingAfter = 30 * time.Second
	// pingTimeout is how long the client waits for an answer before it closes a
	// connection.
	pingTimeout = 20 * time.Second
)

// Option is an option of [Open]. If two options set the same thing, the later one wins.
type Option interface{ apply(c *config) }

type option func(c *config)

func (o option) apply(c *config) { o(c) }

// config holds what the options have set.
type config struct {
	tenant  string
	creds   credentials.TransportCredentials
	dial    []gogrpc.DialOption
	conn    *gogrpc.ClientConn
	token   *string // set by Bearer
	timeout time.Duration
	page    int
}

// Tenant opens the store of tenant id. The default is [store.DefaultTenant].
func Tenant(id string) Option { return option(func(c *config) { c.tenant = id }) }

// TLS connects with this configuration; nil means the default configuration. Its
// Certificates are presented to a server that asks for one.
func TLS(conf *tls.Config) Option {
	return option(func(c *config) { c.creds = credentials.NewTLS(conf) })
}

// Plaintext connects without TLS: anybody on the network path can read and change what
// is sent, including credentials. The target must have a port.
func Plaintext() Option {
	return option(func(c *config) { c.creds = insecure.NewCredentials() })
}

// PerRPC sends these credentials, such as a token, with every request. If they require
// transport security, Open refuses them together with [Plaintext].
func PerRPC(creds credentials.PerRPCCredentials) Option {
	return DialOptions(gogrpc.WithPerRPCCredentials(creds))
}

// Bearer sends a token with every request, in the metadata "authorization: Bearer
// TOKEN" (RFC 6750), where a server with BearerTokens looks for it. A token is one line
// of visible ASCII characters. With [Plaintext], anybody on the network path can read
// it.
func Bearer(token string) Option {
	return option(func(c *config) {
		c.token = &token
		c.dial = append(c.dial, gogrpc.WithPerRPCCredentials(bearerToken(token)))
	})
}

type bearerToken string

func (t bearerToken) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(t)}, nil
}

func (t bearerToken) RequireTransportSecurity() bool { return false }

// checkToken returns what is wrong with a token, without revealing the token.
func checkToken(token string) error {
	switch {
	case token == "":
		return &store.InvalidError{Field: "token", Reason: "is empty"}
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return &store.InvalidError{Field: "token", Reason: "has a space, a line break or a character that is not ASCII: a token is one line of visible characters"}
	}
	return nil
}

// DialOptions adds gRPC options for everything that this package has no option for:
// interceptors, proxies, stats handlers.
func DialOptions(options ...gogrpc.DialOption) Option {
	return option(func(c *config) { c.dial = append(c.dial, options...) })
}

// Conn uses an existing connection, which stays open when the store is closed. The
// target must be empty, and the options about connecting are ignored. The connection
// should accept answers of 64 MiB.
func Conn(conn *gogrpc.ClientConn) Option { return option(func(c *config) { c.conn = conn }) }

// Timeout sets how long a request waits for its answer, unless its context ends
// earlier. After that, the outcome of an append is unknown. The default is 30 seconds.
// A subscription whose server sends keep-alives reconnects when nothing has arrived for
// that long, but not before 15 seconds have passed.
func Timeout(d time.Duration) Option { return option(func(c *config) { c.timeout = d }) }

// PageSize sets the maximum number of events in one request. The default is
// [store.DefaultLimit], which is also the most that some servers send.
func PageSize(n int) Option { return option(func(c *config) { c.page = n }) }

// newConfig returns the configuration that options describe, for target.
func newConfig(target string, options []Option) (*config, error) {
	c := &config{tenant: store.DefaultTenant, creds: credentials.NewTLS(nil), timeout: defaultTimeout, page: store.DefaultLimit}
	for _, o := range options {
		o.apply(c)
	}
	if err := store.ValidateTenant(c.tenant); err != nil {
		return nil, err
	}
	if c.token != nil {
		if err := checkToken(*c.token); err != nil {
			return nil, err
		}
	}
	switch {
	case (target == "") != (c.conn != nil):
		return nil, &store.InvalidError{Field: "target", Reason: fmt.Sprintf("is %q: it must be empty with a connection, and only then", target)}
	case c.plaintext() && lacksPort(target):
		return nil, &store.InvalidError{Field: "target", Reason: fmt.Sprintf("is %q: the port is missing", target)}
	case c.timeout <= 0:
		return nil, &store.InvalidError{Field: "timeout", Reason: fmt.Sprintf("is %s", c.timeout)}
	case c.page < 1:
		return nil, &store.InvalidError{Field: "page size", Reason: fmt.Sprintf("is %d", c.page)}
	}
	return c, nil
}

// plaintext reports whether the connection is without TLS.
func (c *config) plaintext() bool { return c.creds.Info().SecurityProtocol == "insecure" }

// lacksPort reports whether target is a host without a port, for which gRPC uses the
// port of HTTPS.
func lacksPort(target string) bool {
	if target == "" || strings.Contains(target, "/") { // has another form
		return false
	}
	_, port, err := net.SplitHostPort(target)
	return err != nil || port == ""
}

// hint returns err, the error of a failed connection, with a guess at the cause.
func (c *config) hint(err error) error {
	switch text := err.Error(); {
	case c.plaintext() && strings.Contains(text, "server preface"):
		return fmt.Errorf("%w (the server does not answer without TLS: is it grpcs://?)", err)
	case !c.plaintext() && strings.Contains(text, "does not look like a TLS handshake"):
		return fmt.Errorf("%w (the server answers without TLS: is it grpc://?)", err)
	}
	return err
}

func (c *config) dialOptions() []gogrpc.DialOption {
	return append([]gogrpc.DialOption{
		gogrpc.WithTransportCredentials(c.creds),
		gogrpc.WithDefaultCallOptions(gogrpc.MaxCallRecvMsgSize(maxAnswer), gogrpc.MaxCallSendMsgSize(1<<30)),
		gogrpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingTimeout}),
		gogrpc.WithConnectParams(gogrpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 10 * time.Second,
		}),
	}, c.dial...)
}
