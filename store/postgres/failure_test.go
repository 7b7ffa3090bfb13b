package postgres_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/evolvego/evolve/store/internal/calls"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// TestStatementsThatFail renames each table and each function of the store, one after the
// other, and makes every call meanwhile.
func TestStatementsThatFail(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	st := open(t, url)
	all := calls.New[*postgres.Tx](t, st)
	db := connect(t, url)
	alter := func(query string) {
		t.Helper()
		if _, err := db.Exec(context.Background(), query); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	for name, kind := range map[string]string{
		"event": "TABLE", "log": "TABLE", "claim": "TABLE", "snapshot": "TABLE", "checkpoint": "TABLE", "lease": "TABLE", "document": "TABLE",
		"append": "FUNCTION", "find": "FUNCTION",
	} {
		failed := all.During(t, name, func() (mend func()) {
			alter(fmt.Sprintf("ALTER %s evolve.%s RENAME TO renamed", kind, name))
			return func() { alter(fmt.Sprintf("ALTER %s evolve.renamed RENAME TO %s", kind, name)) }
		})
		if failed == 0 {
			t.Errorf("without the %s %s, no call failed", kind, name)
		}
	}
}
