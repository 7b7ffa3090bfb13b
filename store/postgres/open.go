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

// config is the settings of a backend.
type config struct {
	schema       schema
	migrate      bool
	logPerTenant bool
	poll         time.Duration // between looks at the log, if not told of news
	pollOnly     bool
	ownsPool     bool
	quickly      bool // the connections are as setUp makes them
	writable     bool // the server was, when the store was opened
}

// Option is a setting of [Open] and [New].
type Option interface{ apply(c *config) }

type option func(*config)

func (o option) apply(c *config) { o(c) }

// WithSchema sets the schema that the tables are in. The default is "evolve". A name
// has letters, digits and underscores of ASCII, does not begin with a digit or with
// "pg_", and has at most 40 bytes. Upper case counts, and names such as "order" are
// allowed, because the store quotes them. Opening a store with another name is a
// *[store.InvalidError].
func WithSchema(name string) Option {
	return option(func(c *config) { c.schema = schema(name) })
}

// WithoutMigrate leaves the schema as it is: opening a store then changes nothing
// there, and fails with [ErrNoSchema] if the schema does not exist or is old. It is for
// programs whose role must not create tables; see [Migrations].
func WithoutMigrate() Option { return option(func(c *config) { c.migrate = false }) }

// WithLogPerTenant gives each tenant an order of positions of its own, from 1 without
// a gap, instead of one order for all. The appends of one tenant then never wait for
// those of another, and positions tell nothing about the others. Whoever opens a schema
// first chooses, for good; opening it otherwise fails with [ErrOtherLayout].
func WithLogPerTenant() Option { return option(func(c *config) { c.logPerTenant = true }) }

// WithPollOnly makes subscriptions look for events at this interval, instead of
// listening for them on a connection of their own. With [Open] the connections use no
// prepared statements either, and the store changes no setting of a session. It is for
// servers behind a pooler that lends connections for single transactions, such as
// PgBouncer with pool_mode=transaction, and for replicas. Subscriptions still learn at
// once of what this process appends. If every is not positive, opening the store is a
// *[store.InvalidError].
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

// Open connects to the server that url names, brings the schema up to date, and
// returns the store of [store.DefaultTenant]. The store must be closed. Ctx is for
// opening only.
//
// The url is one that [pgxpool.ParseConfig] takes, and may name several hosts, of
// which the store uses the primary:
//
//	postgres://user:secret@a:5432,b:5432/database?target_session_attrs=read-write
//
// Where the url does not say otherwise, a connection must be made within 10 seconds
// and is replaced after 5 minutes, so that the store follows a name that leads to
// another server.
//
// It is an *[Error] if the server or the schema cannot be used, and a
// *[store.InvalidError] if an option is invalid. No error has a secret of url in it.
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

// grace is how long after the context of a call has ended its answer may still come. A
// connection without one is lost: were that so at once, then a server that is slow for a
// moment would have all its clients connect anew, and be slower.
const grace = 100 * time.Millisecond

// The defaults of Open; without them pgx waits for two minutes, keeps a connection for
// pgxLifetime, and waits for a ping without end.
const (
	connectTimeout        = 10 * time.Second
	pgxLifetime, lifetime = time.Hour, 5 * time.Minute
	pingTimeout           = 5 * time.Second
)

// parse returns the settings that text names.
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

// urlError returns what of err can be shown. What does not parse as a URL is not shown at
// all: the part that is in the way is often one of the password.
func urlError(text string, err error) error {
	const form = "want postgres://user@host:5432/database?sslmode=verify-full, with / ? # @ : % in a password as %2F %3F %23 %40 %3A %25"
	isURL := strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://")
	if !isURL {
		return errors.New("the connection string cannot be read: " + form)
	}
	u, parseErr := url.Parse(text)
	if parseErr != nil {
		return errors.New("the URL cannot be read: " + form)
	}
	query, queryErr := url.ParseQuery(u.RawQuery)
	if queryErr != nil {
		return errors.New("the settings after the ? of the URL cannot be read: " + form)
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

// New is [Open] with a pool that the caller made from a config that [Configure] has
// prepared, and closes after the store. It must not be nil. Appends use up to two of
// its connections at once, and a subscription takes one out for good, to listen on.
//
// The sessions must have the isolation level read committed as their default. An
// append that is alone takes half as long again as with Open, unless the sessions
// have the settings enable_seqscan = off, enable_sort = off, plan_cache_mode =
// force_generic_plan and a lock_timeout, for instance as RuntimeParams. Nor does a connection outlive a call
// whose context ends, unless the BuildContextWatcherHandler of the config gives the
// answer some time, as that of Open gives it 100 ms. Set MaxConnLifetime to a few
// minutes, so that the store follows a name that leads to another server.
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
