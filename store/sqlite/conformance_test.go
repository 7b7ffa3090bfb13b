package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
	"github.com/evolvego/evolve/store/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		return open(t, filepath.Join(t.TempDir(), "events.db"))
	})
}

// open opens the store at path, and closes it when the test ends.
func open(tb testing.TB, path string, options ...sqlite.Option) *sqlite.Store {
	tb.Helper()
	st, err := sqlite.Open(path, options...)
	if err != nil {
		tb.Fatalf("Open(%q): %v", path, err)
	}
	tb.Cleanup(func() {
		if err := st.Close(); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	return st
}

func TestDurable(t *testing.T) {
	t.Parallel()
	storetest.RunDurable(t, func(t *testing.T) func() store.Store {
		t.Helper()
		path := filepath.Join(t.TempDir(), "events.db")
		return func() store.Store { return open(t, path) }
	})
}
