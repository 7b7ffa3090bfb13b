// Package open opens the store that a URL names, for commands and programs whose
// users choose the store. It imports every driver: a program that knows its store
// opens it by its own package.
//
//	memory:                              gone at the end
//	sqlite:bank.db                       one file, see package sqlite
//	sqlite:bank.db?sync=normal           without an fsync for each commit
//	postgres://user@host:5432/database   see package postgres
//	grpc://127.0.0.1:50051?tenant=acme   a server of eventstore.v1, see package grpc
//	grpcs://events.example.org:443       the same over TLS; ca=FILE, cert=FILE and key=FILE
//	                                     are whom to trust and what to show
//
// A server of eventstore.v1 that asks for a token gets that in token-file=FILE. A
// URL of PostgreSQL may have schema=NAME, poll=1s for a pooler that cannot listen,
// log-per-tenant=true, and what libpq knows.
//
// Each may have tenant=ID; without one it is [store.DefaultTenant]'s.
package open

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/sqlite"
)

// ErrURL is what the error of a URL that names no store matches: of a scheme that
// there is not, with a part that is missing, or with a setting that is not known.
var ErrURL = errors.New("open: not the URL of a store")

// Backend is what every store that can be opened has. The store of a tenant that
// [store.Tenants] returns is one too, and Close of any of them closes all.
// More capabilities are found by type assertion.
type Backend interface {
	store.Store
	store.Log
	store.Tenants
	io.Closer
}

var (
	_ Backend = (*memory.Store)(nil)
	_ Backend = (*sqlite.Store)(nil)
	_ Backend = (*postgres.Store)(nil)
	_ Backend = (*grpc.Store)(nil)
)

// Store opens the store at rawURL, which must be closed. A URL that names none is
// an error that matches ErrURL; other errors are the store's. No error has the
// password of the URL in it.
func Store(ctx context.Context, rawURL string) (Backend, error) {
	scheme, rest, found := strings.Cut(rawURL, ":")
	driver, known := drivers()[scheme]
	if !found || !known {
		return nil, fmt.Errorf("%w: %q: begin it with one of %s",
			ErrURL, redact(rawURL), strings.Join(slices.Sorted(maps.Keys(drivers())), ":, ")+":")
	}
	rest, query, _ := strings.Cut(rest, "?")
	settings, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrURL, redact(rawURL), err)
	}
	a := address{rest: rest, settings: settings}
	a.tenant = a.take("tenant", store.DefaultTenant)
	if err := store.ValidateTenant(a.tenant); err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrURL, redact(rawURL), err)
	}
	backend, err := driver(ctx, &a)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", redact(rawURL), err)
	}
	return ofTenant(backend, a.tenant)
}

// ofTenant returns the store of tenant in backend.
func ofTenant(backend Backend, tenant string) (Backend, error) {
	st, err := backend.Tenant(tenant)
	if err != nil {
		return nil, errors.Join(err, backend.Close())
	}
	of, ok := st.(Backend)
	if !ok {
		return nil, errors.Join(fmt.Errorf("open: %T is not a %T", st, of), backend.Close())
	}
	return of, nil
}

// address is a URL, taken apart.
type address struct {
	rest     string // what is between the scheme and the settings
	tenant   string
	settings url.Values // those that nobody has taken yet
}

// take returns the setting called name, or otherwise, and marks it as known.
func (a *address) take(name, otherwise string) string {
	if !a.settings.Has(name) {
		return otherwise
	}
	value := a.settings.Get(name)
	a.settings.Del(name)
	return value
}

// unknown returns an error if there are settings that nobody has taken.
func (a *address) unknown() error {
	if len(a.settings) == 0 {
		return nil
	}
	return fmt.Errorf("%w: unknown setting %s", ErrURL, strings.Join(slices.Sorted(maps.Keys(a.settings)), ", "))
}

// drivers returns what opens the stores of each scheme.
func drivers() map[string]func(context.Context, *address) (Backend, error) {
	return map[string]func(context.Context, *address) (Backend, error){
		"memory":     openMemory,
		"sqlite":     openSQLite,
		"postgres":   openPostgres,
		"postgresql": openPostgres,
		"grpc":       openPlain,
		"grpcs":      openTLS,
	}
}

func openMemory(_ context.Context, a *address) (Backend, error) {
	if a.rest != "" {
		return nil, fmt.Errorf("%w: a store in memory has no name", ErrURL)
	}
	return memory.New(), a.unknown()
}

func openSQLite(_ context.Context, a *address) (Backend, error) {
	path, err := url.PathUnescape(a.rest)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURL, err)
	}
	if host, ok := strings.CutPrefix(path, "//"); ok {
		if !strings.HasPrefix(host, "/") {
			return nil, fmt.Errorf("%w: a file is not on a host: write sqlite:%s", ErrURL, host)
		}
		path = host
	}
	if path == "" {
		return nil, fmt.Errorf("%w: the name of the file is missing", ErrURL)
	}
	var options []sqlite.Option
	switch sync := a.take("sync", "full"); sync {
	case "full":
	case "normal":
		options = append(options, sqlite.WithNormalSync())
	default:
		return nil, fmt.Errorf("%w: sync is full or normal, not %q", ErrURL, sync)
	}
	if err := a.unknown(); err != nil {
		return nil, err
	}
	st, err := sqlite.Open(path, options...) //nolint:contextcheck // opening a file takes none
	if err != nil {
		return nil, err // not st, which is a nil that would not look like one
	}
	return st, nil
}

// redact returns rawURL without its password.
func redact(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		scheme, _, _ := strings.Cut(rawURL, ":")
		return scheme + ":…"
	}
	return u.Redacted()
}
