package runner

import (
	"context"
	"fmt"
	"slices"

	"github.com/evolvego/evolve/store"
)

// Claiming returns the claims of an event of aggregate id, which leads from the state
// before to the state after it. It must be pure, and safe for concurrent use.
type Claiming[S, E any] func(id string, before S, event E, after S) []store.Claim

// WithClaims returns a copy of r that claims and releases unique keys together with
// events: claims returns the keys for each event. For example, an account claims its
// e-mail address when it is opened, and releases it when it is closed. If another stream
// holds a key, the command ends with an error that is a *[store.ClaimedError]; nothing is
// appended, and the command is not retried. If several events of a command claim the same
// key, the last claim counts.
//
// WithClaims panics if claims is nil, or if the store does not implement [store.Claims].
func (r *Runner[C, S, E]) WithClaims(claims Claiming[S, E]) *Runner[C, S, E] {
	if claims == nil {
		panic("runner: WithClaims: claims must not be nil")
	}
	claimer, ok := r.store.(store.Claims)
	if !ok {
		panic(fmt.Sprintf("runner: WithClaims: a %T cannot claim keys", r.store))
	}
	c := *r
	c.claims, c.claimer = claims, claimer
	return &c
}

// addClaims adds more to the claims in dst. The last claim on a key counts.
func addClaims(dst, more []store.Claim) []store.Claim {
	for _, c := range more {
		if i := slices.IndexFunc(dst, func(d store.Claim) bool { return d.Key == c.Key }); i >= 0 {
			dst[i] = c
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

// append calls Append of the store, with claims if there are any.
func (r *Runner[C, S, E]) append(
	ctx context.Context, s store.Stream, base uint64, events []store.Event, claims []store.Claim,
) (store.Appended, error) {
	if len(claims) == 0 {
		return r.store.Append(ctx, s, store.Exactly(base), events)
	}
	return r.claimer.AppendClaiming(ctx, s, store.Exactly(base), events, claims)
}
