package postgres_test

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/process/processtest"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// TestProcesses checks the guarantees between processes with a log and a target in one
// database. Each law has its own pool, made in its bubble, and each log is a tenant.
func TestProcesses(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	options := []postgres.Option{postgres.WithLogPerTenant(), postgres.WithPollOnly(time.Hour)}
	open(t, url, options...) // creates the schema before the laws need it
	var tenants atomic.Int64
	var pools sync.Map // a *postgres.Store for each law
	processtest.Run(t, func(t *testing.T) processtest.Setup[*postgres.Tx] {
		t.Helper()
		pool, ok := pools.Load(t)
		if !ok {
			pool = open(t, url, options...)
			pools.Store(t, pool)
		}
		tenant, err := pool.(*postgres.Store).Tenant(fmt.Sprint("t", tenants.Add(1))) //nolint:errcheck,forcetypeassert // it is one
		if err != nil {
			t.Fatal(err)
		}
		st := tenant.(*postgres.Store) //nolint:errcheck,forcetypeassert // it is one
		return processtest.Setup[*postgres.Tx]{Log: &timed{Store: st, at: map[uint64]time.Time{}}, Target: st, Sparse: true}
	})
}

// timed is a log that reports recording times by the clock of a bubble, which the
// server does not know.
type timed struct {
	process.Store

	mu sync.Mutex
	at map[uint64]time.Time // by position; guarded by mu
}

func (l *timed) Append(ctx context.Context, s store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	got, err := l.Store.Append(ctx, s, expected, events)
	if err != nil {
		return got, err
	}
	for i := range events {
		position := got.Position - uint64(i)
		if _, ok := l.at[position]; !ok { // unless it is already there
			l.at[position] = time.Now()
		}
	}
	return got, nil
}

func (l *timed) ReadAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	page, err := l.Store.ReadAll(ctx, o)
	return l.time(page), err
}

func (l *timed) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) {
		for page, err := range l.Store.Subscribe(ctx, o) {
			if !yield(l.time(page), err) {
				return
			}
		}
	}
}

func (l *timed) time(page store.Page) store.Page {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range page.Events {
		page.Events[i].RecordedAt = l.at[page.Events[i].Position]
	}
	return page
}
