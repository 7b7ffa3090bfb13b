package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// setUp makes a session use the indexes, and plan each statement once, because a plan
// that was made for few events is kept when there are many. While there are few events,
// an index that only begins with the tenant, followed by a sort, costs no more than the
// index with the right order, so setUp also disables sorts. A statement that still
// needs a scan or a sort then has a cost at which the server would compile it, which
// takes a quarter of a second each time, so setUp disables that too. It also sets what
// the role or the database may have set to other values. Behind a pooler it changes
// nothing, because the session may go to another program next.
func setUp(ctx context.Context, conn *pgx.Conn) error {
	const set = `SELECT set_config(name, value, false) FROM (VALUES
('enable_seqscan', 'off'), ('enable_bitmapscan', 'off'), ('enable_sort', 'off'), ('jit', 'off'),
('plan_cache_mode', 'force_generic_plan'),
('default_transaction_isolation', 'read committed'), ('standard_conforming_strings', 'on'),
('lock_timeout', CASE current_setting('lock_timeout') WHEN '0' THEN '10s' ELSE current_setting('lock_timeout') END)
) s (name, value) WHERE pg_backend_pid() = %d`
	_, err := conn.PgConn().Exec(ctx, fmt.Sprintf(set, conn.PgConn().PID())).ReadAll()
	return err
}

// check makes sure that a store can work with the server and the connections, and sets
// the fields of c that depend on them.
func check(ctx context.Context, pool *pgxpool.Pool, c *config) error {
	return onConn(ctx, pool, func(conn *pgx.Conn) error {
		if sessionOf(conn) == nil {
			return unfit("the pool was not configured: call postgres.Configure with its config before pgxpool.NewWithConfig")
		}
		if !c.pollOnly {
			if err := checkPooler(ctx, pool, conn); err != nil {
				return err
			}
		}
		return checkSettings(ctx, conn, c)
	})
}

func unfit(format string, args ...any) error {
	return &Error{Kind: ErrSettings, Err: fmt.Errorf(format, args...)}
}

func checkSettings(ctx context.Context, conn *pgx.Conn, c *config) error {
	const query = `SELECT current_database(), current_setting('server_encoding'), current_setting('client_encoding'),
current_setting('default_transaction_isolation'), current_setting('standard_conforming_strings'),
current_setting('transaction_read_only') = 'off', current_setting('enable_seqscan') = 'off' AND
current_setting('enable_sort') = 'off' AND
current_setting('plan_cache_mode') = 'force_generic_plan' AND current_setting('lock_timeout') <> '0'`
	var database, encoding, client, isolation, standard string
	var quickly bool
	err := conn.QueryRow(ctx, query, pgx.QueryExecModeExec).Scan(&database, &encoding, &client, &isolation, &standard, &c.writable, &quickly)
	if err != nil {
		return err
	}
	c.quickly = quickly && !c.pollOnly && conn.Config().DefaultQueryExecMode == pgx.QueryExecModeCacheStatement
	const how = "set it with ALTER ROLE or ALTER DATABASE, or in the options of the URL"
	switch {
	case encoding != "UTF8":
		return unfit("database %q has the encoding %s, not UTF8: create it with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
			database, encoding)
	case client != "UTF8":
		return unfit("client_encoding is %s, not UTF8: %s", client, how)
	case isolation != "read committed":
		return unfit("default_transaction_isolation is %q, not \"read committed\": %s", isolation, how)
	case standard != "on":
		return unfit("standard_conforming_strings is %s, not on: %s", standard, how)
	}
	return nil
}

// checkPooler returns ErrPooler if conn belongs to a pooler that assigns sessions for
// single transactions. Every pooler gives its clients a process id that is not the
// server's. Only behind such a pooler can two clients have the same session in turns,
// or one client have two sessions.
func checkPooler(ctx context.Context, pool *pgxpool.Pool, conn *pgx.Conn) error {
	first, err := processID(ctx, conn)
	if err != nil || first == conn.PgConn().PID() {
		return err
	}
	other, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer other.Close(context.WithoutCancel(ctx))
	const rounds = 8 // other clients of the pooler may take the session in between
	for range rounds {
		shared, err := meet(ctx, conn, other)
		if err != nil {
			return err
		}
		if shared {
			return &Error{Kind: ErrPooler, Err: errors.New(
				"sessions would be shared with other programs: open the store with WithPollOnly (poll=1s in a URL), or connect directly to the server")}
		}
	}
	return nil
}

// meet reports whether other gets the session that conn had, or conn gets a different
// session than before.
func meet(ctx context.Context, conn, other *pgx.Conn) (met bool, err error) {
	first, err := processID(ctx, conn)
	if err != nil {
		return false, err
	}
	tx, err := other.Begin(ctx)
	if err != nil {
		return false, err
	}
	second, err := processID(ctx, other)
	if err != nil {
		return false, err
	}
	if err := tx.Rollback(ctx); err != nil || first == second {
		return first == second, err
	}
	again, err := processID(ctx, conn)
	return again != first, err
}

// processID returns the process id of the session that answers.
func processID(ctx context.Context, conn *pgx.Conn) (id uint32, err error) {
	results, err := conn.PgConn().Exec(ctx, "SELECT pg_backend_pid()").ReadAll()
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscan(string(results[0].Rows[0][0]), &id)
	return id, err
}
