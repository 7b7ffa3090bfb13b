package open_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/open"
	"github.com/evolvego/evolve/store/sqlite"
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
		t.Error("two stores in memory are one")
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
		"":                          "begin it with one of",
		"bank.db":                   "begin it with one of",
		"disk:bank":                 "sqlite:",
		"memory:bank":               "has no name",
		"memory:?speed=high":        "unknown setting speed",
		"memory:?tenant=":           "tenant",
		"memory:?%zz":               "invalid URL escape",
		"sqlite:":                   "name of the file is missing",
		"sqlite:?sync=full":         "name of the file is missing",
		"sqlite:%zz":                "invalid URL escape",
		"sqlite:a.db?sync=never":    `full or normal, not "never"`,
		"sqlite:a.db?sink=full":     "unknown setting sink",
		"sqlite://a.db":             "write sqlite:a.db",
		"grpc:127.0.0.1:50051":      "//HOST:PORT",
		"grpc://":                   "//HOST:PORT",
		"grpc://host:1/path":        "//HOST:PORT",
		"grpc://:secret@host:1":     "token-file",
		"grpc://host:1?ca=x":        "unknown setting ca",
		"grpcs://host:1?cert=x":     "one without the other",
		"disk://ann:secret@host/db": "begin it with one of",
	} {
		st, err := open.Store(t.Context(), url)
		if st != nil || !errors.Is(err, open.ErrURL) || !strings.Contains(err.Error(), want) {
			t.Errorf("Store(%q) = %v, %v; want ErrURL with %q", url, st, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("Store(%q) tells the password: %v", url, err)
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

func TestGRPC(t *testing.T) {
	t.Parallel()
	lis, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	backend := memory.New()
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- grpc.NewServer(backend).Serve(ctx, lis) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	st := openURL(t, "grpc://"+lis.Addr().String()+"?tenant=acme")
	appendOne(t, st)
	acme, err := backend.Tenant("acme")
	if err != nil {
		t.Fatal(err)
	}
	if got := head(t, acme.(store.Log)); got != 1 { //nolint:errcheck // every tenant has one
		t.Errorf("Head of the tenant at the server = %d, want 1", got)
	}
}

func TestFilesThatAreMissing(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	for _, url := range []string{
		"grpc://127.0.0.1:1?token-file=" + missing, "grpcs://127.0.0.1:1?ca=" + missing,
		"grpcs://127.0.0.1:1?cert=" + missing + "&key=" + missing,
	} {
		if st, err := open.Store(t.Context(), url); st != nil || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Store(%q) = %v, %v; want that a file does not exist", url, st, err)
		}
	}
}
