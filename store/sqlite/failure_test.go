package sqlite_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/evolvego/evolve/store/internal/calls"
	"github.com/evolvego/evolve/store/sqlite"
)

// TestStatementsThatFail makes each statement fail that a store executes, one after the
// other, and makes every call meanwhile.
func TestStatementsThatFail(t *testing.T) {
	t.Parallel()
	st := open(t, filepath.Join(t.TempDir(), "events.db"))
	all := calls.New(t, st)
	for _, query := range sqlite.Statements(st) {
		for _, prepared := range []bool{true, false} {
			used := false
			failed := all.During(t, query, func() (mend func()) {
				end := sqlite.Break(st, query, prepared)
				return func() { used = end() || used }
			})
			opening := strings.HasPrefix(query, "SELECT count(*) FROM tenant") || strings.HasPrefix(query, "UPDATE file")
			if prepared && used == opening || failed == 0 && !opening {
				t.Errorf("%s: used: %t; %d calls failed", query, used, failed)
			}
		}
	}
}
