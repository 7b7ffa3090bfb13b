package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/evolvego/evolve/decider/projection/projectiontest"
	"github.com/evolvego/evolve/store/sqlite"
)

// world returns a setup with events in one file and read models in another, or in the
// same.
func world(t *testing.T, events, models string) projectiontest.World[*sqlite.Tx] {
	t.Helper()
	openBoth := func(t *testing.T) (*sqlite.Store, *sqlite.Store) {
		t.Helper()
		st, err := sqlite.Open(events)
		if err != nil {
			t.Fatal(err)
		}
		if events == models {
			return st, st
		}
		target, err := sqlite.Open(models)
		if err != nil {
			t.Fatal(err)
		}
		return st, target
	}
	var reopen func(t *testing.T) projectiontest.World[*sqlite.Tx]
	reopen = func(t *testing.T) projectiontest.World[*sqlite.Tx] {
		t.Helper()
		st, target := openBoth(t)
		t.Cleanup(func() { _, _ = st.Close(), target.Close() })
		return projectiontest.World[*sqlite.Tx]{
			Store: st, Target: target,
			Neighbor: &projectiontest.World[*sqlite.Tx]{Store: tenant(t, st, "other"), Target: tenant(t, target, "other")},
			Reopen: func(t *testing.T) projectiontest.World[*sqlite.Tx] {
				t.Helper()
				_, _ = st.Close(), target.Close()
				return reopen(t)
			},
		}
	}
	return reopen(t)
}

func tenant(t *testing.T, st *sqlite.Store, id string) *sqlite.Store {
	t.Helper()
	other, err := st.Tenant(id)
	if err != nil {
		t.Fatal(err)
	}
	return other.(*sqlite.Store) //nolint:errcheck,forcetypeassert // it is
}

// TestProjections runs the suite of projections with events and read models in one file.
func TestProjections(t *testing.T) {
	t.Parallel()
	open := func(t *testing.T) projectiontest.World[*sqlite.Tx] {
		t.Helper()
		path := filepath.Join(t.TempDir(), "events.db")
		return world(t, path, path)
	}
	t.Run("Run", func(t *testing.T) { t.Parallel(); projectiontest.Run(t, open) })
	t.Run("RunInline", func(t *testing.T) { t.Parallel(); projectiontest.RunInline(t, open) })
}

// TestProjectionsApart runs the suite with read models in a second file.
func TestProjectionsApart(t *testing.T) {
	t.Parallel()
	projectiontest.Run(t, func(t *testing.T) projectiontest.World[*sqlite.Tx] {
		t.Helper()
		dir := t.TempDir()
		return world(t, filepath.Join(dir, "events.db"), filepath.Join(dir, "models.db"))
	})
}
