package postgres

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
)

// config is the settings of a backend.
type config struct {
	schema       string
	migrate      bool
	logPerTenant bool
	poll         time.Duration // between looks at the log, if not told of news
	pollOnly     bool
	ownsPool     bool
	quickly      bool // the connections are as setUp makes them
}

// Option is a setting of [Open] and [New].
type Option interface{ apply(c *config) }

type option func(*config)

func (o option) apply(c *config) { o(c) }

// WithSchema sets the schema that the tables are in. The default is "evolve". It must
// be a lower-case name of letters, digits and underscores, of at most 40 bytes;
// WithSchema panics if it is not.
func WithSchema(name string) Option {
	if !regexp.MustCompile(`^[a-z_][a-z0-9_]{0,39}$`).MatchString(name) {
		panic(fmt.Sprintf("postgres: WithSchema(%q): not a plain lower-case name", name))
	}
	return option(func(c *config) { c.schema = name })
}

// WithoutMigrate leaves the schema as it is: opening a store then changes nothing
// there, and fails with [ErrNoSchema] if it is not there or an old one. It is for
// programs whose role must not create tables; see [Migrations].
func WithoutMigrate() Option { return option(func(c *config) { c.migrate = false }) }

// WithLogPerTenant gives each tenant an order of positions of its own, from 1 without
// a gap, in place of one order for all. The appends of tenants then never wait
// for each other, and positions tell nothing of the others. It is chosen when a
// schema is opened first, and for good; opening it otherwise fails with
// [ErrOtherLayout].
func WithLogPerTenant() Option { return option(func(c *config) { c.logPerTenant = true }) }

// WithPollOnly makes subscriptions look for what is new every so often, and not
// listen for it on a connection of their own. With [Open] the connections use no
// prepared statements either. It is for servers behind a pooler that lends
// connections for single transactions, such as PgBouncer, and for replicas that
// are read only. What this process appends is still told at once. It panics if
// every is not positive.
func WithPollOnly(every time.Duration) Option {
	if every <= 0 {
		panic("postgres: WithPollOnly of no time")
	}
	return option(func(c *config) { c.poll, c.pollOnly = every, true })
}

func newConfig(options []Option) *config {
	c := &config{schema: "evolve", migrate: true, poll: time.Second}
	for _, o := range options {
		o.apply(c)
	}
	return c
}

// Open connects to the server that url names, brings the schema up to date, and
// returns the store of [store.DefaultTenant]. The url is as
// [github.com/jackc/pgx/v5/pgxpool.ParseConfig] has it. It is an *[Error] if the
// server cannot be used, or the schema. Ctx is for opening only. The store must be
// closed.
func Open(ctx context.Context, url string, options ...Option) (*Store, error) {
	c := newConfig(options)
	c.ownsPool = true
	settings, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err) // pgx leaves the password out
	}
	if c.pollOnly && settings.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		settings.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	if !c.pollOnly {
		settings.AfterConnect = setUp
	}
	settings.ConnConfig.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.DeadlineContextWatcherHandler{Conn: conn.Conn(), DeadlineDelay: grace}
	}
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

// setUp has a connection read by the indexes, in their order, and plan each statement once:
// what it has planned while there were few events it keeps when there are many.
func setUp(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "SET enable_seqscan = off; SET enable_bitmapscan = off; SET plan_cache_mode = force_generic_plan; "+
		"SELECT set_config('lock_timeout', '10s', false) WHERE current_setting('lock_timeout') = '0'")
	return err
}

// isSetUp reports whether the connections of pool are as setUp makes them.
func isSetUp(ctx context.Context, pool *pgxpool.Pool) (is bool, err error) {
	if pool.Config().ConnConfig.DefaultQueryExecMode != pgx.QueryExecModeCacheStatement {
		return false, nil
	}
	err = pool.QueryRow(ctx, "SELECT current_setting('enable_seqscan') = 'off' AND "+
		"current_setting('plan_cache_mode') = 'force_generic_plan' AND current_setting('lock_timeout') <> '0'").Scan(&is)
	return is, err
}

// New is [Open] with a pool that the caller made, and closes after the store. It must
// not be nil. Appends use up to two connections of it at once, and a subscription
// takes one out for good, to listen on. An append that is alone takes half as long
// again as with Open, unless the connections have the settings enable_seqscan = off,
// plan_cache_mode = force_generic_plan and a lock_timeout, for instance as
// RuntimeParams. Nor does a connection of it outlive a call whose context ends, unless
// its BuildContextWatcherHandler gives the answer some time, as that of Open gives it
// 100 ms.
func New(ctx context.Context, pool *pgxpool.Pool, options ...Option) (*Store, error) {
	return open(ctx, pool, newConfig(options))
}

func open(ctx context.Context, pool *pgxpool.Pool, c *config) (*Store, error) {
	err := prepare(ctx, pool, c)
	if err == nil && !c.pollOnly {
		c.quickly, err = isSetUp(ctx, pool)
	}
	if err != nil {
		if ended := ctx.Err(); ended != nil {
			return nil, ended
		}
		return nil, typed(err)
	}
	return newBackend(pool, c), nil //nolint:contextcheck // it outlives ctx
}
