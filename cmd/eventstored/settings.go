package main

import (
	"flag"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/open"
)

// defaultListen is the default address of the server.
const defaultListen = "127.0.0.1:50051"

// settings are the settings of serve.
type settings struct {
	listen, url, admin  string
	listenBy            string // the setting that listen comes from
	cert, key, clientCA string
	tokens              string
	trustTenants        bool
	largeEvents         bool
	audit               string // a tenant
	pprof               bool
	traces              bool // the environment says that spans are sent
	logLevel            slog.Level
}

func (s *settings) add(f *flag.FlagSet) {
	f.StringVar(&s.listen, "listen", defaultListen, "the `address` to serve on (env BIND_ADDR)")
	f.StringVar(&s.url, "store", "", "the `URL` of the store to serve (env BACKEND and DATABASE_URL; default "+defaultStore+")")
	f.StringVar(&s.cert, "tls-cert", "", "serve TLS with the certificate chain in `FILE` (PEM)")
	f.StringVar(&s.key, "tls-key", "", "the private key of -tls-cert, in `FILE` (PEM)")
	f.StringVar(&s.clientCA, "client-ca", "", "accept client certificates signed by a CA in `FILE`; the subject's O= values are the tenants the client may use")
	f.StringVar(&s.tokens, "tokens", "", "accept the bearer tokens in `FILE`, one line each: NAME TENANT[,TENANT…] SHA256 [RIGHT]; * means every tenant; RIGHT is the right in the console: read, data or act (see hash-token)")
	f.BoolVar(&s.trustTenants, "trust-tenants", false, "accept every client for every tenant, even on an address that other machines can reach (env TRUST_TENANTS=true)")
	f.BoolVar(&s.largeEvents, "large-events", false, "accept events that clients in other languages cannot receive: over 4 MiB, up to 16 MiB")
	f.StringVar(&s.admin, "admin", "", "serve the console, /metrics, /livez, /readyz and /healthz over HTTP on this `address`")
	f.StringVar(&s.audit, "audit", "", "record each action in the console in the stream Console/actions of this `TENANT`, and refuse actions that cannot be recorded")
	f.BoolVar(&s.pprof, "pprof", false, "serve profiles under /debug/pprof/ on any -admin address, not only on a loopback one; heap profiles contain event data")
	f.TextVar(&s.logLevel, "log", slog.LevelInfo, "the lowest `level` to log: debug, info, warn or error; debug logs every call")
}

// serveSettings returns the settings. Flags override the environment.
func serveSettings(command string, args []string, e env) (settings, error) {
	var s settings
	f := flags(command)
	s.add(f)
	if _, err := parseFlags(e, f, args, 0, 0); err != nil {
		return s, err
	}
	s.listenBy = "-listen"
	if bind := e.getenv("BIND_ADDR"); bind != "" && !isSet(f, "listen") {
		s.listen, s.listenBy = bind, "BIND_ADDR"
	}
	if trust := e.getenv("TRUST_TENANTS"); trust != "" && !isSet(f, "trust-tenants") {
		var err error
		if s.trustTenants, err = strconv.ParseBool(trust); err != nil {
			return s, fmt.Errorf("%w: TRUST_TENANTS is %q: use true or false", errUsage, trust)
		}
	}
	if s.url == "" {
		var err error
		if s.url, err = storeFromEnv(e.getenv("BACKEND"), e.getenv("DATABASE_URL")); err != nil {
			return s, err
		}
	}
	var err error
	if s.traces, err = tracesWanted(e.getenv); err != nil {
		return s, err
	}
	err = s.check()
	return s, err
}

func orDefault(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// isSet reports whether the flag called name was set.
func isSet(f *flag.FlagSet, name string) (set bool) {
	f.Visit(func(given *flag.Flag) { set = set || given.Name == name })
	return set
}

// storeFromEnv returns the URL of the store from the environment variables.
func storeFromEnv(backend, database string) (string, error) {
	schemes := map[string][]string{"sqlite": {"sqlite:"}, "postgres": {"postgres:", "postgresql:"}}[backend]
	switch {
	case backend == "memory":
		return "memory:", nil
	case backend != "" && schemes == nil:
		return "", fmt.Errorf("%w: BACKEND is %s: use memory, sqlite or postgres", errUsage, shown(backend))
	case backend == "postgres" && database == "":
		return "", fmt.Errorf("%w: BACKEND is postgres, but DATABASE_URL is not set", errUsage)
	case backend != "" && database != "" && !slices.ContainsFunc(schemes, func(s string) bool { return strings.HasPrefix(database, s) }):
		return "", fmt.Errorf("%w: BACKEND is %s, but DATABASE_URL does not begin with %s", errUsage, backend, strings.Join(schemes, " or "))
	}
	return orDefault(database, defaultStore), nil
}

// check returns an error that names a wrong setting and says why it is wrong.
func (s *settings) check() error {
	if err := s.checkAddress(s.listenBy, s.listen); err != nil {
		return err
	}
	if s.admin != "" {
		if err := s.checkAddress("-admin", s.admin); err != nil {
			return err
		}
	}
	switch {
	case (s.cert == "") != (s.key == ""):
		return fmt.Errorf("%w: -tls-cert and -tls-key go together", errUsage)
	case s.clientCA != "" && s.cert == "":
		return fmt.Errorf("%w: -client-ca needs -tls-cert and -tls-key", errUsage)
	case s.audit != "" && s.admin == "":
		return fmt.Errorf("%w: -audit needs -admin", errUsage)
	case s.audit != "" && store.ValidateTenant(s.audit) != nil:
		return fmt.Errorf("%w: -audit: %w", errUsage, store.ValidateTenant(s.audit))
	case s.pprof && s.admin == "":
		return fmt.Errorf("%w: -pprof needs -admin", errUsage)
	}
	return nil
}

// checkAddress returns an error if the address in a setting is wrong.
func (s *settings) checkAddress(by, address string) error {
	host, _, err := net.SplitHostPort(address)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %s: %w", errUsage, by, err)
	case loopback(host):
		return nil
	case s.tokens != "" && s.cert == "":
		return fmt.Errorf("%w: -tokens without -tls-cert on %s, where others could read the tokens", errUsage, address)
	case s.tokens == "" && s.clientCA == "" && !s.trustTenants:
		return fmt.Errorf("%w: %s %s can be reached from other machines, and without -tokens or -client-ca every client may use every tenant: "+
			"set one of them, or -trust-tenants", errUsage, by, address)
	}
	return nil
}

// loopback reports whether only this machine can reach host.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// open reports whether clients need no credentials.
func (s *settings) open() bool { return s.tokens == "" && s.clientCA == "" }

// shownStore returns the URL of the store without its secrets.
func (s *settings) shownStore() string { return open.Redacted(s.url) }
