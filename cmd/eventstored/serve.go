package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/open"
)

// defaultListen is where the server listens if nobody says.
const defaultListen = "127.0.0.1:50051"

// settings is how to serve.
type settings struct {
	listen, url, metrics string
	listenBy             string // the setting that listen is from
	cert, key, clientCA  string
	tokens               string
	trustTenants         bool
	logLevel             slog.Level
}

// serveSettings returns what the flags say and, where they do not, the environment.
func serveSettings(args []string, e env) (settings, error) {
	var s settings
	f := flags(e, "serve", "")
	f.StringVar(&s.listen, "listen", defaultListen, "serve on this `address` (env BIND_ADDR)")
	f.StringVar(&s.url, "store", "", "serve the store at `URL` (env BACKEND and DATABASE_URL; default "+defaultStore+")")
	f.StringVar(&s.cert, "tls-cert", "", "serve over TLS with the certificate in `FILE`")
	f.StringVar(&s.key, "tls-key", "", "the key of the certificate, `FILE`")
	f.StringVar(&s.clientCA, "client-ca", "", "let in clients with a certificate of an authority in `FILE`; the organizations in it are the tenants")
	f.StringVar(&s.tokens, "tokens", "", "let in clients with a bearer token of `FILE`, whose lines are NAME TENANT[,TENANT…] SHA256 of the token; * is all tenants")
	f.BoolVar(&s.trustTenants, "trust-tenants", false, "serve on an address that others reach, although anybody may name any tenant")
	f.StringVar(&s.metrics, "metrics", "", "serve Prometheus metrics and profiles on this `address`")
	f.TextVar(&s.logLevel, "log", slog.LevelInfo, "log from this `level` on; debug logs every call")
	if _, err := parseFlags(f, args, 0); err != nil {
		return s, err
	}
	s.listenBy = "-listen"
	if bind := e.getenv("BIND_ADDR"); bind != "" && !isSet(f, "listen") {
		s.listen, s.listenBy = bind, "BIND_ADDR"
	}
	if s.url == "" {
		var err error
		if s.url, err = storeFromEnv(e.getenv("BACKEND"), e.getenv("DATABASE_URL")); err != nil {
			return s, err
		}
	}
	err := s.check()
	return s, err
}

func orDefault(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// isSet reports whether the flag called name was given.
func isSet(f *flag.FlagSet, name string) (set bool) {
	f.Visit(func(given *flag.Flag) { set = set || given.Name == name })
	return set
}

// storeFromEnv returns the URL of the store that the variables say.
func storeFromEnv(backend, database string) (string, error) {
	schemes := map[string][]string{"sqlite": {"sqlite:"}, "postgres": {"postgres:", "postgresql:"}}[backend]
	switch {
	case backend == "memory":
		return "memory:", nil
	case backend != "" && schemes == nil:
		return "", fmt.Errorf("%w: BACKEND is %q: it can be memory, sqlite or postgres", errUsage, backend)
	case backend == "postgres" && database == "":
		return "", fmt.Errorf("%w: BACKEND is postgres, but DATABASE_URL is not set", errUsage)
	case backend != "" && database != "" && !slices.ContainsFunc(schemes, func(s string) bool { return strings.HasPrefix(database, s) }):
		return "", fmt.Errorf("%w: BACKEND is %s, but DATABASE_URL does not begin with %s", errUsage, backend, strings.Join(schemes, " or "))
	}
	return orDefault(database, defaultStore), nil
}

// check returns which setting is wrong, and why.
func (s *settings) check() error {
	host, _, err := net.SplitHostPort(s.listen)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %s: %w", errUsage, s.listenBy, err)
	case (s.cert == "") != (s.key == ""):
		return fmt.Errorf("%w: -tls-cert and -tls-key: one without the other", errUsage)
	case s.clientCA != "" && s.cert == "":
		return fmt.Errorf("%w: -client-ca needs -tls-cert and -tls-key", errUsage)
	case s.tokens != "" && s.cert == "" && !loopback(host):
		return fmt.Errorf("%w: -tokens without -tls-cert on %s, where others could read the tokens", errUsage, s.listen)
	case s.tokens == "" && s.clientCA == "" && !s.trustTenants && !loopback(host):
		return fmt.Errorf("%w: %s %s is an address that others reach, and without -tokens or -client-ca anybody may name any tenant: "+
			"set one, or say -trust-tenants", errUsage, s.listenBy, s.listen)
	}
	return nil
}

// loopback reports whether only this machine reaches host.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// serve serves a store until ctx ends.
func serve(ctx context.Context, args []string, e env) error {
	s, err := serveSettings(args, e)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: s.logLevel}))
	m := newMetrics()
	options := []server.Option{server.WithLogger(logger), server.WithObserver(m)}
	auth, err := s.authenticator()
	if err != nil {
		return err
	}
	if auth != nil {
		options = append(options, server.WithAuthenticator(auth))
	}
	transport, err := s.transport()
	if err != nil {
		return err
	}
	st, err := open.Store(ctx, s.url)
	if err != nil {
		return err
	}
	err = s.serve(ctx, server.New(st, options...), m, logger, transport)
	return errors.Join(err, st.Close())
}

// serve listens, and serves until ctx ends.
func (s *settings) serve(ctx context.Context, srv *server.Server, m *metrics, logger *slog.Logger, transport []gogrpc.ServerOption) error {
	var listen net.ListenConfig
	lis, err := listen.Listen(ctx, "tcp", s.listen)
	if err != nil {
		return fmt.Errorf("%s: %w", s.listenBy, err)
	}
	if s.metrics != "" {
		metricsLis, err := listen.Listen(ctx, "tcp", s.metrics)
		if err != nil {
			return errors.Join(fmt.Errorf("-metrics: %w", err), lis.Close())
		}
		httpServer := &http.Server{Handler: m.handler(), ReadHeaderTimeout: 10 * time.Second}
		defer httpServer.Close()
		go httpServer.Serve(metricsLis) //nolint:errcheck // it ends by Close
		logger.InfoContext(ctx, "metrics", "address", metricsLis.Addr().String())
	}
	if s.tokens == "" && s.clientCA == "" {
		logger.WarnContext(ctx, "no -tokens and no -client-ca: every client is trusted to name its tenant")
	}
	logger.InfoContext(ctx, "serving", "address", lis.Addr().String(), "tls", s.cert != "", "store", bare(s.url))
	err = srv.Serve(ctx, lis, transport...)
	logger.InfoContext(context.WithoutCancel(ctx), "stopped")
	return err
}

// bare returns the URL of a store without what may be secret in it.
func bare(store string) string {
	u, err := url.Parse(store)
	if err != nil {
		return "" // which could not be opened
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}

// transport returns what makes the connections safe.
func (s *settings) transport() ([]gogrpc.ServerOption, error) {
	if s.cert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(s.cert, s.key)
	if err != nil {
		return nil, fmt.Errorf("-tls-cert and -tls-key: %w", err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if s.clientCA != "" {
		if c.ClientCAs, err = certificates(s.clientCA); err != nil {
			return nil, fmt.Errorf("-client-ca: %w", err)
		}
		c.ClientAuth = tls.RequireAndVerifyClientCert
		if s.tokens != "" { // one of the two will do
			c.ClientAuth = tls.VerifyClientCertIfGiven
		}
	}
	return []gogrpc.ServerOption{gogrpc.Creds(credentials.NewTLS(c))}, nil
}

// certificates returns those in a file.
func certificates(name string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(name) //nolint:gosec // the user says which file
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate", name)
	}
	return pool, nil
}
