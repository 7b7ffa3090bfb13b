// Package open opens the store that a URL names, for commands and programs whose users
// choose the store. It imports every driver: a program that knows its store opens it with
// the store's own package.
//
//	memory:                              in memory, ends with the program
//	sqlite:bank.db                       one file, see package sqlite
//	sqlite:bank.db?sync=normal           no fsync for each commit
//	postgres://user@host:5432/database   see package postgres
//	nats://user@a:4222,b:4222,c:4222     NATS JetStream, see package jetstream
//	grpc://127.0.0.1:50051?tenant=acme   a server of eventstore.v1, see package grpc
//	grpcs://events.example.org:443       the same over TLS; ca=FILE names the CAs to trust,
//	                                     cert=FILE and key=FILE the certificate to show
//
// For a server of eventstore.v1 that requires a token, token-file=FILE names the file with
// the token. A URL of PostgreSQL accepts schema=NAME, poll=1s for a pooler that assigns a
// connection for each transaction, log-per-tenant=true, and the parameters of libpq.
//
// A URL of NATS may name the log: nats://host:4222/orders. It accepts replicas=1 for a
// single server, leader-reads=true, ids-for=720h, tls=true, ca=FILE for the CAs to trust, and
// creds=FILE for the credentials of the user.
//
// Each URL accepts tenant=ID; the default is [store.DefaultTenant].
//
// Special characters are percent-encoded, as in libpq: %20 is a space, and + is a plus sign.
package open

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc"
	"github.com/evolvego/evolve/store/jetstream"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/sqlite"
)

// ErrURL is matched by the error for a URL that does not name a store: its scheme is
// unknown, a part is missing, or a setting is unknown or invalid.
var ErrURL = errors.New("open: not the URL of a store")

// Backend is what every store that can be opened has. The stores of tenants that
// [store.Tenants] returns also implement it, and Close of any of them closes all. Find
// more capabilities by type assertion.
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
	_ Backend = (*jetstream.Store)(nil)
	_ Backend = (*grpc.Store)(nil)
)

// Store opens the store at rawURL, and creates it if it does not exist: the file of
// SQLite, the tables of PostgreSQL, the streams of NATS. You must close the store. For
// a URL that does not name a store, the error matches ErrURL; other errors come from
// the store. No error reveals a secret of the URL.
func Store(ctx context.Context, rawURL string) (Backend, error) {
	return openStore(ctx, rawURL, false)
}

// ReadOnly is [Store] for a program that only reads: it creates and changes nothing. It
// returns an error if the file or schema does not exist.
func ReadOnly(ctx context.Context, rawURL string) (Backend, error) {
	return openStore(ctx, rawURL, true)
}

func openStore(ctx context.Context, rawURL string, readOnly bool) (Backend, error) {
	a, err := parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrURL, Redacted(rawURL), err)
	}
	a.readOnly = readOnly
	backend, err := drivers()[a.scheme](ctx, a)
	if err != nil {
		return nil, a.failed(err)
	}
	return ofTenant(backend, a.tenant)
}

// mistake is what is wrong with a URL.
type mistake string

func (m mistake) Error() string { return string(m) }

func mistakef(format string, args ...any) error { return mistake(fmt.Sprintf(format, args...)) }

// failed returns the caller's error for err, the reason why the store at a cannot be
// opened.
func (a *address) failed(err error) error {
	shown := a.redacted()
	if _, ok := errors.AsType[*pgconn.ParseConfigError](err); ok {
		text := err.Error() // has the whole URL in quotes, and then the reason
		return fmt.Errorf("%w: %s: %s", ErrURL, shown, text[strings.LastIndex(text, "`")+1:])
	}
	if _, ok := errors.AsType[mistake](err); ok || errors.Is(err, store.ErrInvalid) {
		return fmt.Errorf("%w: %s: %w", ErrURL, shown, err)
	}
	return fmt.Errorf("open %s: %w", shown, err)
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

// drivers returns the functions that open the stores of each scheme.
func drivers() map[string]func(context.Context, *address) (Backend, error) {
	return map[string]func(context.Context, *address) (Backend, error){
		"memory":     openMemory,
		"sqlite":     openSQLite,
		"postgres":   openPostgres,
		"postgresql": openPostgres,
		"nats":       openNATS,
		"grpc":       openPlain,
		"grpcs":      openTLS,
	}
}

// schemes returns the schemes of drivers, for a message.
func schemes() string {
	return strings.Join(slices.Sorted(maps.Keys(drivers())), ":, ") + ":"
}

func openMemory(_ context.Context, a *address) (Backend, error) {
	if a.rest != "" {
		return nil, mistake("a store in memory has no name")
	}
	return memory.New(), a.unknown()
}
