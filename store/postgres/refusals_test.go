package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// raise makes the database refuse each event of type E with the SQLSTATE at the end of
// its id.
const raise = `CREATE FUNCTION raise() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'no thanks' USING ERRCODE = right(NEW.id, 5); END $$;
CREATE TRIGGER raise BEFORE INSERT ON evolve.event FOR EACH ROW WHEN (NEW.type = 'E') EXECUTE FUNCTION raise();`

// TestRefusals checks that writes that the server refuses have not happened, and that
// the error has the right kind and the server's message. An error that may come from a
// pooler that has lost the server must not be definite.
func TestRefusals(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	st := open(t, url)
	execute(t, url, raise)
	for code, want := range map[string]struct {
		kind    error
		refused bool
	}{
		"25006": {postgres.ErrReadOnly, true},
		"42501": {postgres.ErrDenied, true},
		"53100": {postgres.ErrFull, true},
		"53200": {postgres.ErrFull, true},
		"55P03": {postgres.ErrBusy, true},
		"40001": {postgres.ErrBusy, true},
		"40P01": {postgres.ErrBusy, true},
		"57014": {nil, true},
		"P0001": {nil, true},
		"23514": {nil, true},
		"22023": {nil, true},
		"08006": {postgres.ErrUnavailable, false},
		"57P01": {postgres.ErrUnavailable, false},
		"58030": {nil, false},
		"XX000": {nil, false},
	} {
		events := batch(1)
		events[0].ID, events[0].Type = "id "+code, "E"
		_, err := st.Append(ctx, stream(1), store.Any, events)
		var typed *postgres.Error
		if !errors.As(err, &typed) || typed.Code != code || !errors.Is(typed.Kind, want.kind) || typed.Refused != want.refused ||
			store.Definite(err) != want.refused || errors.Is(err, store.ErrRefused) != want.refused || !strings.Contains(err.Error(), "no thanks") {
			t.Errorf("Append that the server refuses with %s = %#v, want kind %v, refused: %t, and the server's message", code, err, want.kind, want.refused)
		}
	}
	if got := appendTo(t, st, stream(1), 1); got.Version != 1 {
		t.Errorf("after all of them, the stream has version %d, want 1", got.Version)
	}
}

// TestRefusedCommand checks that a command that the database refuses fails at the first
// attempt, with the reason.
func TestRefusedCommand(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	st := open(t, url)
	execute(t, url, "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS "+
		"$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$; "+
		"CREATE TRIGGER no_space BEFORE INSERT ON evolve.event EXECUTE FUNCTION no_space()")
	numbers := runner.New("Numbers", adder(), st, codec.JSON(map[string]add{"Added": {}}))
	_, err := numbers.Handle(ctx, "1", add{1})
	var unknown *runner.UnknownOutcomeError
	var exhausted *runner.ExhaustedError
	if !errors.Is(err, postgres.ErrFull) || errors.As(err, &unknown) || errors.As(err, &exhausted) {
		t.Errorf("Handle of a command for which the server has no space = %v, want ErrFull at once", err)
	}
}

// withSync starts a server that waits, for each commit, for a standby that does not
// exist. It returns a store that was opened before.
func withSync(t *testing.T) (*postgres.Store, string) {
	t.Helper()
	server := postgrestest.Start(t)
	url := server.URL(t)
	st := open(t, url)
	appendTo(t, st, stream(0), 1)
	execute(t, url, "CREATE TABLE mine (n int)")
	server.Set(t, "synchronous_standby_names", "nobody")
	for waits, n := false, 0; !waits; n++ { // until the server has applied the setting
		if n == 1000 {
			t.Fatal("the server does not wait for a standby")
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		_, err := st.Append(ctx, stream(0), store.Any, batch(1))
		waits = err != nil
		cancel()
	}
	return st, url
}

// cancelWaits cancels all waits for a standby, until done is closed.
func cancelWaits(t *testing.T, url string, done <-chan struct{}) {
	t.Helper()
	admin, ctx := connect(t, url), within(t)
	for {
		const query = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
		if _, err := admin.Exec(ctx, query); err != nil {
			t.Error(err) // for example because the calls do not end
			return
		}
		select {
		case <-done:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// TestUnconfirmed checks that a commit whose wait for a standby was cancelled has an
// unknown outcome, whatever was committed, although the server reports success.
func TestUnconfirmed(t *testing.T) {
	t.Parallel()
	st, url := withSync(t)
	ctx := within(t)
	at := store.Checkpoint{Position: 1, EventID: "e"}
	calls := map[string]func() error{
		"Append":        func() error { _, err := st.Append(ctx, stream(1), store.NoStream, batch(1)); return err },
		"Append of two": func() error { _, err := st.Append(ctx, stream(2), store.NoStream, batch(2)); return err },
		"AppendClaiming": func() error {
			_, err := st.AppendClaiming(ctx, stream(3), store.NoStream, batch(1), []store.Claim{{Key: "seat"}})
			return err
		},
		"SaveSnapshot": func() error {
			return st.SaveSnapshot(ctx, store.Snapshot{Stream: stream(1), Schema: "v1", Version: 1})
		},
		"SaveCheckpoint": func() error { return st.SaveCheckpoint(ctx, "consumer", store.Checkpoint{}, at) },
		"AcquireLease":   func() error { _, err := st.AcquireLease(ctx, "lease", "owner", time.Hour); return err },
		"ReleaseLease": func() error {
			return st.ReleaseLease(ctx, store.Lease{Name: "lease", Owner: "owner", Fence: 1})
		},
		"Open of a new schema": func() error {
			other, err := postgres.Open(ctx, url, postgres.WithSchema("other"))
			if err == nil {
				other.Close()
			}
			return err
		},
		"New of a new schema": func() error {
			_, err := postgres.New(ctx, newPool(t, url), postgres.WithSchema("another"))
			return err
		},
	}
	order := []string{
		"Append", "Append of two", "AppendClaiming", "SaveSnapshot", "SaveCheckpoint", "AcquireLease", "ReleaseLease",
		"Open of a new schema", "New of a new schema",
	}
	for _, name := range order {
		done, failed := make(chan struct{}), make(chan error, 1)
		go func() { defer close(done); failed <- calls[name]() }()
		cancelWaits(t, url, done)
		var typed *postgres.Error
		if err := <-failed; !errors.Is(err, postgres.ErrUnconfirmed) || !errors.As(err, &typed) || typed.Code != "01000" || store.Definite(err) {
			t.Errorf("%s whose wait for a standby was cancelled = %v, want ErrUnconfirmed by 01000, not definite", name, err)
		}
	}
	page, err := st.Read(ctx, stream(1), store.ReadOptions{}) // the warning must not affect the next call
	if err != nil || page.Head != 1 {
		t.Errorf("Read afterwards = head %d, %v; want 1", page.Head, err)
	}
}

// TestUnconfirmedGroup checks the same for each append of a group.
func TestUnconfirmedGroup(t *testing.T) {
	t.Parallel()
	st, url := withSync(t)
	done, failed := make(chan struct{}), make(chan error, 12)
	var appending sync.WaitGroup
	for i := range cap(failed) {
		appending.Go(func() {
			_, err := st.Append(within(t), stream(i), store.Any, batch(1))
			failed <- err
		})
	}
	go func() { appending.Wait(); close(done) }()
	cancelWaits(t, url, done)
	for range cap(failed) {
		if err := <-failed; !errors.Is(err, postgres.ErrUnconfirmed) {
			t.Errorf("Append in a group whose wait for a standby was cancelled = %v, want ErrUnconfirmed", err)
		}
	}
}

// TestDatabaseSettings checks that a database with unsuitable settings is refused, with
// advice. Settings that Open changes for its own connections do not matter.
func TestDatabaseSettings(t *testing.T) {
	t.Parallel()
	poll := postgres.WithPollOnly(time.Second)
	for name, tt := range map[string]struct {
		create, alter string
		options       []postgres.Option
		pool          bool   // use New instead of Open
		want          string // part of the expected error, if any
	}{
		"LATIN1":                  {create: "ENCODING 'LATIN1'", want: "LATIN1, not UTF8: create it with CREATE DATABASE"},
		"EUC_JP":                  {create: "ENCODING 'EUC_JP'", want: "EUC_JP, not UTF8"},
		"SQL_ASCII":               {create: "ENCODING 'SQL_ASCII'", want: "SQL_ASCII, not UTF8", pool: true},
		"serializable":            {alter: "default_transaction_isolation = 'serializable'"},
		"serializable, poll only": {alter: "default_transaction_isolation = 'serializable'", options: []postgres.Option{poll}, want: `is "serializable", not "read committed": set it`},
		"repeatable read, pool":   {alter: "default_transaction_isolation = 'repeatable read'", pool: true, want: `is "repeatable read"`},
		"old strings":             {alter: "standard_conforming_strings = off"},
		"old strings, poll only":  {alter: "standard_conforming_strings = off", options: []postgres.Option{poll}, want: "standard_conforming_strings is off"},
		"another encoding":        {alter: "client_encoding = 'LATIN1'", want: "client_encoding is LATIN1, not UTF8"},
		"odd formats":             {alter: "datestyle = 'SQL, DMY'; intervalstyle = 'iso_8601'; bytea_output = 'escape'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, url := within(t), postgrestest.URL(t)
			config, err := pgx.ParseConfig(url)
			if err != nil {
				t.Fatal(err)
			}
			database := config.Database
			if tt.create != "" {
				database += "_2"
				execute(t, url, "CREATE DATABASE "+database+" "+tt.create+" TEMPLATE template0 LOCALE 'C'")
				url = strings.Replace(url, config.Database, database, 1)
			}
			for alter := range strings.SplitSeq(tt.alter, "; ") {
				if alter != "" {
					execute(t, url, "ALTER DATABASE "+database+" SET "+alter)
				}
			}
			var st *postgres.Store
			if tt.pool {
				st, err = postgres.New(ctx, newPool(t, url), tt.options...)
			} else {
				st, err = postgres.Open(ctx, url, tt.options...)
			}
			if tt.want != "" {
				if !errors.Is(err, postgres.ErrSettings) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("Open = %v, want ErrSettings with %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			appendAtOnce(t, st)
		})
	}
}

// appendAtOnce appends to many different streams at once.
func appendAtOnce(t *testing.T, st *postgres.Store) {
	t.Helper()
	failed := make(chan error)
	const writers, each = 16, 25
	for w := range writers {
		go func() {
			var err error
			for n := range each {
				_, e := st.Append(context.Background(), store.Stream{Type: "S", ID: fmt.Sprint(w, n)}, store.NoStream, batch(1+n%2))
				err = errors.Join(err, e)
			}
			failed <- err
		}()
	}
	for range writers {
		if err := <-failed; err != nil {
			t.Errorf("Append to a separate stream: %v", err)
		}
	}
	for e, err := range store.Events(context.Background(), st, store.Stream{Type: "S", ID: "0 0"}, 0) {
		if err != nil || string(e.Data) != `{"n":1}` || time.Since(e.RecordedAt).Abs() > time.Hour {
			t.Errorf("read %+v, %v", e, err)
		}
	}
}

// TestNotConfigured checks that a pool that was not configured is refused, with advice.
func TestNotConfigured(t *testing.T) {
	t.Parallel()
	pool := plainPool(t, postgrestest.URL(t))
	if _, err := postgres.New(within(t), pool); !errors.Is(err, postgres.ErrSettings) || !strings.Contains(err.Error(), "postgres.Configure") {
		t.Errorf("New with a pool that was not configured = %v, want ErrSettings and what to do", err)
	}
}

// TestSecrets checks that no error about a URL contains a secret from it.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for _, url := range []string{
		"postgres://u:hunter2@127.0.0.1:1/db",
		"postgres://u:hunter2@127.0.0.1:1/db?sslmode=wrong",
		"postgres://u:hunter2@127.0.0.1:port/db",
		"postgres://u:x#hunter2@127.0.0.1/db",
		"postgres://u:x/hunter2@127.0.0.1/db",
		"postgres://u:x?hunter2@127.0.0.1/db",
		"postgres://u:%zzhunter2@127.0.0.1/db",
		"postgres://u:x hunter2@127.0.0.1/db",
		"postgres://u@127.0.0.1:1/db?password=hunter2",
		"postgres://u@127.0.0.1:1/db?password=hunter2&sslmode=wrong",
		"postgres://u@127.0.0.1:1/db?password=hunter2&pool_max_conns=many",
		"postgres://u@127.0.0.1:1/db?password=hunter2&connect_timeout=soon",
		"postgres://u@127.0.0.1:1/db?sslpassword=hunter2&sslkey=none&sslcert=none",
		"postgres://u@127.0.0.1:1/db?%zz=1&password=hunter2",
		"postgresql://u:hunter2@127.0.0.1:1/db?target_session_attrs=any%20one",
		"host=127.0.0.1 port=1 user=u password=hunter2",
		"host=127.0.0.1 port=one user=u password=hunter2",
		"host=127.0.0.1 port=1 user=u password='hunter2",
		"host=127.0.0.1 port=1 user=u password=x\\",
		"hunter2",
	} {
		_, err := postgres.Open(within(t), url)
		var typed *postgres.Error
		if !errors.As(err, &typed) || strings.Contains(err.Error(), secret) || strings.Contains(fmt.Sprintf("%+v", err), secret) {
			t.Errorf("Open(%q) = %v, want an *Error without the secret", url, err)
		}
	}
	_, err := postgres.Open(within(t), "postgres://u:hunter2@127.0.0.1:1/db?sslmode=wrong")
	if !strings.Contains(err.Error(), "sslmode") {
		t.Errorf("Open with a wrong sslmode = %v, want the reason", err)
	}
}

// TestConnectionsEnd checks that connections have a limited lifetime and a limited
// wait, unless the URL says otherwise.
func TestConnectionsEnd(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	c := postgres.PoolConfig(open(t, url))
	if c.MaxConnLifetime != 5*time.Minute || c.MaxConnLifetimeJitter != time.Minute || c.ConnConfig.ConnectTimeout != 10*time.Second || c.PingTimeout != 5*time.Second {
		t.Errorf("connections live for %s and %s, connecting may take %s, and a ping %s", c.MaxConnLifetime, c.MaxConnLifetimeJitter, c.ConnConfig.ConnectTimeout, c.PingTimeout)
	}
	c = postgres.PoolConfig(open(t, url+"&pool_max_conn_lifetime=7m&connect_timeout=3&pool_max_conns=9"))
	if c.MaxConnLifetime != 7*time.Minute || c.MaxConnLifetimeJitter != 0 || c.ConnConfig.ConnectTimeout != 3*time.Second || c.MaxConns != 9 {
		t.Errorf("connections live for %s and %s, connecting may take %s, and there are at most %d; want the values of the URL", c.MaxConnLifetime, c.MaxConnLifetimeJitter, c.ConnConfig.ConnectTimeout, c.MaxConns)
	}
}

// TestConfigureKeeps checks that Configure still calls the functions that were in the
// config.
func TestConfigureKeeps(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	var connected, noticed atomic.Int64
	pool := newPool(t, url, func(c *pgxpool.Config) {
		c.AfterConnect = func(context.Context, *pgx.Conn) error { connected.Add(1); return nil }
		c.ConnConfig.OnNotice = func(*pgconn.PgConn, *pgconn.Notice) { noticed.Add(1) }
	})
	if _, err := pool.Exec(ctx, "DO $$ BEGIN RAISE WARNING 'hear'; END $$"); err != nil {
		t.Fatal(err)
	}
	if connected.Load() != 1 || noticed.Load() != 1 {
		t.Errorf("AfterConnect and OnNotice were called %d and %d times, want 1 and 1", connected.Load(), noticed.Load())
	}
	st, err := postgres.New(ctx, pool)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	execute(t, url, "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'mine'; RETURN NEW; END $$; "+
		"CREATE TRIGGER warn BEFORE INSERT ON evolve.event FOR EACH ROW EXECUTE FUNCTION warn()")
	appendTo(t, st, stream(1), 1) // a warning from elsewhere must not be mistaken for an unconfirmed commit
}

// TestSubscribeEnds checks that a subscription ends at once if retrying cannot help.
func TestSubscribeEnds(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	st := open(t, url, postgres.WithPollOnly(5*time.Millisecond))
	postgres.Hurry(st, time.Hour, time.Hour)
	for page, err := range st.Subscribe(within(t), store.LogOptions{}) {
		if err != nil {
			if !errors.Is(err, postgres.ErrNoSchema) {
				t.Errorf("Subscribe without a schema ended with %v, want ErrNoSchema", err)
			}
			return
		}
		if len(page.Events) > 0 {
			t.Fatalf("Subscribe yielded %+v", page)
		}
		execute(t, url, "DROP SCHEMA evolve CASCADE")
	}
}

// TestUnfitServerIsLeft checks that when a server answers on one connection that it
// cannot serve, no connection to it is used again, neither idle ones nor the one that
// listens.
func TestUnfitServerIsLeft(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	st := open(t, url) // creates the tables
	execute(t, url, raise)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, url)
	var others []int32
	pids := func() (all []int32) {
		t.Helper()
		query := "SELECT coalesce(array_agg(pid), '{}') FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
		if err := conn.QueryRow(ctx, query).Scan(&all); err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(all, func(pid int32) bool { return slices.Contains(others, pid) })
	}
	others = pids()
	st = open(t, url)
	const n = 3
	var in, out sync.WaitGroup
	in.Add(n)
	for i := range n { // each with its own connection
		out.Go(func() {
			err := st.Update(ctx, func(tx *postgres.Tx) error {
				in.Done()
				in.Wait()
				_, err := tx.Read(stream(i), store.ReadOptions{})
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	out.Wait()
	before := pids()
	if len(before) < n {
		t.Fatalf("the store has %d connections, want at least %d", len(before), n)
	}
	events := batch(1)
	events[0].ID, events[0].Type = "id 25006", "E"
	err := st.Update(ctx, func(tx *postgres.Tx) error { // which is not retried on the next connection
		_, err := tx.Append(stream(0), store.Any, events)
		return err
	})
	if !errors.Is(err, postgres.ErrReadOnly) {
		t.Fatalf("Append = %v, want ErrReadOnly", err)
	}
	for {
		left := slices.DeleteFunc(pids(), func(pid int32) bool { return !slices.Contains(before, pid) })
		if len(left) == 0 {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("of the connections %v to a server that cannot serve, %v are still open", before, left)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if got := appendTo(t, st, stream(0), 1); got.Version != 1 {
		t.Errorf("Append afterwards = %+v, want version 1", got)
	}
}
