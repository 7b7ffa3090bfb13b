package memory

import (
	"context"
	"sync"

	"github.com/evolvego/evolve/store"
)

// claims maps the keys of a tenant to their holders.
type claims struct {
	mu      sync.Mutex
	holders map[string]store.Stream // guarded by mu
}

// check returns the error if s may not make these claims, and nil if it may. The caller
// holds mu.
func (c *claims) check(s store.Stream, asked []store.Claim) error {
	for _, claim := range asked {
		if holder, ok := c.holders[claim.Key]; ok && holder != s {
			return &store.ClaimedError{Stream: s, Key: claim.Key, Holder: holder}
		}
	}
	return nil
}

// apply makes the claims of s, which check has accepted. The caller holds mu.
func (c *claims) apply(s store.Stream, asked []store.Claim) {
	for _, claim := range asked {
		holder := s
		if claim.Release {
			holder = store.Stream{}
		}
		c.set(claim.Key, holder)
	}
}

// set makes holder the holder of key, or frees key if holder is the zero Stream. The
// caller holds mu.
func (c *claims) set(key string, holder store.Stream) {
	if holder == (store.Stream{}) {
		delete(c.holders, key)
		return
	}
	if c.holders == nil {
		c.holders = make(map[string]store.Stream)
	}
	c.holders[key] = holder
}

// holder returns the holder of key, or the zero Stream if there is none.
func (c *claims) holder(key string) store.Stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.holders[key]
}

// AppendClaiming is [store.Claims.AppendClaiming].
func (m *Store) AppendClaiming(
	ctx context.Context, s store.Stream, expected store.Expected, events []store.Event, claims []store.Claim,
) (store.Appended, error) {
	if err := store.ValidateClaims(claims); err != nil {
		return store.Appended{}, err
	}
	return m.append(ctx, s, expected, events, claims)
}

// Holder is [store.Claims.Holder].
func (m *Store) Holder(ctx context.Context, key string) (store.Stream, bool, error) {
	if err := store.ValidateKey(key); err != nil {
		return store.Stream{}, false, err
	}
	if err := m.ready(ctx); err != nil {
		return store.Stream{}, false, err
	}
	m.claims.mu.Lock()
	defer m.claims.mu.Unlock()
	holder, ok := m.claims.holders[key]
	return holder, ok, nil
}
