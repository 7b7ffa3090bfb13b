package sqlite

import (
	"context"
	"database/sql"
	"errors"

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
	err := s.backend.reading(ctx, func(ctx context.Context, r *reader) (err error) {
		ok, err = r.one(ctx, `SELECT s.type, s.name FROM tenant t
CROSS JOIN claim c ON c.tenant = t.id CROSS JOIN stream s ON s.id = c.stream
WHERE t.name = ? AND c.key = ?`, []any{s.tenant, key}, []any{&holder.Type, &holder.ID})
		return err
	})
	return holder, ok, err
}

// claimed reports whether a claim of a cannot be made, and then sets that this is
// the outcome.
func (a *appending) claimed(w *writer, tenant int64) (bool, error) {
	for _, c := range a.claims {
		var holder store.Stream
		err := w.queryRow(`SELECT s.type, s.name FROM claim c CROSS JOIN stream s ON s.id = c.stream
WHERE c.tenant = ? AND c.key = ?`, tenant, c.Key).Scan(&holder.Type, &holder.ID)
		if errors.Is(err, sql.ErrNoRows) || err == nil && holder == a.stream {
			continue
		}
		if err != nil {
			return false, err
		}
		a.refused = &store.ClaimedError{Stream: a.stream, Key: c.Key, Holder: holder}
		return true, nil
	}
	return false, nil
}

// claim makes the claims of a, for the stream with this id.
func (a *appending) claim(w *writer, tenant, stream int64) error {
	for _, c := range a.claims {
		query, args := "INSERT INTO claim (tenant, key, stream) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", []any{tenant, c.Key, stream}
		if c.Release {
			query, args = "DELETE FROM claim WHERE tenant = ? AND key = ?", args[:2]
		}
		if err := w.exec(query, args...); err != nil {
			return err
		}
	}
	return nil
}
