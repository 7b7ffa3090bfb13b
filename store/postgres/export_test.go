package postgres

import "time"

// NeverPoll makes the subscriptions of st rely on news alone.
func NeverPoll(st *Store) { st.backend.poll = time.Hour }

// Queued returns how many appends wait to be taken into a group.
func Queued(st *Store) (n int) {
	for _, l := range st.backend.lanes {
		n += len(l.queue)
	}
	return n
}
