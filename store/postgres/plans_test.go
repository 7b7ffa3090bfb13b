package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// TestPlans: on a table that was never analyzed, at every size at which a statement may be planned for good, the
// sessions of a store find the last event of a stream, and an id, by the index that has that order. Any other index
// that begins with the tenant costs about the same there, and later as much as the tenant has events.
func TestPlans(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
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
			var plan []string
			err := st.Update(ctx, func(tx *postgres.Tx) error {
				rows, err := tx.Query(ctx, "EXPLAIN "+query)
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
			if text := strings.Join(plan, "\n"); err != nil || !strings.Contains(text, "using "+index) || strings.Contains(text, "Sort") {
				t.Fatalf("after %d events, %s is planned as (%v)\n%s", 8*(n+1), query, err, text)
			}
		}
	}
}
