package postgres_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// TestPlans checks how the sessions of a store find the last event of a stream, and an
// id, on a table that was never analyzed, at every size at which a plan may become
// permanent. They must use the index with the right order. Any other index that begins
// with the tenant costs about the same at that moment, but later as much as the tenant
// has events.
func TestPlans(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	st := open(t, url)
	execute(t, url, "ALTER TABLE evolve.event SET (autovacuum_enabled = off)")
	for n := range 40 {
		for i := range 8 {
			appendTo(t, st, store.Stream{Type: "Account", ID: fmt.Sprint("acc-", n, "-", i)}, 1)
		}
		for query, index := range map[string]string{
			`SELECT version FROM evolve.event WHERE tenant = 'default' AND stream_type = 'Account' AND stream_id = 'acc-1' ORDER BY version DESC LIMIT 1`: "event_version",
			`SELECT id FROM evolve.event WHERE tenant = 'default' AND id >= 'event 1' ORDER BY id LIMIT 1`:                                                "event_id",
		} {
			plan := explain(t, st, "EXPLAIN "+query)
			if !strings.Contains(plan, "using "+index) || strings.Contains(plan, "Sort") {
				t.Fatalf("after %d events, the plan of %s is\n%s", 8*(n+1), query, plan)
			}
		}
	}
}

// TestFilteredPlan checks that a page with a filter that matches nothing examines no
// more of the log than the documented limit, however long the log is.
func TestFilteredPlan(t *testing.T) {
	t.Parallel()
	st := open(t, postgrestest.URL(t))
	const events = 30_000
	for i := range 30 {
		appendTo(t, st, store.Stream{Type: "Account", ID: fmt.Sprint("acc-", i)}, events/30)
	}
	removed := regexp.MustCompile(`Rows Removed by Filter: (\d+)`)
	for from, backward := range map[int64]bool{1: false, events: true} {
		query, most := postgres.FilteredQuery(st, backward)
		plan := explain(t, st, "EXPLAIN (ANALYZE, TIMING OFF) "+query, "default", from, 100, int64(0), []string{"Account"}, "", []string{"Nothing"})
		all := removed.FindAllStringSubmatch(plan, -1)
		if len(all) == 0 {
			t.Fatalf("the plan does not say how many rows it removed:\n%s", plan)
		}
		for _, match := range all {
			if n, err := strconv.Atoi(match[1]); err != nil || n > most {
				t.Errorf("a page, backward: %t, examines %d events, want at most %d (%v):\n%s", backward, n, most, err, plan)
			}
		}
	}
}

// explain returns the server's plan for a statement in a session of st.
func explain(t *testing.T, st *postgres.Store, query string, args ...any) string {
	t.Helper()
	ctx := within(t)
	var plan []string
	err := st.Update(ctx, func(tx *postgres.Tx) error {
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				return err
			}
			plan = append(plan, line)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return strings.Join(plan, "\n")
}
