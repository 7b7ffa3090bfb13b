package postgres

import (
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// NeverPoll makes the subscriptions of st rely on news alone.
func NeverPoll(st *Store) { st.backend.poll = time.Hour }

// Hurry makes st impatient: with servers that are silent, and with reads and appends that
// do not end.
func Hurry(st *Store, silence, bound time.Duration) {
	st.backend.silence, st.backend.bound = silence, bound
}

// Queued returns how many appends wait to be taken into a group.
func Queued(st *Store) (n int) {
	l := st.backend.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)
}

// PoolConfig returns the config of the pool of st.
func PoolConfig(st *Store) *pgxpool.Config { return st.backend.pool.Config() }
