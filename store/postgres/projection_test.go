package postgres_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/evolvego/evolve/decider/projection/projectiontest"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// TestProjections runs the suite of projections with events and read models in one
// database.
func TestProjections(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	var schemas atomic.Int64
	world := func(t *testing.T) projectiontest.World[*postgres.Tx] {
		t.Helper()
		schema := postgres.WithSchema(fmt.Sprintf("s%d", schemas.Add(1)))
		var reopen func(t *testing.T) projectiontest.World[*postgres.Tx]
		reopen = func(t *testing.T) projectiontest.World[*postgres.Tx] {
			t.Helper()
			st := open(t, url, schema)
			other, err := st.Tenant("other")
			if err != nil {
				t.Fatal(err)
			}
			neighbor := other.(*postgres.Store) //nolint:errcheck,forcetypeassert // it is
			return projectiontest.World[*postgres.Tx]{
				Store: st, Target: st, Reopen: reopen,
				Neighbor: &projectiontest.World[*postgres.Tx]{Store: neighbor, Target: neighbor},
			}
		}
		return reopen(t)
	}
	t.Run("Run", func(t *testing.T) { t.Parallel(); projectiontest.Run(t, world) })
	t.Run("RunInline", func(t *testing.T) { t.Parallel(); projectiontest.RunInline(t, world) })
}
