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
		return open(t, filepath.Join(t.TempDir(), "events.db"))
	})
}

// open opens the store at path, to be closed at the end.
func open(t testing.TB, path string, options ...sqlite.Option) *sqlite.Store {
	t.Helper()
	st, err := sqlite.Open(path, options...)
	if err != nil {
		t.Fatalf("Open(%q): %v", path, err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return st
}
