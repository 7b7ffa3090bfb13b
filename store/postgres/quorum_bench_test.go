package postgres_test

import (
	"context"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// BenchmarkQuorum appends to a server where each commit waits for one of two standbys.
func BenchmarkQuorum(b *testing.B) {
	primary := postgrestest.Start(b)
	st, h := open(b, primary.URL(b)), byHandAt(b, primary.URL(b))
	primary.Set(b, "synchronous_standby_names", "ANY 1 (b, c)")
	for _, name := range []string{"b", "c"} {
		primary.Standby(b, name)
	}
	ctx, cancel := context.WithCancel(b.Context()) // a context like that of a request
	defer cancel()
	byStore := func(s store.Stream, version uint64) error {
		_, err := st.Append(ctx, s, store.Exactly(version), batch(1))
		return err
	}
	hand := func(s store.Stream, version uint64) error { return h.append(ctx, s, version, batch(1)) }
	b.Run("1 writer", func(b *testing.B) {
		s := store.Stream{Type: "Account", ID: store.NewID()}
		var versions [2]uint64
		next := func(i int) uint64 { versions[i]++; return versions[i] - 1 }
		sideBySide(b, contender{"store", func() error { return byStore(s, next(0)) }}, contender{"by-hand", func() error { return hand(s, next(1)) }})
	})
	first := int64(0) // number of a stream that no run has used yet
	for name, do := range map[string]func(s store.Stream, version uint64) error{"store": byStore, "by hand": hand} {
		b.Run("32 writers/"+name, func(b *testing.B) {
			first += 1000
			parallelFrom(b, first, do)
		})
	}
}
