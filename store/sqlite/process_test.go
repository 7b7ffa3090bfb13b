package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/evolvego/evolve/decider/process/processtest"
	"github.com/evolvego/evolve/store/sqlite"
)

// TestProcesses checks the guarantees between several processes on one file.
func TestProcesses(t *testing.T) {
	t.Parallel()
	processtest.Run(t, func(t *testing.T) processtest.Setup[*sqlite.Tx] {
		t.Helper()
		st, err := sqlite.Open(filepath.Join(t.TempDir(), "p.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		})
		return processtest.Setup[*sqlite.Tx]{Log: st, Target: st, Sparse: true}
	})
}
