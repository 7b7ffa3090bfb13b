package postgrestest

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Standby starts a physical replica of s for tb, with this name and with settings like
// those of [Start].
func (s *Server) Standby(tb testing.TB, name string, settings ...string) *Server {
	tb.Helper()
	standby, err := startWith(settings, func(r *Server) *exec.Cmd { return r.backup(s, name) })
	if err != nil {
		tb.Fatal(err)
	}
	standby.endWith(tb)
	return standby
}

// backup returns the command that makes s a replica of primary with this name.
func (s *Server) backup(primary *Server, name string) *exec.Cmd {
	return s.command(filepath.Join(s.bin, "pg_basebackup"), "--no-sync", "--checkpoint=fast", "--write-recovery-conf",
		"--dbname", primary.conninfo(name), "--pgdata", s.data())
}

// Rejoin restarts a server that was killed, at the same address, as a replica of
// primary with this name. Its previous data is gone.
func (s *Server) Rejoin(tb testing.TB, name string, primary *Server) {
	tb.Helper()
	if err := os.RemoveAll(s.data()); err != nil {
		tb.Fatal(err)
	}
	if out, err := s.backup(primary, name).CombinedOutput(); err != nil {
		tb.Fatalf("pg_basebackup: %v: %s", err, out)
	}
	s.Restart(tb)
}

// conninfo returns the parameters with which a replica called name connects to s.
func (s *Server) conninfo(name string) string {
	return "host=" + s.dir + " user=postgres application_name=" + name
}

// Cut stops the replication of s, which must be a replica.
func (s *Server) Cut(tb testing.TB) {
	tb.Helper()
	s.Set(tb, "primary_conninfo", "")
}

// Follow makes s, a replica called name, replicate from another primary.
func (s *Server) Follow(tb testing.TB, name string, primary *Server) {
	tb.Helper()
	s.Set(tb, "primary_conninfo", primary.conninfo(name))
}

// Set changes a setting of the server, for new and old sessions.
func (s *Server) Set(tb testing.TB, name, value string) {
	tb.Helper()
	for _, query := range []string{
		"ALTER SYSTEM SET " + name + " = '" + strings.ReplaceAll(value, "'", "''") + "'", "SELECT pg_reload_conf()",
	} {
		if err := execute(context.Background(), s.url(), query); err != nil {
			tb.Fatalf("%s: %v", query, err)
		}
	}
}

// Promote makes a replica the primary, and returns when it is.
func (s *Server) Promote(tb testing.TB) {
	tb.Helper()
	if err := execute(context.Background(), s.url(), "SELECT 1 / pg_promote(true, 60)::int"); err != nil {
		tb.Fatalf("promote: %v", err)
	}
}

// Received returns how much of the primary's log a replica has received, in bytes.
func (s *Server) Received(tb testing.TB) (bytes int64) {
	tb.Helper()
	return s.number(tb, "SELECT coalesce(pg_last_wal_receive_lsn() - '0/0', 0)::bigint")
}

// Sent returns how much of its log a primary has written, in bytes.
func (s *Server) Sent(tb testing.TB) (bytes int64) {
	tb.Helper()
	return s.number(tb, "SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint")
}

func (s *Server) number(tb testing.TB, query string) (n int64) {
	tb.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.url())
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close(ctx)
	if err := conn.QueryRow(ctx, query).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

// Kill ends the server with kill -9. The processes that serve its clients end when they
// notice.
func (s *Server) Kill(tb testing.TB) {
	tb.Helper()
	if err := s.end("crash"); err != nil {
		tb.Fatal(err)
	}
}

// Socket returns the path of the socket that the server listens on.
func (s *Server) Socket() string { return filepath.Join(s.dir, ".s.PGSQL.5432") }

// At returns a URL of the same database as dbURL on all of servers; clients use the
// first server that answers.
func At(tb testing.TB, dbURL string, servers ...*Server) string {
	tb.Helper()
	u, err := url.Parse(dbURL)
	if err != nil {
		tb.Fatal(err)
	}
	hosts := make([]string, len(servers))
	for i, s := range servers {
		hosts[i] = s.dir
	}
	q := u.Query()
	q.Set("host", strings.Join(hosts, ","))
	u.RawQuery = q.Encode()
	return u.String()
}

// PgBouncer starts a PgBouncer for tb, in the pool mode "session" or "transaction", and
// returns the URL of the database at dbURL through it. Without a pgbouncer on this
// machine it skips the test, or fails it if the variable CI is set.
func PgBouncer(tb testing.TB, dbURL, mode string) string {
	tb.Helper()
	bin, err := exec.LookPath("pgbouncer")
	if err != nil {
		if bin, err = exec.LookPath("/usr/sbin/pgbouncer"); err != nil {
			unavailable(tb, err)
		}
	}
	u, err := url.Parse(dbURL)
	if err != nil {
		tb.Fatal(err)
	}
	b := &Server{}
	b.endWith(tb)
	if err := b.settle(); err != nil {
		unavailable(tb, err)
	}
	q := u.Query()
	settings := strings.Join([]string{
		"[databases]", "* = host=" + q.Get("host") + " user=" + q.Get("user"), "[pgbouncer]", "pool_mode = " + mode, "auth_type = any",
		"unix_socket_dir = " + b.dir, "listen_port = 5432",
		"default_pool_size = 4", "ignore_startup_parameters = extra_float_digits", "",
	}, "\n")
	file := filepath.Join(b.dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(settings), 0o644); err != nil { //nolint:gosec // its user has to read it
		tb.Fatal(err)
	}
	q.Set("host", b.dir)
	u.RawQuery = q.Encode()
	b.given = u.String()
	if err := b.keep("TERM", bin, file); err != nil {
		tb.Fatal(err)
	}
	return b.given
}
