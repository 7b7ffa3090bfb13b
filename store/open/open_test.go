package open_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/open"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
	"github.com/evolvego/evolve/store/sqlite"
	"github.com/evolvego/evolve/store/storetest"
)

func openURL(t *testing.T, url string) open.Backend {
	t.Helper()
	st, err := open.Store(t.Context(), url)
	if err != nil {
		t.Fatalf("Store(%q): %v", url, err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return st
}

func appendOne(t *testing.T, st store.Store) {
	t.Helper()
	event := store.Event{ID: store.NewID(), Type: "Opened", Data: []byte("x")}
	if _, err := st.Append(t.Context(), store.Stream{Type: "Account", ID: "a"}, store.NoStream, []store.Event{event}); err != nil {
		t.Fatalf("Append: %v", err)
	}
}

func head(t *testing.T, st store.Log) uint64 {
	t.Helper()
	position, err := st.Head(t.Context())
	if err != nil {
		t.Fatalf("Head: %v", err)
	}
	return position
}

func TestMemory(t *testing.T) {
	t.Parallel()
	st := openURL(t, "memory:")
	if _, ok := st.(*memory.Store); !ok {
		t.Fatalf("Store(memory:) = %T", st)
	}
	appendOne(t, st)
	if again := openURL(t, "memory:"); head(t, again) != 0 {
		t.Error("two stores in memory are the same")
	}
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "with ? and %.db")
	escaped := strings.NewReplacer("%", "%25", "?", "%3F").Replace(name)
	first := openURL(t, "sqlite:"+escaped+"?sync=normal")
	if _, ok := first.(*sqlite.Store); !ok {
		t.Fatalf("Store(sqlite:) = %T", first)
	}
	appendOne(t, first)
	if _, err := os.Stat(name); err != nil {
		t.Errorf("the file: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if again := openURL(t, "sqlite://"+escaped); head(t, again) != 1 {
		t.Error("the event is gone")
	}
}

func TestTenant(t *testing.T) {
	t.Parallel()
	url := "sqlite:" + filepath.Join(t.TempDir(), "events.db")
	acme, other := openURL(t, url+"?tenant=acme"), openURL(t, url)
	appendOne(t, acme)
	if got := head(t, other); got != 0 {
		t.Errorf("Head of another tenant = %d, want 0", got)
	}
	if got := head(t, openURL(t, url+"?tenant=acme")); got != 1 {
		t.Errorf("Head of the tenant = %d, want 1", got)
	}
}

func TestNoStore(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"":                                  "begin it with one of",
		"bank.db":                           "begin it with one of",
		"disk:bank":                         "sqlite:",
		"memory:bank":                       "has no name",
		"memory:?speed=high":                "unknown setting speed",
		"memory:?tenant=":                   "tenant",
		"memory:?%zz":                       "invalid URL escape",
		"sqlite:":                           "name of the file is missing",
		"sqlite:?sync=full":                 "name of the file is missing",
		"sqlite:%zz":                        "invalid URL escape",
		"sqlite:a.db?sync=never":            `full or normal, not "never"`,
		"sqlite:a.db?sink=full":             "unknown setting sink",
		"sqlite://a.db":                     "use sqlite:FILE",
		"memory:?tenant=a&tenant=b":         "tenant is given twice",
		"memory:?tenant":                    "come settings, NAME=VALUE",
		"grpc://127.0.0.1":                  "the port is missing",
		"grpcs://127.0.0.1:":                "the port is missing",
		"grpc://127.0.0.1:x":                "port is not a number",
		"postgres:db":                       "it is postgres://",
		"postgres://h:x/db":                 "it is postgres://",
		"postgres://u:p/w@h/db":             "it is postgres://",
		"postgres://u:p@w@h/db":             "it is postgres://",
		"postgres://h/db?sslmode=x":         "sslmode is invalid",
		"postgres://h/db?schema=a&schema=b": "schema is given twice",
		"postgres://h/db?schema=" + strings.Repeat("x", 100): "schema",
		"grpc:127.0.0.1:50051":                               "//HOST:PORT",
		"grpc://":                                            "//HOST:PORT",
		"grpc://host:1/path":                                 "//HOST:PORT",
		"grpc://:secret@host:1":                              "token-file",
		"grpc://host:1?ca=x":                                 "unknown setting ca",
		"grpcs://host:1?cert=x":                              "one without the other",
		"disk://ann:secret@host/db":                          "begin it with one of",
	} {
		st, err := open.Store(t.Context(), url)
		if st != nil || !errors.Is(err, open.ErrURL) || !strings.Contains(err.Error(), want) {
			t.Errorf("Store(%q) = %v, %v; want ErrURL with %q", url, st, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("Store(%q) reveals the password: %v", url, err)
		}
	}
}

func TestStoreThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "missing", "events.db")
	st, err := open.Store(t.Context(), "sqlite:"+name)
	if st != nil || !errors.Is(err, os.ErrNotExist) || errors.Is(err, open.ErrURL) {
		t.Errorf("Store = %v, %v; want an error that says the directory does not exist", st, err)
	}
}

// serve serves backend on a free port until the end of the test.
func serve(t *testing.T, backend open.Backend) (address string) {
	t.Helper()
	lis, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.New(backend).Serve(ctx, lis) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return lis.Addr().String()
}

func TestGRPC(t *testing.T) {
	t.Parallel()
	backend := openURL(t, "memory:")
	st := openURL(t, "grpc://"+serve(t, backend)+"?tenant=acme")
	if _, ok := st.(*grpc.Store); !ok {
		t.Fatalf("Store(grpc:) = %T", st)
	}
	appendOne(t, st)
	acme, err := backend.Tenant("acme")
	if err != nil {
		t.Fatal(err)
	}
	if got := head(t, acme.(store.Log)); got != 1 { //nolint:errcheck // every tenant has one
		t.Errorf("Head of the tenant at the server = %d, want 1", got)
	}
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(postgrestest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	with := func(settings string) string {
		v := *u
		v.RawQuery = strings.Trim(u.RawQuery+"&"+settings, "&")
		return v.String()
	}
	st := openURL(t, with("schema=other&poll=50ms&log-per-tenant=true&application_name=test"))
	if _, ok := st.(*postgres.Store); !ok {
		t.Fatalf("Store(postgres:) = %T", st)
	}
	appendOne(t, st)
	if got := head(t, openURL(t, with(""))); got != 0 {
		t.Errorf("Head in the usual schema = %d, want 0", got)
	}
	for settings, want := range map[string]string{"poll=often": "poll must be a duration", "poll=-1s": "poll must be a duration", "log-per-tenant=maybe": "true or false"} {
		if st, err := open.Store(t.Context(), with(settings)); st != nil || !errors.Is(err, open.ErrURL) || !strings.Contains(err.Error(), want) {
			t.Errorf("Store(%s) = %v, %v; want ErrURL with %q", settings, st, err, want)
		}
	}
}

// TestServedStores checks that a store behind a server, used through our client, still
// passes the suite.
func TestServedStores(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, func(t *testing.T) store.Store {
			t.Helper()
			return openURL(t, "grpc://"+serve(t, openURL(t, "sqlite:"+filepath.Join(t.TempDir(), "events.db"))))
		})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		database, err := url.Parse(postgrestest.URL(t))
		if err != nil {
			t.Fatal(err)
		}
		var schemas atomic.Int64
		storetest.Run(t, func(t *testing.T) store.Store {
			t.Helper()
			v := *database
			v.RawQuery = strings.Trim(fmt.Sprintf("%s&schema=s%d", v.RawQuery, schemas.Add(1)), "&")
			return openURL(t, "grpc://"+serve(t, openURL(t, v.String())))
		})
	})
}

func TestFilesThatAreMissing(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	for _, url := range []string{
		"grpc://127.0.0.1:1?token-file=" + missing, "grpcs://127.0.0.1:1?ca=" + missing,
		"grpcs://127.0.0.1:1?cert=" + missing + "&key=" + missing,
	} {
		if st, err := open.Store(t.Context(), url); st != nil || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Store(%q) = %v, %v; want an error that a file does not exist", url, st, err)
		}
	}
}

// TestReadOnly checks that opening a store for reading creates nothing, and that
// existing data can be read.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	url := "sqlite:" + filepath.Join(dir, "events.db")
	st, err := open.ReadOnly(t.Context(), url)
	if st != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadOnly of a file that does not exist = %v, %v; want fs.ErrNotExist", st, err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("it has created %v, %v", files, err)
	}
	appendOne(t, openURL(t, url))
	read, err := open.ReadOnly(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if got := head(t, read); got != 1 {
		t.Errorf("Head = %d, want 1", got)
	}
	event := store.Event{ID: store.NewID(), Type: "Opened"}
	if _, err := read.Append(t.Context(), store.Stream{Type: "Account", ID: "b"}, store.NoStream, []store.Event{event}); !errors.Is(err, store.ErrRefused) {
		t.Errorf("Append = %v, want ErrRefused", err)
	}
	database := postgrestest.URL(t)
	if st, err := open.ReadOnly(t.Context(), database); st != nil || !errors.Is(err, postgres.ErrNoSchema) {
		t.Errorf("ReadOnly of a database without tables = %v, %v; want ErrNoSchema", st, err)
	}
	appendOne(t, openURL(t, database))
	tables, err := open.ReadOnly(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer tables.Close()
	if got := head(t, tables); got != 1 {
		t.Errorf("Head = %d, want 1", got)
	}
}

// TestPostgresSettingsAsTheyAre checks that settings reach PostgreSQL unchanged, by the
// rules of libpq: %20 is a space, and + is a plus.
func TestPostgresSettingsAsTheyAre(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(postgrestest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	with := func(settings string) string {
		v := *u
		v.RawQuery = strings.Trim(u.RawQuery+"&"+settings, "&")
		return v.String()
	}
	st := openURL(t, with("options=-c%20work_mem%3D8MB&application_name=a+b%2Bc"))
	appendOne(t, st)
	conn, err := pgx.Connect(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var n int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'a+b+c'").Scan(&n); err != nil || n == 0 {
		t.Errorf("%d connections are called a+b+c, %v", n, err)
	}
	if st, err := open.Store(t.Context(), with("options=-c%20work_mem%3D8MX")); st != nil || err == nil || !strings.Contains(err.Error(), "work_mem") {
		t.Errorf("Store with an invalid work_mem =  %v, %v; want an error that names it", st, err)
	}
}
