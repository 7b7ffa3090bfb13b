package sqlite

import (
	"context"

	"github.com/evolvego/evolve/store"
)

// AppendClaiming is [store.Claims.AppendClaiming], with the limits of
// [Store.Append].
func (s *Store) AppendClaiming(
	ctx context.Context, stream store.Stream, expected store.Expected, events []store.Event, claims []store.Claim,
) (store.Appended, error) {
	a, err := s.appending(stream, expected, events, claims)
	if err != nil {
		return store.Appended{}, err
	}
	if err := s.backend.submit(ctx, a); err != nil {
		return store.Appended{}, err
	}
	return a.appended, a.refused
}

// Holder is [store.Claims.Holder].
func (s *Store) Holder(ctx context.Context, key string) (store.Stream, bool, error) {
	if err := store.ValidateKey(key); err != nil {
		return store.Stream{}, false, err
	}
	var holder store.Stream
	var ok bool
	err := s.backend.soon(ctx, func(r *reader, _ uint64) (err error) {
		ok, err = r.one(`SELECT s.type, s.name FROM tenant t
CROSS JOIN claim c ON c.tenant = t.id CROSS JOIN stream s ON s.id = c.stream
WHERE t.name = ? AND c.key = ?`, func(s *stmt) { holder = store.Stream{Type: s.text(0), ID: s.text(1)} }, text(s.tenant), text(key))
		return err
	})
	return holder, ok, err
}

// claimed reports whether another stream holds a key of a. If so, it sets refused.
func (a *appending) claimed(w *writer, tenant int64) (bool, error) {
	for _, c := range a.claims {
		var holder store.Stream
		held, err := w.one(`SELECT s.type, s.name FROM claim c CROSS JOIN stream s ON s.id = c.stream
WHERE c.tenant = ? AND c.key = ?`, func(s *stmt) { holder = store.Stream{Type: s.text(0), ID: s.text(1)} }, number(tenant), text(c.Key))
		if err != nil {
			return false, err
		}
		if !held || holder == a.stream {
			continue
		}
		a.refused = &store.ClaimedError{Stream: a.stream, Key: c.Key, Holder: holder}
		return true, nil
	}
	return false, nil
}

// claim makes the claims of a for the stream with this id.
func (a *appending) claim(w *writer, tenant, stream int64) error {
	for _, c := range a.claims {
		query, args := "INSERT INTO claim (tenant, key, stream) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", []value{number(tenant), text(c.Key), number(stream)}
		if c.Release {
			query, args = "DELETE FROM claim WHERE tenant = ? AND key = ?", args[:2]
		}
		if err := w.exec(query, args...); err != nil {
			return err
		}
	}
	return nil
}
