package storetest_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest"
)

// slow is a store that takes longer to answer than the shortest lease of the suite lasts,
// as one on a busy machine does.
type slow struct{ *memory.Store }

func (s slow) AcquireLease(ctx context.Context, name, owner string, ttl time.Duration) (store.Lease, error) {
	time.Sleep(50 * time.Millisecond)
	defer time.Sleep(50 * time.Millisecond)
	return s.Store.AcquireLease(ctx, name, owner, ttl)
}

func (s slow) ReleaseLease(ctx context.Context, lease store.Lease) error {
	time.Sleep(50 * time.Millisecond)
	defer time.Sleep(50 * time.Millisecond)
	return s.Store.ReleaseLease(ctx, lease)
}

// TestSlow checks that no clause about leases, the only ones that go by the clock, needs a
// call to return before a lease has expired.
func TestSlow(t *testing.T) {
	t.Parallel()
	clauses := 0
	for _, name := range storetest.Clauses() {
		if !strings.HasPrefix(name, "Leases/") {
			continue
		}
		clauses++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				storetest.CheckClause(t, name, func() store.Store { return slow{memory.New()} }, time.Minute)
			})
		})
	}
	if clauses < 10 {
		t.Errorf("there are %d clauses about leases, want all", clauses)
	}
}
