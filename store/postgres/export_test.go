package postgres

import (
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/evolvego/evolve/store"
)

// NeverPoll makes the subscriptions of st rely on notifications alone.
func NeverPoll(st *Store) { st.backend.poll = time.Hour }

// Hurry shortens the time after which st gives up on servers that are silent, and on
// reads and appends that do not end.
func Hurry(st *Store, silence, bound time.Duration) {
	st.backend.silence, st.backend.bound = silence, bound
}

// Queued returns the number of appends that wait to join a group.
func Queued(st *Store) (n int) {
	l := st.backend.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)
}

// PoolConfig returns the config of the pool of st.
func PoolConfig(st *Store) *pgxpool.Config { return st.backend.pool.Config() }

// Planned is an append of one event for each of IDs.
type Planned struct {
	Tenant, Stream string
	IDs            []string
	Keys           []string // the keys that it claims
}

// Together reports whether appends may be in one group.
func Together(all ...Planned) bool {
	var g group
	for _, p := range all {
		a := &appending{key: streamKey{p.Tenant, store.Stream{Type: "A", ID: p.Stream}}}
		for _, id := range p.IDs {
			a.events = append(a.events, record{event: store.Event{ID: id}})
		}
		for _, key := range p.Keys {
			a.claims = append(a.claims, store.Claim{Key: key})
		}
		if g.excludes(a) {
			return false
		}
		g.add(a)
	}
	return true
}

// FilteredQuery returns the statement for a page of events that match a filter, and the
// maximum number of events that it examines.
func FilteredQuery(st *Store, backward bool) (query string, most int) {
	if backward {
		return st.backend.sql.filteredBackward, maxScan
	}
	return st.backend.sql.filtered, maxScan
}
