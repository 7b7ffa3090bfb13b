package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Configure prepares the config of a pool for [New]. Call it before
// [pgxpool.NewWithConfig]. It keeps the OnNotice and AfterConnect functions of config,
// and changes no setting of the sessions, so your program can use the pool too.
//
// A server can commit and then only warn that no standby has confirmed the commit.
// Configure lets the store receive that warning.
func Configure(config *pgxpool.Config) {
	notice, after := config.ConnConfig.OnNotice, config.AfterConnect
	config.ConnConfig.OnNotice = func(conn *pgconn.PgConn, n *pgconn.Notice) {
		if s, ok := conn.CustomData()[sessionKey].(*session); ok && isUnconfirmed(n) {
			s.unconfirmed = true
		}
		if notice != nil {
			notice(conn, n)
		}
	}
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		conn.PgConn().CustomData()[sessionKey] = &session{born: time.Now()} //nolint:forbidigo // of the server
		if after != nil {
			return after(ctx, conn)
		}
		return nil
	}
}

// session is what the store knows about a connection. Only the holder of the connection
// uses it.
type session struct {
	born        time.Time
	unconfirmed bool // the server stopped waiting for a standby
}

const sessionKey = "github.com/evolvego/evolve/store/postgres"

// sessionOf returns the session of conn, or nil if its pool was not configured.
func sessionOf(conn *pgx.Conn) *session {
	s, _ := conn.PgConn().CustomData()[sessionKey].(*session)
	return s
}

// isUnconfirmed reports whether n is the warning of SyncRepWaitForLSN, in syncrep.c,
// that the transaction "has already committed locally, but might not have been
// replicated to the standby". Its text is in the language of the server, and its code
// is the same for all warnings.
func isUnconfirmed(n *pgconn.Notice) bool {
	return n.Routine == "SyncRepWaitForLSN"
}

// errUnconfirmed is the error of a write whose commit no standby has confirmed.
var errUnconfirmed = &Error{
	Kind: ErrUnconfirmed, Code: "01000",
	Err: errors.New("the wait for a synchronous standby was cancelled"),
}

// onConn calls do with a connection of pool.
func onConn(ctx context.Context, pool *pgxpool.Pool, do func(conn *pgx.Conn) error) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return confirmed(conn.Conn(), do)
}

// confirmed calls do, and returns errUnconfirmed if a commit of do was not confirmed.
func confirmed(conn *pgx.Conn, do func(conn *pgx.Conn) error) error {
	s := sessionOf(conn)
	if s == nil {
		return do(conn)
	}
	s.unconfirmed = false
	err := do(conn)
	if s.unconfirmed { // even if something has failed after the commit
		return errUnconfirmed
	}
	return err
}

// reading calls do with a connection. If the connection is lost, or its server cannot
// serve, reading calls do again with another one.
func (b *backend) reading(ctx context.Context, do func(ctx context.Context, q querier) error) error {
	return b.serving(ctx, func(err error) bool { return isUnfit(err) || lost(err) },
		func(ctx context.Context, conn *pgx.Conn) error { return do(ctx, conn) })
}

// writing is like reading, for calls that must not happen twice: it calls do again only
// if the server has refused the statement, or never received it.
func (b *backend) writing(ctx context.Context, do func(ctx context.Context, q querier) error) error {
	return b.serving(ctx, func(err error) bool { return isUnfit(err) && isRefusal(err) || pgconn.SafeToRetry(err) },
		func(ctx context.Context, conn *pgx.Conn) error { return do(ctx, conn) })
}

// serving calls do, and closes the connection if its server cannot serve. If again
// allows it, serving then calls do again, as long as the connection was made before the
// call, because a new connection may lead to another server.
func (b *backend) serving(
	ctx context.Context, again func(error) bool, do func(ctx context.Context, conn *pgx.Conn) error,
) error {
	began := time.Now() //nolint:forbidigo // of the server
	for {
		old := false
		err := onConn(ctx, b.pool, func(conn *pgx.Conn) error {
			err := do(ctx, conn)
			s := sessionOf(conn)
			old = s != nil && s.born.Before(began)
			if isUnfit(err) {
				b.giveUp(ctx, conn)
			}
			return err
		})
		if err == nil || !old || ctx.Err() != nil || !again(err) {
			return err
		}
	}
}

// giveUp closes a connection whose server cannot serve, and renews the others, because
// the host name may lead to another server now.
func (b *backend) giveUp(ctx context.Context, conn *pgx.Conn) {
	ended, cancel := context.WithCancel(ctx)
	cancel() // do not wait for the server
	_ = conn.Close(ended)
	b.renew()
}

// renew replaces all connections, at most once a second.
func (b *backend) renew() {
	now, last := time.Now().UnixNano(), b.renewed.Load() //nolint:forbidigo // of the server
	if now-last < int64(time.Second) || !b.renewed.CompareAndSwap(last, now) {
		return
	}
	b.pool.Reset()
	b.news.hangUp()
}

// checkServes asks the server, at most once per silence period, whether it still
// accepts writes, and closes the connections if it does not. After a failover the old
// primary may continue to answer reads, but it never sends notifications.
func (b *backend) checkServes(ctx context.Context) {
	now, last := time.Now().UnixNano(), b.looked.Load() //nolint:forbidigo // of the server
	if !b.writable || now-last < int64(b.silence) || !b.looked.CompareAndSwap(last, now) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, b.bound)
	defer cancel()
	_ = onConn(ctx, b.pool, func(conn *pgx.Conn) error {
		if serves, err := isWritable(ctx, conn); err == nil && !serves {
			b.giveUp(ctx, conn)
		}
		return nil
	})
}

// isWritable reports whether the server accepts writes, that is, whether it is neither
// a replica nor set to read-only.
func isWritable(ctx context.Context, q querier) (writable bool, err error) {
	err = q.QueryRow(ctx, "SELECT current_setting('transaction_read_only') = 'off'").Scan(&writable)
	return writable, err
}
