package memory_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// TestSpread grows tenants from one stream to many while several clients append, read
// and run transactions. Nothing may be lost when the streams and ids of a tenant move
// from one lock to many.
func TestSpread(t *testing.T) {
	t.Parallel()
	const clients, each = 4, 40
	m := memory.New()
	tenants := 100
	if testing.Short() {
		tenants = 30
	}
	for i := range tenants {
		tenant := mustTenant(t, m, fmt.Sprint("tenant ", i))
		var all sync.WaitGroup
		start := make(chan struct{})
		for c := range clients {
			all.Go(func() {
				<-start
				for n := range each {
					s := account(fmt.Sprint(c, " ", n/2)) // two appends to each stream
					e := store.Event{ID: fmt.Sprint(c, "-", n), Type: "Noted"}
					var err error
					if n%8 == 7 {
						err = tenant.Update(t.Context(), func(tx *memory.Tx) error {
							_, err := tx.Append(s, store.Exactly(uint64(n%2)), []store.Event{e})
							return err
						})
					} else {
						_, err = tenant.Append(t.Context(), s, store.Exactly(uint64(n%2)), []store.Event{e})
					}
					if err != nil {
						t.Errorf("append %d of client %d: %v", n, c, err)
					}
				}
			})
		}
		close(start)
		all.Wait()
		page := mustReadAll(t, tenant, store.LogOptions{})
		if len(page.Events) != clients*each || page.Head != clients*each {
			t.Fatalf("the log has %d events and head %d, want %d", len(page.Events), page.Head, clients*each)
		}
		for _, e := range page.Events { // each id is known, and each stream can be read
			again := store.Event{ID: e.ID, Type: "Noted"}
			if got, err := tenant.Append(t.Context(), e.Stream, store.Any, []store.Event{again}); err != nil || !got.Replayed || got.Version != e.Version {
				t.Fatalf("append of %s again = %+v, %v; want version %d, replayed", e.ID, got, err, e.Version)
			}
		}
	}
}
