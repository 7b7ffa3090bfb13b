package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
)

// config holds the settings of a backend.
type config struct {
	schema       schema
	migrate      bool
	logPerTenant bool
	poll         time.Duration // interval between polls of the log if there is no news
	pollOnly     bool
	ownsPool     bool
	quickly      bool // the connections are configured by setUp
	writable     bool // whether the server was writable when the store was opened
}

// Option is an option of [Open] and [New].
type Option interface{ apply(c *config) }

type option func(*config)

func (o option) apply(c *config) { o(c) }

// WithSchema sets the schema that the tables are in. The default is "evolve". A name
// consists of ASCII letters, digits and underscores, does not begin with a digit or
// with "pg_", and has at most 40 bytes. Case matters, and names such as "order" are
// allowed, because the store quotes them. With any other name, opening the store
// returns a *[store.InvalidError].
func WithSchema(name string) Option {
	return option(func(c *config) { c.schema = schema(name) })
}

// WithoutMigrate keeps the store from changing the schema: opening the store then
// changes nothing there, and fails with [ErrNoSchema] if the schema does not exist or
// is old. Use it for programs whose role must not create tables; see [Migrations].
func WithoutMigrate() Option { return option(func(c *config) { c.migrate = false }) }

// WithLogPerTenant gives each tenant its own order of positions, from 1 without a gap,
// instead of one order for all. The appends of one tenant then never wait for those of
// another, and positions reveal nothing about other tenants. The first store to open a
// schema makes this choice for good; opening it with another choice fails with
// [ErrOtherLayout].
func WithLogPerTenant() Option { return option(func(c *config) { c.logPerTenant = true }) }

// WithPollOnly makes subscriptions poll for events at this interval, instead of
// listening for them on a connection of their own. With [Open], the connections also
// use no prepared statements, and the store changes no setting of a session. Use it for
// servers behind a pooler that assigns a connection for each transaction, such as
// PgBouncer with pool_mode=transaction, and for replicas. Subscriptions still learn at
// once of events that this process appends. If every is not positive, opening the store
// returns a *[store.InvalidError].
func WithPollOnly(every time.Duration) Option {
	return option(func(c *config) { c.poll, c.pollOnly = every, true })
}

func newConfig(options []Option) (*config, error) {
	c := &config{schema: "evolve", migrate: true, poll: time.Second}
	for _, o := range options {
		o.apply(c)
	}
	if c.poll <= 0 {
		return nil, invalid("poll", fmt.Sprintf("is %s, not a positive interval", c.poll))
	}
	return c, c.schema.validate()
}

// Open connects to the server at url, brings the schema up to date, and returns the
// store of [store.DefaultTenant]. You must close the store. Open uses ctx only while it
// opens the store.
//
// The url has the format of [pgxpool.ParseConfig], and may name several hosts, of which
// the store uses the primary:
//
//	postgres://user:secret@a:5432,b:5432/database?target_session_attrs=read-write
//
// Unless the url says otherwise, a connection must be made within 10 seconds and is
// replaced after 5 minutes, so that the store follows a name that comes to lead to
// another server.
//
// Open returns an *[Error] if the server or the schema cannot be used, and a
// *[store.InvalidError] if an option is invalid. No error contains a secret from url.
func Open(ctx context.Context, url string, options ...Option) (*Store, error) {
	c, err := newConfig(options)
	if err != nil {
		return nil, err
	}
	c.ownsPool = true
	settings, err := parse(url)
	if err != nil {
		return nil, err
	}
	if c.pollOnly && settings.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		settings.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	if !c.pollOnly {
		settings.AfterConnect = setUp
	}
	Configure(settings)
	pool, err := pgxpool.NewWithConfig(ctx, settings)
	if err != nil {
		return nil, typed(err)
	}
	s, err := open(ctx, pool, c)
	if err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// grace is how long after the context of a call has ended its answer may still arrive.
// A call without an answer costs its connection. Without grace, a server that is slow
// for a moment would force all its clients to reconnect, and become slower.
const grace = 100 * time.Millisecond

// The defaults of Open. Without them, pgx waits for two minutes, keeps a connection for
// pgxLifetime, and waits for a ping without a limit.
const (
	connectTimeout        = 10 * time.Second
	pgxLifetime, lifetime = time.Hour, 5 * time.Minute
	pingTimeout           = 5 * time.Second
)

// parse returns the settings in text.
func parse(text string) (*pgxpool.Config, error) {
	settings, err := pgxpool.ParseConfig(text)
	if err != nil {
		return nil, &Error{Kind: ErrSettings, Err: urlError(text, err)}
	}
	if settings.ConnConfig.ConnectTimeout == 0 {
		settings.ConnConfig.ConnectTimeout = connectTimeout
	}
	if settings.MaxConnLifetime == pgxLifetime {
		settings.MaxConnLifetime, settings.MaxConnLifetimeJitter = lifetime, lifetime/5
	}
	if settings.PingTimeout == 0 {
		settings.PingTimeout = pingTimeout
	}
	settings.ConnConfig.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.DeadlineContextWatcherHandler{Conn: conn.Conn(), DeadlineDelay: grace}
	}
	return settings, nil
}

// urlError returns the part of err that can be shown. It shows nothing of a text that
// does not parse as a URL, because the part that does not parse is often part of the
// password.
func urlError(text string, err error) error {
	const form = "want postgres://user@host:5432/database?sslmode=verify-full, with / ? # @ : % in a password as %2F %3F %23 %40 %3A %25"
	isURL := strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://")
	if !isURL {
		return errors.New("the connection string cannot be parsed: " + form)
	}
	u, parseErr := url.Parse(text)
	if parseErr != nil {
		return errors.New("the URL cannot be parsed: " + form)
	}
	query, queryErr := url.ParseQuery(u.RawQuery)
	if queryErr != nil {
		return errors.New("the settings after the ? of the URL cannot be parsed: " + form)
	}
	reason := errors.Unwrap(err)
	if reason == nil {
		return errors.New("the URL cannot be used: " + form)
	}
	said := reason.Error()
	password, _ := u.User.Password()
	for _, secret := range []string{password, query.Get("password"), query.Get("sslpassword")} {
		if secret != "" && strings.Contains(said, secret) {
			return errors.New("the URL cannot be used: " + form)
		}
	}
	return fmt.Errorf("the URL cannot be used: %s", said)
}

// New is like [Open] with your own pool, which must not be nil. Make the pool from a
// config that [Configure] has prepared, and close it after the store. Appends use up to
// two of its connections at once, and subscriptions permanently take one out of the
// pool to listen on.
//
// The default isolation level of the sessions must be read committed. An append that
// runs alone takes half as long again as with Open, unless the sessions have the
// settings enable_seqscan = off, enable_sort = off, plan_cache_mode =
// force_generic_plan and a lock_timeout, for instance as RuntimeParams. Also, a
// connection is lost when the context of its call ends, unless the
// BuildContextWatcherHandler of the config gives the answer some time, as Open does
// with 100 ms. Set MaxConnLifetime to a few minutes, so that the store follows a name
// that comes to lead to another server.
func New(ctx context.Context, pool *pgxpool.Pool, options ...Option) (*Store, error) {
	c, err := newConfig(options)
	if err != nil {
		return nil, err
	}
	return open(ctx, pool, c)
}

func open(ctx context.Context, pool *pgxpool.Pool, c *config) (*Store, error) {
	err := check(ctx, pool, c)
	if err == nil {
		err = prepare(ctx, pool, c)
	}
	if err != nil {
		if ended := ctx.Err(); ended != nil {
			return nil, ended
		}
		return nil, typed(err)
	}
	return newBackend(pool, c), nil
}
